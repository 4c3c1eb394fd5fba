#!/usr/bin/python3
"""Trains flow matching with and without an optimal coupling on the published problems, and prints a table.

  examples/optimal_transport.py [--problems N-moons,N-scurve] [--methods optimal_transport] [--seeds 42,43]
                                [--rows 10000,1000,1000] [--folder build/optimal_transport] [flow_train's flags]

The problems are those of Table 2 of Tong et al. 2024, with the definitions of the authors' program (torchcfm). "N-moons"
goes from a standard normal density to moons; "moons-8gaussians" from moons to eight normal densities. For each problem,
method and seed, examples/kinds/optimal_transport.toml is trained on one rank. The test rows are compared with the
samples of 100 Euler steps, from as many points of the source:

  W2     2-Wasserstein distance of samples and test rows, by an exact assignment
  floor  that of another sample of the data and the test rows. No model can be expected to go below it
  NPE    |E − W²|/W², with the energy E of the paths, the mean of ∫|v|² dt, and W = W2 of source and data

W2 and its floor are also given for the first 512 rows, since the published W2 of moons-8gaussians is for 512 rows. E is
the mean over ten times as many paths as there are test rows, and W² is from 40 pairs of as many rows. Datasets, models
and samples stay in the folder, and the table becomes optimal_transport.csv.
"""

import argparse
import csv
import pathlib
import time

import h5py
import numpy as np
from scipy.optimize import linear_sum_assignment

from model_transforms import Place, velocity
from programs import exit_with, run

CONFIGURATION = pathlib.Path(__file__).resolve().parent / "kinds/optimal_transport.toml"
METHODS = {
    "independent": "--objective.coupling independent",
    "optimal_transport": "--objective.coupling optimal_transport",
    "trigonometric": "--objective.coupling independent --objective.path trigonometric",
}
EULER_STEPS = 100


# Samples (n, 2) of the ends, in random order. Moons and eight normal densities have equally many rows in each part.

def normal(n, generator):
    return generator.normal(size=(n, 2))


def half_circles(n, noise, generator):
    upper, lower = np.linspace(0, np.pi, n // 2), np.linspace(0, np.pi, n - n // 2)
    x = np.concatenate([np.stack([np.cos(upper), np.sin(upper)], axis=1),
                        np.stack([1 - np.cos(lower), 0.5 - np.sin(lower)], axis=1)])
    return generator.permutation(x) + noise * normal(n, generator)


def moons(n, generator):
    return 2 * half_circles(n, 0.05, generator) - [1, 0]


def wide_moons(n, generator):
    x = half_circles(n, 0.1, generator)
    return 7 * (x - x.mean()) / x.std()


def s_curve(n, generator):
    t = 3 * np.pi * (generator.uniform(size=n) - 0.5)
    x = np.stack([np.sin(t), np.sign(t) * (np.cos(t) - 1)], axis=1)
    return 1.5 * (x + 0.05 * normal(n, generator))


def on_circle(numbers):
    return np.stack([np.cos(np.pi / 4 * numbers), np.sin(np.pi / 4 * numbers)], axis=1)


def eight_normals(n, generator):
    return 5 * on_circle(generator.permutation(np.arange(n) % 8)) + normal(n, generator)


def wide_eight_normals(n, generator):
    return 12 * on_circle(generator.integers(8, size=n)) + 1.5 * normal(n, generator)


PROBLEMS = {
    "N-8gaussians": (normal, eight_normals),
    "moons-8gaussians": (wide_moons, wide_eight_normals),
    "N-moons": (normal, moons),
    "N-scurve": (normal, s_curve),
}


def squared_distance(x, y):
    """Gives the squared 2-Wasserstein distance of two samples of the same size."""
    cost = ((x[:, None] - y[None]) ** 2).sum(axis=2)
    return cost[linear_sum_assignment(cost)].mean()


def write(path, x, sizes):
    """Writes the first rows of x for training, the next for validation and the last for test. Gives the test rows."""
    parts = np.split(x, np.cumsum(sizes)[:-1])
    with h5py.File(path, "w") as file:
        for name, rows in zip(["train", "validation", "test"], parts):
            file[name] = rows
    return parts[2]


def energy(model, x):
    """Gives the mean over the rows x of ∫|v|² dt along Euler's steps."""
    total = 0
    with h5py.File(model) as file:
        for part in np.array_split(x, len(x) // 500 + 1):
            place = Place((1, 1, 2), [], np.zeros((len(part), 0)))
            for step in range(EULER_STEPS):
                v = velocity(file["flow/transforms/001"], part, step / EULER_STEPS, place)[0]
                total += (v**2).sum() / EULER_STEPS
                part = part + v / EULER_STEPS
    return total / len(x)


def reference(problem, options):
    """Gives the squared distance of source and data, W², and the standard error. Samples of n rows give about 1/n too
    much, so the excess of pairs of half the size is taken off."""
    generator = np.random.default_rng(0)
    ends = [law(40 * options.rows[2], generator) for law in PROBLEMS[problem]]
    whole, halves = ([squared_distance(*pair) for pair in zip(*(np.split(x, parts) for x in ends))] for parts in [40, 80])
    return 2 * np.mean(whole) - np.mean(halves), np.std(whole) / np.sqrt(len(whole))


def results(problem, seed, options, flags, squared):
    """Trains all methods. Yields (method, W2, floor, both for 512 rows, NPE, E, seconds of training)."""
    generator = np.random.default_rng(seed)
    source, data = PROBLEMS[problem]
    stem, rows = options.folder / f"{problem}_{seed}", sum(options.rows)
    write(f"{stem}_source.h5", source(rows, generator), options.rows)
    test = write(f"{stem}.h5", data(rows, generator), options.rows)
    other, sizes = data(rows, generator)[: len(test)], [len(test), 512]
    floors = [np.sqrt(squared_distance(other[:n], test[:n])) for n in sizes]
    begins = ["--data.source", f"{stem}_source.h5"] if source is not normal else []
    for method in options.methods:
        flow, samples = (f"{stem}_{method}{ending}.h5" for ending in ["", "_samples"])
        began = time.monotonic()
        run("flow_train", options.programs, CONFIGURATION, "--data", f"{stem}.h5", *begins, *METHODS[method].split(),
            "--seed", seed, "--restart", "never", "-o", flow, *flags)
        seconds = time.monotonic() - began
        run("flow_sample", options.programs, flow, "--latents", f"{stem}_source.h5:/test", "--steps", EULER_STEPS,
            "--solver", "euler", "-o", samples)
        with h5py.File(samples) as file:
            distances = [np.sqrt(squared_distance(file["x"][:n], test[:n])) for n in sizes]
        spent = energy(flow, source(10 * len(test), generator))
        yield method, distances[0], floors[0], distances[1], floors[1], abs(spent - squared) / squared, spent, seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--problems", default=",".join(PROBLEMS))
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--seeds", default="42,43,44,45,46")
    parser.add_argument("--rows", default="10000,1000,1000", help="for training, validation and test")
    parser.add_argument("--folder", type=pathlib.Path, default=pathlib.Path("build/optimal_transport"))
    parser.add_argument("--programs", type=pathlib.Path, help="the folder of the programs, where it is another")
    options, flags = parser.parse_known_args()
    options.problems, options.methods = options.problems.split(","), options.methods.split(",")
    unknown = [word for word in options.problems if word not in PROBLEMS]
    unknown += [word for word in options.methods if word not in METHODS]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; there are {', '.join([*PROBLEMS, *METHODS])}")
    options.rows = [int(size) for size in options.rows.split(",")]
    options.folder.mkdir(parents=True, exist_ok=True)

    titles = ["w2", "floor", "w2_512", "floor_512", "npe", "energy", "seconds"]
    with open(options.folder / "optimal_transport.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["problem", "method", "seed", *titles])
        print(f"{'':<36}" + "".join(f"{title:>16}" for title in ["W2", "floor", "W2 (512)", "floor (512)", "NPE"]))
        for problem in options.problems:
            (squared, error), found = reference(problem, options), {method: [] for method in options.methods}
            print(f"{problem}: W² = {squared:.3f} ± {error:.3f}", flush=True)
            for seed in map(int, options.seeds.split(",")):
                for method, *values in results(problem, seed, options, flags, squared):
                    table.writerow([problem, method, seed, *values])
                    file.flush()
                    found[method].append(values)
            for method, values in found.items():
                mean, deviation = np.mean(values, axis=0), np.std(values, axis=0)
                columns = [f"{m:.3f} ± {s:.3f}" for m, s in zip(mean[:5], deviation)]
                print(f"  {method:<34}" + "".join(f"{column:>16}" for column in columns), flush=True)
    return 0


if __name__ == "__main__":
    exit_with(main)
