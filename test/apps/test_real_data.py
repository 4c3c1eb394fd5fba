"""Measured data from the raw file to a density. Without the raw files (flows.DATA) these tests are skipped."""

import re
import sys

import h5py
import numpy as np

import cases
import flows
from flows import DATA, FlowTest

SKIPPED = 77  # the exit code by which meson knows


def gaussian_nll(moments_of, rows):
    """Mean NLL in nats of rows under the Gaussian with the moments of others, on columns of unit deviation."""
    z = (rows - moments_of.mean(axis=0)) / moments_of.std(axis=0)
    covariance = np.corrcoef(moments_of.T)
    squares = np.einsum("ni,ij,nj->n", z, np.linalg.inv(covariance), z)
    return 0.5 * (squares.mean() + np.linalg.slogdet(2 * np.pi * covariance)[1])


class RealData(FlowTest):
    def check(self, name, arguments, rows, columns, gaussian):
        """Imports DATA/arguments[0], `rows` × `columns` with the Gaussian NLL `gaussian`; a short run of the
        configuration `name`, with a smaller model, beats the Gaussian."""
        stdout = self.succeed("flow_data", "import", DATA / arguments[0], *arguments[1:], "-o", "data.h5").stdout
        with h5py.File(self.folder / "data.h5") as file:
            train, validation, test = (file[split][()] for split in ["train", "validation", "test"])
        everything = np.concatenate([train, validation, test])
        self.assertEqual(everything.shape, (rows, columns), stdout)
        self.assertAlmostEqual(gaussian_nll(everything, everything), gaussian, delta=0.05)

        configuration = [flows.SOURCE / "examples" / f"{name}.toml", "--data", "data.h5", "-o", "flow.h5"]
        run = self.succeed("flow_train", *configuration, "--dry-run", ranks=2)
        self.assertIn(f"{columns} columns; {len(train)} rows for training", run.stderr)
        self.assertEqual(self.files(), ["data.h5"])

        run = self.succeed("flow_train", *configuration, "--model.blocks", 4, "--model.hidden", "32,32",
                           "--train.steps", 300, "--train.warmup", 20, "--train.batch", 250, "--train.average", 0.95,
                           ranks=2)
        reached = float(re.search(r"(-?[\d.]+) nats on standardized columns", run.stdout)[1])
        self.assertLess(reached, gaussian_nll(train, test) - 0.3)
        self.succeed("flow_check", "flow.h5", "data.h5")

    def test_power_plant(self):
        self.check("power_plant", ["power_plant/Folds5x2_pp.csv", "--drop-duplicates", "--dequantize", "vacuum=0.01"],
                   rows=9527, columns=5, gaussian=4.735)

    def test_protein(self):
        self.check("protein", ["protein/CASP.csv", "--drop-duplicates", "--dequantize", "auto"],
                   rows=44019, columns=10, gaussian=5.214)


if not DATA.is_dir():
    print(f"there is no {DATA}")
    sys.exit(SKIPPED)
cases.main()
