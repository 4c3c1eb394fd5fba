#!/usr/bin/python3
"""Draws the results of examples/textbook.cpp: densities, their closed forms, and histograms of samples.

    plot_textbook.py TEXTBOOK.h5 -o PICTURE.png
"""

import argparse

import h5py
import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402, the backend comes first


def read(file):
    """Gives the arrays of each example by name: axis (n), density and closed_form (n) or (n, n), samples (N, d)."""
    with h5py.File(file) as h5:
        return {name: {key: values[...] for key, values in group.items()} for name, group in h5.items()}


def edges_of(axis):
    """Gives the ends of the cells whose midpoints are `axis`."""
    half = (axis[1] - axis[0]) / 2
    return np.append(axis - half, axis[-1] + half)


def draw_curve(panel, example):
    """Draws a density of one variable, and a histogram whose bars are ten cells wide."""
    axis = example["axis"]
    panel.hist(example["samples"][:, 0], bins=edges_of(axis)[::10], density=True, color="0.85", label="samples")
    panel.plot(axis, example["density"], linewidth=3, label="flow")
    panel.plot(axis, example["closed_form"], "k:", label="closed form")
    panel.set_title("affine: N(μ, σ²)")
    panel.set_xlabel("$x$")
    panel.set_ylabel("probability density")
    panel.legend(frameon=False)


def draw_maps(figure, panels, example):
    """Draws flow, closed form and samples of a density of two variables, as logarithms because of the poles."""
    axis, samples = example["axis"], example["samples"]
    edges = edges_of(axis)
    counts, _, _ = np.histogram2d(samples[:, 1], samples[:, 0], bins=[edges[::4], edges[::4]])
    histogram = counts / len(samples) / (edges[4] - edges[0]) ** 2
    top = np.log10(example["closed_form"].max())
    for panel, values, cells, title in [(panels[0], example["density"], edges, "cubes: flow"),
                                        (panels[1], example["closed_form"], edges, "cubes: closed form"),
                                        (panels[2], histogram, edges[::4], "cubes: samples")]:
        with np.errstate(divide="ignore"):
            logarithms = np.log10(values)
        image = panel.pcolormesh(cells, cells, logarithms, vmin=top - 4, vmax=top, cmap="viridis")
        panel.set_facecolor(plt.get_cmap("viridis")(0.0))  # cells without samples
        panel.set_aspect("equal")
        panel.set_title(title)
        panel.set_xlabel("$u$")
    panels[0].set_ylabel("$v$")
    figure.colorbar(image, ax=panels, label="log₁₀ of the density", shrink=0.9)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("input", metavar="TEXTBOOK.h5")
    parser.add_argument("-o", "--output", required=True, metavar="PICTURE.png")
    arguments = parser.parse_args()
    examples = read(arguments.input)
    figure, panels = plt.subplots(1, 4, figsize=(16, 4), layout="constrained")
    draw_curve(panels[0], examples["affine"])
    draw_maps(figure, panels[1:], examples["cubes"])
    figure.savefig(arguments.output, dpi=110)


if __name__ == "__main__":
    main()
