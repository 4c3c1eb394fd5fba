#!/usr/bin/python3
"""Trains flows on places on the Earth, with several seeds, and prints test NLLs.

  examples/earth.py flood.csv fire.csv [--on sphere] [--seeds 0,1,2] [--columns 1,2] [--folder build/earth]
                    [flow_train's flags]

Each file has a column of latitudes and a column of longitudes, in degrees. For each file and seed the rows are divided
at random, 80 % for training, 10 % for validation and 10 % for test, and a flow is trained on one rank:

  --on sphere   a continuous flow on the sphere, examples/kinds/earth.toml
  --on chart    splines of the sine of the latitude and of the longitude, examples/kinds/earth_chart.toml. This chart
                keeps areas, so its density is per steradian, too.

Test rows that also stand among the training rows are counted, and the NLL of the other test rows stands apart.
Datasets, models and densities stay in the folder, and the table becomes earth.csv. NLLs are in nats per steradian.
"""

import argparse
import csv
import pathlib

import h5py
import numpy as np

from programs import exit_with, run

KINDS = pathlib.Path(__file__).resolve().parent / "kinds"
CONFIGURATIONS = {"sphere": KINDS / "earth.toml", "chart": KINDS / "earth_chart.toml"}


def repeated(rows, others):
    """Gives True for the rows that are among the others."""
    known = {row.tobytes() for row in others}
    return np.array([row.tobytes() in known for row in rows])


def write_chart(path, vectors):
    """Writes a dataset of sin(latitude) and longitude from one of unit vectors."""
    with h5py.File(vectors) as sphere, h5py.File(path, "w") as chart:
        for split in ["train", "validation", "test"]:
            x, y, z = sphere[split][()].T
            chart[split] = np.stack([z, np.arctan2(y, x)], axis=1)
        chart.attrs["periodic"] = [0.0, 1.0]


def trained(path, seed, options, flags):
    """Gives (NLL, number of test rows, number of repeated ones, NLL of the others) of one run."""
    stem = options.folder / f"{path.stem}_{seed}"
    vectors, chart, flow, density = (f"{stem}{ending}.h5" for ending in ["", "_chart", "_flow", "_density"])
    run("flow_data", options.programs, "import", path, "--sphere", options.columns, "--split", "0.8,0.1,0.1", "--seed", seed,
        "-o", vectors)
    data = vectors if options.on == "sphere" else chart
    if options.on == "chart":
        write_chart(chart, vectors)
    run("flow_train", options.programs, CONFIGURATIONS[options.on], "--data", data, "--seed", seed, "--restart", "never",
        "-o", flow, *flags)
    run("flow_density", options.programs, flow, data, "--split", "test", "-o", density)
    with h5py.File(data) as file, h5py.File(density) as result:
        again = repeated(file["test"][()], file["train"][()])
        nll = -result["log_prob"][()]
    return nll.mean(), len(nll), again.sum(), nll[~again].mean() if not again.all() else np.nan


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+", type=pathlib.Path)
    parser.add_argument("--on", choices=list(CONFIGURATIONS), default="sphere")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--columns", default="1,2", help="latitude and longitude")
    parser.add_argument("--folder", type=pathlib.Path, default=pathlib.Path("build/earth"))
    parser.add_argument("--programs", type=pathlib.Path, help="the folder of the programs, where it is another")
    options, flags = parser.parse_known_args()
    missing = [str(path) for path in options.files if not path.exists()]
    if missing:
        parser.error(f"no such file: {', '.join(missing)}")
    options.folder.mkdir(parents=True, exist_ok=True)
    seeds = [int(seed) for seed in options.seeds.split(",")]

    with open(options.folder / "earth.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["data", "seed", "nll", "rows", "repeated_rows", "nll_of_others"])
        print(f"{'nats':<12}{'NLL':>16}{'repeated rows':>16}{'NLL of others':>18}")
        for path in options.files:
            results = []
            for seed in seeds:
                results.append(trained(path, seed, options, flags))
                table.writerow([path.stem, seed, *results[-1]])
                file.flush()
            nll, rows, again, others = np.array(results).T
            print(f"{path.stem:<12}{nll.mean():>8.3f} ± {nll.std():.3f}{again.sum() / rows.sum():>15.1%}"
                  f"{others.mean():>10.3f} ± {others.std():.3f}")
    return 0


if __name__ == "__main__":
    exit_with(main)
