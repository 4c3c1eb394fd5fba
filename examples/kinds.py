#!/usr/bin/python3
"""Trains each family of flows on each built-in density and prints test NLL minus entropy.

  examples/kinds.py [--kinds nice,glow] [--densities moons] [--jobs 2] [--folder build/kinds] [flow_train's flags]

Runs flow_train (from build/apps/, or from the PATH) once for each pair, on one rank, --jobs runs at a time. Models,
histories and logs stay in the folder, and the table becomes kinds.csv. If the first line of a log shows that the same
command has trained a pair already, the pair is not trained again. Without --kinds and --densities, all pairs are
trained.
"""

import argparse
import csv
import os
import pathlib
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from programs import program

DENSITIES = ["checkerboard", "circles", "8gaussians", "swissroll", "2spirals", "rings", "moons", "pinwheel"]

# Flags of each family, in addition to its defaults and to the flags that all families share.
COMMON = "--data.rows 200000 --train.batch 500 --train.warmup 200".split()
DEEP = "--model.blocks 12 --model.hidden 64,64 --train.steps 8000 --train.learning_rate 1e-2"
KINDS = {
    "residual": "--train.steps 3000 --train.learning_rate 1e-2",
    "nice": DEEP,
    "realnvp": DEEP,
    "glow": DEEP + " --model.activation relu",
    "spline": "--train.steps 3000 --train.learning_rate 3e-3",
    "maf": DEEP,
    "iaf": DEEP,
    "continuous": "--objective.kind flow_matching --objective.likelihood_steps 1000 --train.steps 3000 "
                  "--train.learning_rate 5e-3",
    "planar": "--model.blocks 64 --train.steps 8000 --train.learning_rate 1e-2",
    "radial": "--model.blocks 128 --train.steps 8000 --train.learning_rate 1e-2",
}

RESULT = re.compile(r"test NLL +(\S+) ± (\S+) nats.*, (\S+) from the entropy (\S+)")
TIME = re.compile(r"trained +\d+ steps in (.*)")


def result_of(text):
    """Gives (excess over the entropy, its standard error, time) from a log; None if the run did not end properly."""
    nll, time = RESULT.search(text), TIME.search(text)
    return (float(nll[3]), float(nll[2]), time[1]) if nll and time else None


def train(flow_train, folder, kind, density, flags):
    """Gives result_of() one run, whose command and output are kept as a log. If the same command wrote the log that is
    there, gives the result from that log."""
    name = folder / f"{kind}_{density}"
    log = name.with_suffix(".log")
    command = [flow_train, "--restart", "never", "--model.kind", kind, "--data.toy", density, "-o", f"{name}.h5",
               *COMMON, *KINDS[kind].split(), *flags]
    first_line = " ".join(command) + "\n"
    if name.with_suffix(".h5").exists() and log.exists():
        text = log.read_text()
        if text.startswith(first_line) and result_of(text):
            return result_of(text)
    run = subprocess.run(command, capture_output=True, text=True,
                         env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"})
    log.write_text(first_line + run.stderr + run.stdout)
    return result_of(log.read_text()) if run.returncode == 0 else None


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--densities", default=",".join(DENSITIES))
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--folder", type=pathlib.Path, default=pathlib.Path("build/kinds"))
    parser.add_argument("--program", help="flow_train, where it is another")
    options, flags = parser.parse_known_args()
    kinds, densities = options.kinds.split(","), options.densities.split(",")
    unknown = [word for word, known in [(k, KINDS) for k in kinds] + [(d, DENSITIES) for d in densities]
               if word not in known]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; there are {', '.join([*KINDS, *DENSITIES])}")
    options.folder.mkdir(parents=True, exist_ok=True)
    flow_train = options.program or program("flow_train")

    with ThreadPoolExecutor(options.jobs) as pool:
        runs = {(k, d): pool.submit(train, flow_train, options.folder, k, d, flags) for k in kinds for d in densities}
    failed = 0
    with open(options.folder / "kinds.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["kind", "density", "excess_nats", "standard_error", "time"])
        print(f"{'nats above':<10}" + "".join(f"{d:>13}" for d in densities))
        for kind in kinds:
            line = f"{kind:<10}"
            for density in densities:
                result = runs[kind, density].result()
                failed += result is None
                line += f"{'failed':>13}" if result is None else f"{result[0]:>13.3f}"
                if result is not None:
                    table.writerow([kind, density, *result])
            print(line)
    if failed:
        print(f"{failed} runs failed: see their logs in {options.folder}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
