"""Measured data from the raw file to a density. Without the raw files (flows.DATA) these tests are skipped."""

import re
import sys
import zipfile

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


DIGITS = ["--train", DATA / "optdigits/optdigits.tra", "--test", DATA / "optdigits/optdigits.tes", "--exclude", "Class",
          "--image", "8,8"]


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

    def train_briefly(self, configuration, pattern, *flags):
        """Runs a shipped configuration on data.h5 for a short time, and returns the number that the pattern finds in
        its output."""
        run = self.succeed("flow_train", flows.SOURCE / "examples" / "kinds" / configuration, "--data", "data.h5",
                           "-o", "flow.h5", *flags, ranks=2)
        self.succeed("flow_check", "flow.h5", "data.h5", "--rows", 50, "--jacobians", 2)
        return float(re.search(pattern, run.stdout)[1])

    def test_power_plant_by_splines(self):
        self.succeed("flow_data", "import", DATA / "power_plant/Folds5x2_pp.csv", "--drop-duplicates", "--dequantize",
                     "vacuum=0.01", "-o", "data.h5")
        reached = self.train_briefly("power_plant_spline.toml", r"(-?[\d.]+) nats on standardized columns",
                                     "--model.hidden", "32,32", "--train.steps", 300, "--train.batch", 250)
        # A mixture of 60 normal densities has 3.41, a single one 4.735.
        self.assertLess(reached, 3.9)
        self.assertGreater(reached, 3.0)

    def test_angles_of_alanine_dipeptide(self):
        archive = DATA / "ala2_phipsi/phipsi.npz"
        self.succeed("flow_data", "import", "--train", f"{archive}:seed1,{archive}:seed2", "--test", f"{archive}:seed3",
                     "--periodic", "*", "-o", "data.h5")
        reached = self.train_briefly("torus.toml", r"test NLL +(-?[\d.]+)", "--train.steps", 300, "--model.blocks", 4)
        # Kernels have 1.669, the uniform density 2 log 2π.
        self.assertLess(reached, 1.8)
        self.assertGreater(reached, 1.6)
        with h5py.File(self.folder / "data.h5") as file:
            x = file["test"][:20]
        self.put("turned.h5", {"x": np.concatenate([x, x + 2 * np.pi, x + 0.5])})
        p = self.density("flow.h5", "turned.h5:/x")["log_prob"]
        self.assertNear(p[20:40], p[:20], 1e-12)
        self.assertFar(p[40:], p[:20], 1e-2)

    def test_floods_on_the_sphere(self):
        with zipfile.ZipFile(DATA / "earth/earth_data.zip") as archive:
            self.write("flood.csv", archive.read("data/earth_data/flood.csv").decode())
        self.succeed("flow_data", "import", "flood.csv", "--sphere", "1,2", "-o", "data.h5")
        reached = self.train_briefly("earth.toml", r"test NLL +(-?[\d.]+)", "--train.steps", 600,
                                     "--objective.likelihood_steps", 300, "--model.hidden", "32,32")
        self.assertLess(reached, 2.2)  # the uniform density has log 4π = 2.53
        self.assertGreater(reached, 0.5)

    def test_digits(self):
        self.succeed("flow_data", "import", *DIGITS, "-o", "data.h5")
        reached = self.train_briefly("digits_glow.toml", r"test NLL +(-?[\d.]+)", "--model.hidden", "16,16",
                                     "--train.steps", 150, "--train.warmup", 20)
        # A normal density of the same moments has 131.6 nats, all levels alike 64 log 17.
        self.assertLess(reached, 125)
        self.assertGreater(reached, 80)
        drawn = self.sample("flow.h5", "-n", 20)["x"]
        self.assertTrue(np.all((drawn == np.round(drawn)) & (drawn >= 0) & (drawn <= 16)))

    def test_protein(self):
        self.check("protein", ["protein/CASP.csv", "--drop-duplicates", "--dequantize", "auto"],
                   rows=44019, columns=10, gaussian=5.214)


if not DATA.is_dir():
    print(f"there is no {DATA}")
    sys.exit(SKIPPED)
cases.main()
