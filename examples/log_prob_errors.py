#!/usr/bin/python3
"""Compares the errors of log p that flow_density reports with the true ones, for continuous flows of built-in densities.

  examples/log_prob_errors.py [--densities moons,rings] [--rows 10000] [--tolerance 1e-8] [--reference 1e-12]
                              [--folder build/log_prob_errors] [flow_train's flags]

Trains examples/kinds/continuous.toml with the continuous density, once with flow matching alone, and once with steps of
maximum likelihood at the end. log p of the rows is evaluated at the tolerance and at that of the reference, from which
the true error is taken. For each model the table has

  largest     the largest true error of a row, nats
  covered     the part of the rows whose true error is at most the reported /log_prob_error
  median      of reported errors, and of true ones
  evaluations the mean number of evaluations of the vector field for a row

Rows that do not reach one of the tolerances are counted as failed, and left out. Models and densities stay in the
folder, and the table becomes log_prob_errors.csv.
"""

import argparse
import csv
import pathlib

import h5py
import numpy as np

from kinds import DENSITIES
from programs import exit_with, run

CONFIGURATION = pathlib.Path(__file__).resolve().parent / "kinds/continuous.toml"
OBJECTIVES = {
    "matching": "--train.steps 3000 --objective.likelihood_steps 0",
    "likelihood": "--train.steps 3500 --objective.likelihood_steps 500",
}
COLUMNS = ["failed", "largest", "covered", "median_reported", "median_true", "evaluations"]


def density(flow, data, tolerance, options):
    """Gives log p, its reported error, evaluations and whether the tolerance was reached, of the test rows."""
    result = flow.with_name(f"{flow.stem}_{tolerance}.h5")
    run("flow_density", options.programs, flow, f"{data}:/test", "--tolerance", tolerance, "-o", result)
    with h5py.File(result) as file:
        return [file[name][()] for name in ["log_prob", "log_prob_error", "evaluations"]] + [file["status"][()] == 0]


def compared(name, objective, options, flags):
    """Gives the COLUMNS of one model."""
    flow, data = (options.folder / f"{name}_{end}.h5" for end in [objective, "rows"])
    run("flow_data", options.programs, "make", name, "--rows", 10 * options.rows, "--seed", 2, "-o", data)
    run("flow_train", options.programs, CONFIGURATION, "--data.toy", name, "--data.rows", 20000,
        "--train.validate_every", 1000, "--model.density", "continuous", "--restart", "never",
        *OBJECTIVES[objective].split(), "-o", flow, *flags)
    log_prob, reported, evaluations, reached = density(flow, data, options.tolerance, options)
    exact, _, _, known = density(flow, data, options.reference, options)
    good = reached & known
    true, reported = np.abs(log_prob - exact)[good], reported[good]
    return ((~good).sum(), true.max(), (true <= reported).mean(), np.median(reported), np.median(true),
            evaluations[good].mean())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--densities", default=",".join(DENSITIES))
    parser.add_argument("--rows", type=int, default=10000)
    parser.add_argument("--tolerance", default="1e-8")
    parser.add_argument("--reference", default="1e-12")
    parser.add_argument("--folder", type=pathlib.Path, default=pathlib.Path("build/log_prob_errors"))
    parser.add_argument("--programs", type=pathlib.Path, help="the folder of the programs, where it is another")
    options, flags = parser.parse_known_args()
    unknown = [name for name in options.densities.split(",") if name not in DENSITIES]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; there are {', '.join(DENSITIES)}")
    options.folder.mkdir(parents=True, exist_ok=True)

    with open(options.folder / "log_prob_errors.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["density", "objective", *COLUMNS])
        print(f"{'':<28}{'failed':>8}{'largest':>10}{'covered':>10}{'reported':>10}{'true':>10}{'evaluations':>13}")
        for name in options.densities.split(","):
            for objective in OBJECTIVES:
                values = compared(name, objective, options, flags)
                table.writerow([name, objective, *values])
                file.flush()
                failed, largest, covered, reported, true, evaluations = values
                print(f"{name + ', ' + objective:<28}{failed:>8}{largest:>10.1e}{covered:>10.2%}{reported:>10.1e}"
                      f"{true:>10.1e}{evaluations:>13.0f}", flush=True)
    return 0


if __name__ == "__main__":
    exit_with(main)
