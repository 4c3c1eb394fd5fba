#!/usr/bin/python3
"""Draws data, samples and density of a two-dimensional flow side by side.

    plot_density.py DATA.h5:PATH SAMPLES.h5:PATH DENSITY.h5 -o PICTURE.png

DATA and SAMPLES are arrays of shape (N, 2). DENSITY is a file that `flow_density --grid` has written, with /grid/x
(nx), /grid/y (ny) and /grid/log_prob (ny, nx), in nats.
"""

import argparse

import h5py
import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402, the backend comes first


def read_rows(place):
    """Gives the (N, 2) array at FILE:PATH."""
    file, _, path = place.rpartition(":")
    with h5py.File(file) as h5:
        rows = h5[path][...]
    if rows.ndim != 2 or rows.shape[1] != 2:
        raise SystemExit(f"{place} has the shape {rows.shape}, not (N, 2)")
    return rows


def read_grid(file):
    """Gives x (nx), y (ny) and the density (ny, nx) from a file of flow_density."""
    with h5py.File(file) as h5:
        grid = h5["grid"]
        return grid["x"][...], grid["y"][...], np.exp(grid["log_prob"][...])


def draw(data, samples, grid):
    """Gives a figure with three panels on the same axes: two histograms, and the density."""
    x, y, density = grid
    figure, panels = plt.subplots(1, 3, figsize=(12, 4.3), sharex=True, sharey=True, layout="constrained")
    top = density.max()
    cells = [np.linspace(x[0], x[-1], 61), np.linspace(y[0], y[-1], 61)]
    for panel, rows, title in [(panels[0], data, "data"), (panels[1], samples, "samples")]:
        panel.hist2d(rows[:, 0], rows[:, 1], bins=cells, density=True, vmin=0, vmax=top, cmap="viridis")
        panel.set_title(f"{title}, {len(rows)} rows")
    image = panels[2].pcolormesh(x, y, density, vmin=0, vmax=top, cmap="viridis", shading="nearest")
    panels[2].set_title("density of the flow")
    for panel in panels:
        panel.set_aspect("equal")
        panel.set_xlabel("$x_1$")
    panels[0].set_ylabel("$x_2$")
    figure.colorbar(image, ax=panels, label="probability density", shrink=0.9)
    return figure


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", metavar="DATA.h5:PATH")
    parser.add_argument("samples", metavar="SAMPLES.h5:PATH")
    parser.add_argument("density", metavar="DENSITY.h5")
    parser.add_argument("-o", "--output", required=True, metavar="PICTURE.png")
    arguments = parser.parse_args()
    figure = draw(read_rows(arguments.data), read_rows(arguments.samples), read_grid(arguments.density))
    figure.savefig(arguments.output, dpi=110)


if __name__ == "__main__":
    main()
