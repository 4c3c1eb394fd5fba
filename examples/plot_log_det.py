#!/usr/bin/python3
"""Draws the results of flow_logdet: python3 plot_log_det.py LOG_DET.h5 [--block K] [-o PICTURE.png]

Left: root mean square error of a single draw against the products that it takes, log-log. The thin lines show the
error of the mean of repeated draws. Right: the distribution of estimates minus exact log-dets. The pictures are about
the sum over residual blocks, or with --block about one block (by its number in the model). There is a third picture
if a block is given, the file has spectral radii (flow_logdet --spectrum), and there are at least 100 draws for each
row. It shows whether the sample variance of the row with the largest spectral radius settles as draws are added.
"""

import argparse

import h5py
import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402


rounding = 1e-9  # nats
least_draws = 100  # for a curve of the sample variance


def label(group):
    """Puts methods that differ only in their number of terms on one line."""
    texts = {name: group.attrs[name].decode() for name in ["kind", "trace", "probe"] if name in group.attrs}
    kind = texts["kind"]
    words = [kind]
    if kind == "roulette":
        words.append(f"p={group.attrs['p']:.3g}")
    if kind == "poisson":
        words.append(f"rate={group.attrs['rate']:g}")
    if texts.get("trace", "probes") == "exact":
        words.append("exact traces")
    if texts.get("probe", "rademacher") != "rademacher":
        words.append(texts["probe"])
    if group.attrs.get("probes", 1) > 1:
        words.append(f"{group.attrs['probes']} probes")
    return ", ".join(words)


def draw_errors(axes, methods):
    lines = {}
    for name in methods:
        if methods[name].attrs["rmse"] < rounding:  # exact, computed in another way
            continue
        lines.setdefault(label(methods[name]), []).append(methods[name])
    for text, groups in lines.items():
        groups.sort(key=lambda g: g.attrs["products"])
        products = np.array([g.attrs["products"] for g in groups])
        rmse = np.array([g.attrs["rmse"] for g in groups])
        (line,) = axes.loglog(products, rmse, "o-", label=text)
        if "probe" in groups[-1].attrs:
            best = np.argmin(rmse * np.sqrt(products))
            more = np.geomspace(products[best], 100 * products[best], 2)
            axes.loglog(more, rmse[best] * np.sqrt(products[best] / more), color=line.get_color(), lw=0.7)
    axes.set_xlabel("products with the Jacobian, per row")
    axes.set_ylabel("root mean square error of the log-det, nats")
    axes.legend(fontsize=7)
    axes.grid(alpha=0.3)


def draw_distributions(axes, exact, methods):
    errors = {}
    for name in methods:
        error = (methods[name]["value"][()] - exact).ravel()
        errors[name] = error[np.isfinite(error)]
    low = min(np.percentile(e, 1) for e in errors.values())
    high = max(np.percentile(e, 99) for e in errors.values())
    for at, (name, error) in enumerate(errors.items()):
        density, edges = np.histogram(error, bins=120, range=(low, high), density=True)
        axes.fill_between(0.5 * (edges[1:] + edges[:-1]), at, at + 0.8 * density / density.max(), step="mid")
        axes.text(low, at + 0.15, name, fontsize=7, va="bottom")
    axes.axvline(0, color="black", lw=0.7)
    axes.set_yticks([])
    axes.set_xlabel("estimate − exact, nats")
    axes.grid(alpha=0.3, axis="x")


def draw_variances(axes, block, methods):
    row = int(np.nanargmax(block["spectral_radius"][()]))
    for name in methods:
        values = methods[name]["value"][:, row]
        if len(values) < least_draws:
            continue
        count = np.arange(1, len(values) + 1)
        centered = values - values[0]
        mean = np.cumsum(centered) / count
        variance = (np.cumsum(centered**2) - count * mean**2) / np.maximum(count - 1, 1)
        axes.loglog(count[9:], variance[9:], label=name, lw=1)
    axes.set_xlabel("draws")
    axes.set_ylabel("their sample variance, nats²")
    axes.set_title(f"row {row}: spectral radius {block['spectral_radius'][row]:.3f}", fontsize=9)
    axes.legend(fontsize=7)
    axes.grid(alpha=0.3)


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("file")
    arguments.add_argument("--block", type=int)
    arguments.add_argument("-o", "--output", default="log_det.png")
    options = arguments.parse_args()
    with h5py.File(options.file) as file:
        part = file if options.block is None else file[f"blocks/{options.block:03d}"]
        exact = part["log_det/exact"][()]
        methods = {name: group for name, group in part["log_det"].items() if isinstance(group, h5py.Group)}
        settles = "spectral_radius" in part and max(len(m["value"]) for m in methods.values()) >= least_draws
        figure, axes = plt.subplots(1, 3 if settles else 2, figsize=(17 if settles else 12, max(5, 0.35 * len(methods))), layout="constrained")
        draw_errors(axes[0], methods)
        draw_distributions(axes[1], exact, methods)
        if settles:
            draw_variances(axes[2], part, methods)
        figure.savefig(options.output, dpi=90)
    print(f"wrote {options.output}")


if __name__ == "__main__":
    main()
