#!/usr/bin/python3
"""What a training step costs against d, width, blocks, batch and terms: measured exponents beside the expected ones.

  exponents.py BENCH [NAME...]      all, or those whose names begin so: exact, exact.d, krylov.terms

Each quantity goes through its range, the others stay; one rank. An exponent is the slope of log cost over log quantity,
by least squares over the upper part of the range: from the geometric mean of its ends. Expected are the slopes, at the
same shapes, of the operations that flops.hpp counts and of the time that these take at gemm's rates (the bound).
"""

import argparse
import csv
import dataclasses
import math
import pathlib
import subprocess
import sys
import tempfile

COLUMNS = ["name", "value", "shape", "blocks", "rows", "method", "ms", "gflop", "bound_ms"]


@dataclasses.dataclass(frozen=True)
class Step:
    """A training step of blocks d-width-width-d."""
    d: int
    width: int = 128
    blocks: int = 4
    batch: int = 256
    method: str = "exact"

    def shape(self):
        return f"{self.d}-{self.width}-{self.width}-{self.d}"

    def arguments(self):
        return ["--shape", self.shape(), "--blocks", str(self.blocks), "--rows", str(self.batch),
                "--method", self.method]

    def fixed(self, quantity):
        """The quantities that stay fixed, as a text for people."""
        parts = {"d": f"d = {self.d}", "width": f"2×{self.width}", "blocks": f"{self.blocks} blocks",
                 "batch": f"{self.batch} rows"}
        return ", ".join(text for key, text in parts.items() if key != quantity)


def with_terms(base, method, terms):
    """The step with so many products with Jᵀ a sample; those of a roulette are the mean, two of them drawn."""
    text = f"trace+krylov:{terms}" if method == "krylov" else f"neumann:p=0.5,exact={terms - 2},length=step"
    return dataclasses.replace(base, method=text)


EXACT = Step(d=32)
PROBE = Step(d=64)
KRYLOV, NEUMANN = (with_terms(PROBE, method, terms) for method, terms in (("krylov", 3), ("neumann", 4)))

# By name: what stays, and the range.
SWEEPS = {
    "exact.d": (EXACT, [4, 8, 16, 32, 64, 128]),
    "exact.width": (EXACT, [32, 64, 128, 256, 512]),
    "exact.blocks": (EXACT, [1, 2, 4, 8, 16, 32]),
    "exact.batch": (EXACT, [16, 32, 64, 128, 256, 512, 1024]),
    "krylov.d": (KRYLOV, [8, 16, 32, 64, 128, 256]),
    "krylov.width": (KRYLOV, [32, 64, 128, 256, 512]),
    "krylov.terms": (KRYLOV, [1, 2, 4, 8, 16, 32]),
    "neumann.d": (NEUMANN, [8, 16, 32, 64, 128, 256]),
    "neumann.terms": (NEUMANN, [3, 6, 12, 24, 48]),
}


def steps(name):
    """{value: step} of a sweep."""
    base, values = SWEEPS[name]
    method, quantity = name.split(".")
    if quantity == "terms":
        return {value: with_terms(base, method, value) for value in values}
    return {value: dataclasses.replace(base, **{quantity: value}) for value in values}


def slope(x, y):
    """The slope of log y over log x, by least squares."""
    log_x, log_y = [math.log(value) for value in x], [math.log(value) for value in y]
    mean_x, mean_y = sum(log_x) / len(x), sum(log_y) / len(y)
    return (sum((a - mean_x) * (b - mean_y) for a, b in zip(log_x, log_y))
            / sum((a - mean_x) ** 2 for a in log_x))


def upper(values):
    """The values from the geometric mean of the least and the greatest upwards."""
    return [value for value in values if value * value >= min(values) * max(values) * (1 - 1e-9)]


def exponents(points):
    """{key: exponent} of points {value: {"ms", "gflop", "bound_ms"}} over the upper part of the values."""
    values = upper(list(points))
    return {key: slope(values, [points[value][key] for value in values]) for key in ("ms", "gflop", "bound_ms")}


def measure(bench, step, more):
    """{"ms", "gflop", "bound_ms"} of a step."""
    with tempfile.TemporaryDirectory(prefix="pushforward-exponents-") as folder:
        path = pathlib.Path(folder) / "step.csv"
        run = subprocess.run([bench, *step.arguments(), "--csv", str(path), *more], stdin=subprocess.DEVNULL,
                             capture_output=True, text=True)
        if run.returncode != 0:
            raise SystemExit(f"{bench} {' '.join(step.arguments())}: {run.stderr}")
        with open(path, newline="") as file:
            row = next(csv.DictReader(file))
    return {key: float(row[key]) for key in ("ms", "gflop", "bound_ms")}


def measure_all(bench, names, rounds, more):
    """{name: {value: point}}, of each the best time and the best bound of all rounds."""
    points = {name: {} for name in names}
    for count in range(1, rounds + 1):
        for name in names:
            print(f"{name}, round {count}", file=sys.stderr)
            for value, step in steps(name).items():
                point = measure(bench, step, more)
                best = points[name].setdefault(value, point)
                for key in ("ms", "bound_ms"):
                    best[key] = min(best[key], point[key])
    return points


def table(points):
    """Lines for people, at most 100 columns."""
    yield f"{'':<16}{'':<34}{'':<13}{'':>6}{'exponent of':>16}"
    yield f"{'step, against':<16}{'fixed':<34}{'range':<13}{'fit':>6}{'time':>8}{'GFLOP':>8}{'bound':>8}"
    for name, by_value in points.items():
        base, _ = SWEEPS[name]
        values = list(by_value)
        fit = exponents(by_value)
        yield (f"{name:<16}{base.fixed(name.split('.')[1]):<34}{f'{min(values)} … {max(values)}':<13}"
               f"{f'{min(upper(values))} …':>6}{fit['ms']:>8.2f}{fit['gflop']:>8.2f}{fit['bound_ms']:>8.2f}")
    yield "time: measured. GFLOP, bound: expected, at the same shapes. fit: from this value up."
    yield "krylov: trace+krylov, 3 terms. neumann: roulette, 4 terms. One rank, float."


def select(words):
    names = [name for name in SWEEPS if not words or any(name == w or name.startswith(w + ".") for w in words)]
    for word in words:
        if not any(name == word or name.startswith(word + ".") for name in SWEEPS):
            raise SystemExit(f"exponents '{word}' are unknown; known are {', '.join(SWEEPS)}")
    return names


def write(path, points):
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        for name, by_value in points.items():
            for value, step in steps(name).items():
                writer.writerow({"name": name, "value": value, "shape": step.shape(), "blocks": step.blocks,
                                 "rows": step.batch, "method": step.method, **by_value[value]})


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bench", help="the program")
    parser.add_argument("names", nargs="*")
    parser.add_argument("--seconds", type=float, default=0.3, help="time for the repeats of each step (%(default)s)")
    parser.add_argument("--rounds", type=int, default=2, help="how often all take their turn (%(default)s)")
    parser.add_argument("--csv", help="file for all points")
    parser.add_argument("--tiny", action="store_true", help="smallest sizes: whether it works")
    options = parser.parse_args()
    more = ["--seconds", str(options.seconds), *(["--tiny"] if options.tiny else [])]
    points = measure_all(options.bench, select(options.names), options.rounds, more)
    print(*table(points), sep="\n")
    if options.csv:
        write(options.csv, points)


if __name__ == "__main__":
    main()
