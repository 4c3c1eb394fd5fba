#!/usr/bin/python3
"""Parts of examples/continuous.sh: the numbers that the programs do not print, and the pictures.

  continuous.py points POINTS.h5 --half-width W --points M     writes the M × M points of a square
  continuous.py mixture PAIRS.h5 -o MIXTURE.h5                 eight pairs of columns of 8gaussians, rotated at random
  continuous.py steps MODEL.h5 FOLDER -o PICTURE.png           Euler steps against their limit
  continuous.py grid FOLDER... --exploited FOLDER --shown FOLDER... --points POINTS.h5 --rows DATA.h5 --matching STEPS
                     -o PICTURE.png                            courses of training, samples and densities
  continuous.py weights MODEL.h5 FOLDER DIVERGENCE.h5 -o PICTURE.png    importance weights of samplers
  continuous.py film MODEL.h5... -o PICTURE.png                densities along a flow

The files of the folders are those that continuous.sh has made. Vector fields are evaluated with numpy from the model
file (model_transforms.py), whose chain is one continuous transform.
"""

import argparse
import pathlib
import re

import h5py
import matplotlib
import numpy as np

import model_density
import model_transforms

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

ROWS = 20_000  # that numpy works at a time


def array(path, name):
    with h5py.File(path) as file:
        return file[name][()]


def mean_and_error(values):
    return values.mean(), values.std(ddof=1) / np.sqrt(len(values))


class Field:
    """The vector field of a model. Points x (n, d) are in its own units, latents at t = 0 and standardized rows at
    t = 1."""

    def __init__(self, path):
        self.file = h5py.File(path)
        self.group = self.file["flow/transforms/000"]
        flow = self.file["flow"].attrs
        self.shape = tuple(model_transforms.integers(flow["shape"]))
        self.origin, self.factor = (self.file[f"standardization/{name}"][()] for name in ["mean", "factor"])

    def at(self, x, t):
        """v (n, d), its Jacobian (n, d, d), row j along x_j, and its divergence (n)."""
        place = model_transforms.Place(self.shape, [], np.zeros((len(x), 0)))
        return model_transforms.velocity(self.group, x, t, place)

    def to_rows(self, x):
        return self.origin + x * self.factor

    def to_points(self, rows):
        return (rows - self.origin) / self.factor

    def log_factor(self):
        return np.log(self.factor).sum()


# Solvers by the stages (c, b). Each stage starts from the slope of the one before.
SOLVERS = {"euler": [(0, 1)], "rk4": [(0, 1 / 6), (0.5, 1 / 3), (0.5, 1 / 3), (1, 1 / 6)]}


def follow(field, x, solver, count, start=0.0, end=1.0):
    """Takes `count` steps of a solver from points x (n, d) at a time to another time. Gives the points of each step,
    the quadrature of the divergence along them (n), and that of v'Jv with one Rademacher probe for each row (n)."""
    h, path, trace, estimate = (end - start) / count, [x], np.zeros(len(x)), np.zeros(len(x))
    probe = np.random.default_rng(count).choice([-1.0, 1.0], x.shape)
    for k in range(count):
        t, v, change = start + (end - start) * k / count, 0, 0
        for c, b in SOLVERS[solver]:
            v, jacobian, divergence = field.at(path[-1] + c * h * v, t + c * h)
            change = change + b * h * v
            trace += b * h * divergence
            estimate += b * h * np.einsum("ni,nij,nj->n", probe, jacobian, probe)
        path.append(path[-1] + change)
    return path, trace, estimate


def along_steps(field, z, solver, count):
    """log p of the ends of steps from latents z, as rows, if a quadrature is taken for the log-det: with exact
    divergences, and with estimates."""
    parts = [follow(field, z[first : first + ROWS], solver, count)[1:] for first in range(0, len(z), ROWS)]
    base = model_density.normal(z) - field.log_factor()
    return tuple(base - np.concatenate([part[k] for part in parts]) for k in range(2))


def log_prob_at(field, x, t, count):
    """log p_t (n) of points x (n, 2), by steps of RK4 back to time 0 and the quadrature of the divergence."""
    if t == 0:
        return model_density.normal(x)
    path, trace, _ = follow(field, x, "rk4", count, t, 0)
    return model_density.normal(path[-1]) + trace


def cell(points):
    """The area of a cell of the square grid of these points."""
    return (np.unique(points[:, 0])[1] - points[0, 0]) ** 2


# Data.

def points(options):
    line = np.linspace(-options.half_width, options.half_width, options.points)
    with h5py.File(options.file, "w") as file:
        file["x"] = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)


def mixture(options):
    rotation = np.linalg.qr(np.random.default_rng(1).normal(size=(16, 16)))[0]
    with h5py.File(options.pairs) as pairs, h5py.File(options.output, "w") as file:
        for split in ["train", "validation", "test"]:
            file[split] = pairs[split][()].reshape(-1, 16) @ rotation
        file.attrs["entropy"] = 8 * pairs.attrs["entropy"]


# Euler steps and their limit.

def sampler_files(folder, name):
    """The files NAME_SOLVER_N.h5 of a folder by (solver, N)."""
    found = [re.fullmatch(rf"{name}_([a-z0-9]+)_(\d+)", path.stem) for path in folder.glob("*.h5")]
    return dict(sorted(((m[1], int(m[2])), folder / f"{m[0]}.h5") for m in found if m))


def steps(options):
    field = Field(options.model)
    limit, grid = array(options.folder / "rows_limit.h5", "log_prob"), array(options.folder / "points.h5", "x")
    counts, table = [], []
    print("Euler steps   off from the limit, nats        integral of p            rows that")
    print("              exact log-det   h · trace       exact     h · trace      fold")
    for (_, count), path in sampler_files(options.folder, "rows").items():
        status, exact = array(path, "status"), array(path, "log_prob")
        good = status == 0
        quadrature = along_steps(field, array(path, "z")[good], "euler", count)[0]
        on_grid = options.folder / f"points_euler_{count}.h5"
        reached = array(on_grid, "status") == 0
        along = along_steps(field, array(on_grid, "z")[reached], "euler", count)[0]
        integrals = [np.exp(values).sum() * cell(grid) for values in [array(on_grid, "log_prob")[reached], along]]
        off = [np.abs(values - limit[good]).mean() for values in [exact[good], quadrature]]
        print(f"{count:>11}   {off[0]:>13.4f}   {off[1]:>9.4f}   {integrals[0]:>9.4f}     {integrals[1]:>9.4f}   "
              f"{np.sum(~good):>7}")
        counts.append(count)
        table.append([*off, *integrals])
    off_exact, off_trace, integral_exact, integral_trace = np.array(table).T

    figure, axes = plt.subplots(1, 3, figsize=(13, 4.3), layout="constrained")
    z = np.random.default_rng(3).normal(size=(60, 2))
    fine = np.array([field.to_rows(x) for x in follow(field, z, "euler", 200)[0]])
    coarse = np.array([field.to_rows(x) for x in follow(field, z, "euler", 4)[0]])
    axes[0].plot(*fine.transpose(2, 0, 1), color="0.75", lw=0.8)
    axes[0].plot(*coarse.transpose(2, 0, 1), color="tab:blue", lw=0.6, marker=".", ms=3)
    axes[0].set_title("4 Euler steps from 60 latents, and 200 (gray)", fontsize=10)
    axes[0].set_aspect("equal")
    for axis, title in [(axes[1], "mean difference from the limit's log p, nats"), (axes[2], "integral of p")]:
        axis.set_title(title, fontsize=10)
        axis.set_xscale("log", base=2)
        axis.set_xlabel("Euler steps")
        axis.grid(alpha=0.3)
    for axis, values in [(axes[1], (off_exact, off_trace)), (axes[2], (integral_exact, integral_trace))]:
        axis.plot(counts, values[0], "o-", label="exact log-det of the steps")
        axis.plot(counts, values[1], "s--", label="h · trace, summed up")
        axis.legend(fontsize=8)
    axes[1].set_yscale("log")
    figure.savefig(options.output, dpi=80)


# The grid that training exploits.

def grid(options):
    square = array(options.points, "x")
    size, extent = int(np.sqrt(len(square))), [square.min(), square.max()] * 2
    figure, axes = plt.subplots(1, 3 + len(options.shown), figsize=(3.1 * (3 + len(options.shown)), 3.5),
                                layout="constrained")
    field = Field(options.exploited / "flow.h5")
    for run in options.runs:
        rows = np.genfromtxt(run / "flow.csv", delimiter=",", names=True)
        later = rows["step"] > options.matching
        axes[0].plot(rows["step"][later] - options.matching, rows["train_loss"][later] + field.log_factor(),
                     label=run.name, lw=1)
    axes[0].set_title("training loss, nats", fontsize=9)
    axes[0].set_xlabel("steps of likelihood")
    axes[0].legend(fontsize=7)
    axes[0].grid(alpha=0.3)

    count = int(field.group.attrs["steps"])
    along = log_prob_at(field, field.to_points(square), 1, count) - field.log_factor()
    samples = array(options.exploited / "samples.h5", "x")[array(options.exploited / "samples.h5", "status") == 0]
    low, high = np.percentile(samples, [5, 95], axis=0).round(2)
    print(f"{options.exploited.name}: h · trace along {count} steps of RK4 gives the integral "
          f"{np.exp(along).sum() * cell(square):.3g}; nine tenths of its samples are between {low} and {high}")
    image = axes[1].imshow(along.reshape(size, size) / np.log(10), origin="lower", cmap="viridis", extent=extent)
    figure.colorbar(image, ax=axes[1], shrink=0.7)
    axes[1].set_title(f"{options.exploited.name}: log₁₀ p by h · trace", fontsize=9)
    axes[2].plot(*array(options.rows, "test").T, ".", ms=1, color="0.7")
    axes[2].plot(*samples.T, ".", ms=3, color="tab:red")
    axes[2].set_aspect("equal")
    axes[2].set_title(f"{options.exploited.name}: samples (red) and data", fontsize=9)
    for axis, run in zip(axes[3:], options.shown):
        density = np.exp(array(run / "own.h5", "log_prob"))
        print(f"{run.name}: integral of its density {density.sum() * cell(square):.4f}")
        axis.imshow(density.reshape(size, size), origin="lower", cmap="viridis", vmin=0, extent=extent)
        axis.set_title(f"{run.name}: density", fontsize=9)
    figure.savefig(options.output, dpi=75)


# Importance weights.

def log_eight_gaussians(x):
    """log p of the built-in density 8gaussians."""
    angle, scale = np.arange(8) * np.pi / 4, 1 / 1.414
    center = 4 * scale * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    deviation = 0.5 * scale
    square = ((x[:, None] - center) ** 2).sum(axis=2) / deviation**2
    return np.logaddexp.reduce(-0.5 * square, axis=1) - np.log(8 * 2 * np.pi * deviation**2)


def weights(options):
    field = Field(options.model)
    table = {}
    print("Mean importance weights, with what is taken for the density of the samples")
    print(f"{'sampler':<10}" + "".join(f"{name:>20}" for name in ["exact", "h · trace", "limit", "Hutchinson"]))
    for (solver, count), path in sampler_files(options.folder, "samples").items():
        good = array(path, "status") == 0
        z, x, exact = (array(path, name)[good] for name in ["z", "x", "log_prob"])
        limit = array(options.folder / f"limit_{solver}_{count}.h5", "log_prob")[good]
        trace, estimate = along_steps(field, z, solver, count)
        target = log_eight_gaussians(x)
        row = [mean_and_error(np.exp(target - log_q)) for log_q in [exact, trace, limit, estimate]]
        if solver == "euler":
            table[count] = row
        print(f"{solver} {count:<4}".ljust(10) + "".join(f"{f'{m:.4f} ± {e:.4f}':>20}" for m, e in row) +
              ("" if np.all(good) else f"   {np.sum(~good)} samples left out"))

    figure, axes = plt.subplots(1, 2, figsize=(12, 4.3), layout="constrained")
    for k, name in enumerate(["exact density of the sampler", "h · trace along its steps", "density of the equation",
                              "one Rademacher probe for the path"]):
        means, errors = np.array([row[k] for row in table.values()]).T
        axes[0].errorbar(list(table), means, errors, marker="o", ms=4, label=name)
    axes[0].axhline(1, color="black", lw=0.7, ls=":")
    axes[0].set_xscale("log", base=2)
    axes[0].set_xlabel("Euler steps of the sampler")
    axes[0].set_title("mean importance weight", fontsize=10)
    axes[0].legend(fontsize=8)
    axes[0].grid(alpha=0.3)
    with h5py.File(options.divergence) as file:
        exact = file["candidates/trace/log_prob"][()]
        for name in (name for name in file["candidates"] if name.startswith("hutchinson")):
            error = (file["candidates"][name]["log_prob"][()] - exact).ravel()
            axes[1].hist(error, bins=np.linspace(-8, 8, 161), density=True, histtype="step",
                         label=f"{name}: {error.std():.2f}")
    axes[1].set_yscale("log")
    axes[1].set_ylim(1e-3, 5)
    axes[1].set_title("estimate − exact log p in 16 dimensions, nats", fontsize=10)
    axes[1].legend(fontsize=7)
    axes[1].grid(alpha=0.3)
    figure.savefig(options.output, dpi=80)


# The film strip.

def film(options):
    times = np.arange(7) / 6
    figure, axes = plt.subplots(len(options.models), len(times), figsize=(13, 2.05 * len(options.models)),
                                layout="constrained", squeeze=False)
    line = np.linspace(-2.6, 2.6, options.points)
    square = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
    for row, path in zip(axes, options.models):
        field, integrals = Field(path), []
        for axis, t in zip(row, times):
            density = np.exp(log_prob_at(field, square, t, int(np.ceil(20 * t))))
            integrals.append(density.sum() * cell(square))
            axis.imshow(density.reshape(len(line), -1), origin="lower", cmap="viridis", vmin=0,
                        extent=[line[0], line[-1]] * 2)
            axis.set_xticks([])
            axis.set_yticks([])
            axis.set_title(f"t = {t:.2g}", fontsize=9)
        print(f"{path}: integrals over the squares", *(f"{value:.3f}" for value in integrals))
    figure.savefig(options.output, dpi=80)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)

    def command(run, *arguments):
        sub = commands.add_parser(run.__name__)
        sub.set_defaults(run=run)
        for name, *kind in arguments:
            sub.add_argument(name, **(kind[0] if kind else {}))
        return sub

    path = {"type": pathlib.Path}
    picture = ("-o", {"dest": "output", "required": True})
    command(points, ("file",), ("--half-width", {"type": float, "default": 5}),
            ("--points", {"type": int, "default": 120}))
    command(mixture, ("pairs",), picture)
    command(steps, ("model",), ("folder", path), picture)
    command(grid, ("runs", path | {"nargs": "+"}), ("--exploited", path), ("--shown", path | {"nargs": "+"}),
            ("--points", path), ("--rows", path), ("--matching", {"type": int}), picture)
    command(weights, ("model",), ("folder", path), ("divergence",), picture)
    command(film, ("models", {"nargs": "+"}), ("--points", {"type": int, "default": 150}), picture)
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
