"""Files of earlier versions of the formats are read for ever: log-densities, latents and samples stay as they were."""

import os
import pathlib
import re
import shutil
import sys

import h5py
import numpy as np

import cases
from harness import ProgramTest

SOURCE = pathlib.Path(os.environ["PUSHFORWARD_SOURCE"])
sys.path.insert(0, str(SOURCE / "examples"))
import model_density  # noqa: E402
from model_transforms import attributes  # noqa: E402

GOLDEN = SOURCE / "test" / "golden" / "version_1"
CONTINUOUS = GOLDEN.with_name("version_1_continuous")

SAMPLES = ["-n", 6, "--seed", 7, "--tolerance", 1e-13]  # as in make_golden.py
SEED = 5


# Some lines of flow_data info about a dataset.
FACTS = {
    "toy": ["entropy 2.393879 nats", "train 42 × 2", "validation 6 × 2", "test 12 × 2"],
    "vectors": ["train 42 × 3", "a 3.1714 0.538312 1.85588 4.61955"],
    "single": ["train 42 × 3", "a 3.1714 0.538312 1.85588 4.61955"],
    "weighted": ["train 42 × 2, weighted", "b 3.83084 2.07088 -1.61241 10.5589"],
    "hyphen": ["train 42 × 2, weighted", "b 3.83084 2.07088 -1.61241 10.5589"],
    "context": ["train 42 × 3", "u -0.00307376 0.524634 -0.926081 0.974879", "label=2 0.333333 0.471405 0 1"],
    "angles": ["train 42 × 4", "angles phi, psi", "psi 0.294411 2.02389 -3.12263 3.02787"],
    "images": ["train 42 × 32", "images 4×4×2"],
    "labelled": ["test 12 × 16", "images 4×4×1", "label=0 0.333333 0.471405 0 1"],
}


def deviation(values, expected):
    """The largest difference relative to max(1, |expected|). Values that are not finite agree when they are equal, and
    NaN agrees with NaN; otherwise the deviation is infinite."""
    values, expected = np.asarray(values, float), np.asarray(expected, float)
    if values.shape != expected.shape:
        return np.inf
    finite = np.isfinite(expected)
    if not np.array_equal(values[~finite], expected[~finite], equal_nan=True):
        return np.inf
    if not np.all(np.isfinite(values[finite])):
        return np.inf
    return np.max(np.abs(values[finite] - expected[finite]) / np.maximum(1, np.abs(expected[finite])), initial=0)


def model_files(folder):
    return sorted((folder / "models").glob("*.h5"))


class Golden(ProgramTest):
    def expected(self, folder=GOLDEN):
        file = h5py.File(folder / "expected.h5")
        self.addCleanup(file.close)
        return file

    def subjects(self):
        """Yields each model's file, what is expected of it, and its dataset."""
        for folder in [GOLDEN, CONTINUOUS]:
            for name, group in self.expected(folder).items():
                yield folder / "models" / f"{name}.h5", group, self.dataset(group, folder)

    def density(self, model, data, *arguments):
        """Runs flow_density, and returns its arrays and the mean NLL."""
        self.assertSuccess(self.run_program("flow_density", model, data, *arguments, "-o", "density.h5"))
        with h5py.File(self.folder / "density.h5") as file:
            return {name: file[name][:] for name in ["log_prob", "z", "status"]}, file.attrs["mean_nll"]

    def dataset(self, group, folder=GOLDEN):
        return folder / "datasets" / f"{group.attrs['dataset']}.h5"

    def test_every_model_has_its_expected_values(self):
        for folder, count in [(GOLDEN, 32), (CONTINUOUS, 11)]:
            self.assertEqual(sorted(self.expected(folder)), [path.stem for path in model_files(folder)])
            self.assertGreaterEqual(len(model_files(folder)), count)

    def test_densities_are_those_of_the_past(self):
        for model, group, dataset in self.subjects():
            with self.subTest(model):
                arrays, mean_nll = self.density(model, dataset, "--seed", SEED)
                self.assertEqual(arrays["status"].tolist(), group["status"][:].tolist())
                self.assertLessEqual(deviation(arrays["log_prob"], group["log_prob"]), 1e-12)
                self.assertLessEqual(deviation(arrays["log_prob"], group["log_prob_numpy"]), 1e-12)
                self.assertLessEqual(deviation(arrays["z"], group["z"]), 1e-12)
                self.assertLessEqual(deviation(mean_nll, group.attrs["mean_nll"]), 1e-12)

    def test_samples_are_those_of_the_past(self):
        for model, group, _ in self.subjects():
            with self.subTest(model):
                context = ["--context", group.attrs["context"]] if "context" in group.attrs else []
                self.assertSuccess(self.run_program("flow_sample", model, *SAMPLES, *context))
                with h5py.File(self.folder / "samples.h5") as file:
                    status = file["status"][:]
                    self.assertEqual(status.tolist(), group["samples_status"][:].tolist())
                    # The values of a sample that the inverse did not reach are not specified.
                    self.assertLessEqual(deviation(file["x"][:][status == 0], group["samples"][:][status == 0]), 1e-9)

    def test_the_reader_in_numpy_reads_them(self):
        for path, group, dataset in self.subjects():
            with self.subTest(path), h5py.File(dataset) as rows, h5py.File(path) as model:
                contexts = rows["context/test"][:] if "context" in rows else None
                noise = any(attributes(t)["kind"] == "dequantize" for t in model["flow/transforms"].values())
                log_prob = model_density.log_prob(model, rows["test"][:].astype(float), contexts,
                                                  **({"seed": SEED} if noise else {}))
                self.assertLessEqual(deviation(log_prob, group["log_prob"]), 1e-12)

    def test_an_array_of_anybodys_file_is_read(self):
        expected = self.expected()["maf"]
        arrays, _ = self.density(GOLDEN / "models" / "maf.h5", f"{GOLDEN}/datasets/bare.h5:/rows")
        self.assertLessEqual(deviation(arrays["log_prob"], expected["log_prob"]), 1e-12)

    def test_datasets_are_what_they_were(self):
        for name, lines in FACTS.items():
            with self.subTest(name):
                run = self.run_program("flow_data", "info", GOLDEN / "datasets" / f"{name}.h5")
                self.assertSuccess(run)
                said = [line.split() for line in run.stdout.splitlines()]
                for line in lines:
                    self.assertIn(line.split(), said)

    def test_a_changed_parameter_is_seen(self):
        shutil.copy(GOLDEN / "models" / "maf.h5", self.folder / "changed.h5")
        with h5py.File(self.folder / "changed.h5", "r+") as file:
            file["flow/transforms/001/layer_0/bias"][0] += 1e-8
        expected = self.expected()["maf"]
        arrays, _ = self.density("changed.h5", self.dataset(expected))
        self.assertGreater(deviation(arrays["log_prob"], expected["log_prob"]), 1e-12)
        self.assertLess(deviation(arrays["log_prob"], expected["log_prob"]), 1e-6)

    def test_deviations(self):
        self.assertEqual(deviation([1.0, -np.inf, np.nan], [1.0, -np.inf, np.nan]), 0)
        self.assertEqual(deviation([20.0, 0.5], [10.0, 0.0]), 1)
        for values, expected in [([np.nan], [1.0]), ([1.0], [np.nan]), ([np.inf], [-np.inf]), ([-np.inf], [1.0]),
                                 ([1.0, 1.0], [1.0]), ([0.0, np.nan], [0.0, np.inf])]:
            self.assertEqual(deviation(values, expected), np.inf)


cases.main()
