"""The comparison of the test of files of other programs: a wrong number, name, refusal or acceptance is seen."""

import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import numpy as np

import cases
import harness
import run
from files import FILES, accepted, refused
from readers import array, difference, netcdf, npy, npy_records, numbers, records

X = np.random.default_rng(3).normal(size=(7, 3))


class Comparison(unittest.TestCase):
    def test_equal_rows_and_the_next_number(self):
        self.assertEqual(difference(["a", "b", "c"], X, ["a", "b", "c"], X.copy()), "")
        self.assertEqual(difference([], np.nextafter(X, np.inf), None, X), "")
        self.assertEqual(difference([], np.array([[np.inf, -0.0]]), None, np.array([[np.inf, 0.0]])), "")

    def test_twins(self):
        near = X.copy()
        near[4, 1] = np.nextafter(np.nextafter(near[4, 1], np.inf), np.inf)
        self.assertIn("1 values differ, the first in row 4, column 1", difference([], near, None, X))
        missing = X.copy()
        missing[0, 0] = np.nan
        self.assertIn("1 values differ", difference([], missing, None, X))
        self.assertIn("1 values differ", difference([], missing, None, missing))
        self.assertIn("values differ", difference([], X[::-1], None, X))
        self.assertIn("shape (6, 3), expected (7, 3)", difference([], X[1:], None, X))
        self.assertIn("shape (3, 7)", difference([], X.T, None, X))
        self.assertIn("name 'b', expected 'c'", difference(["a", "b"], X[:, :2], ["a", "c"], X[:, :2]))


class Verdicts(harness.ProgramTest):
    def verdict(self, entry, name):
        return run.judge(entry, self.folder / name, harness.program_path("flow_data"), self.folder)[1]

    def test_readers_see_what_differs(self):
        self.write("a.txt", "\n".join(" ".join(map(repr, row)) for row in X.tolist()))
        self.assertEqual(self.verdict(accepted("p", "a.txt", numbers()), "a.txt"), "right: 21 values")
        for wrong in [numbers(skiprows=1), numbers(usecols=(0, 2, 1)), numbers(max_rows=6)]:
            self.assertTrue(self.verdict(accepted("p", "a.txt", wrong), "a.txt").startswith("WRONG: "))

    def test_refusals(self):
        self.write("a.txt", "x y\n1 2\n3\n")
        self.assertEqual(self.verdict(refused("p", "a.txt", ":3: 1 fields", why=""), "a.txt"), "right")
        self.assertIn("WRONG: does not say", self.verdict(refused("p", "a.txt", ":2: 1 fields", why=""), "a.txt"))
        self.assertIn("WRONG: it can be read", self.verdict(accepted("p", "a.txt", numbers(skiprows=1)), "a.txt"))
        self.write("a.txt", "x y\n1 2\n3 4\n")
        self.assertIn("WRONG: exit code 0", self.verdict(refused("p", "a.txt", "x", why=""), "a.txt"))

    def test_arrays(self):
        import h5py
        items = np.zeros(4, [("a", "f4"), ("s", [("b", "i2"), ("w", "S3")]), ("k", "f8", (2,))])
        items["a"], items["k"] = [1, 2, 3, 4], 0.5
        np.save(self.folder / "x.npy", X)
        np.save(self.folder / "r.npy", items[["a"]])
        with h5py.File(self.folder / "a.h5", "w") as file:
            file["x"], file["r"] = X, items
        self.assertEqual(self.verdict(accepted("p", "x.npy", npy()), "x.npy"), "right: 21 values")
        self.assertIn("WRONG", self.verdict(accepted("p", "x.npy", lambda path: (None, -X)), "x.npy"))
        self.assertEqual(self.verdict(accepted("p", "", npy_records()), "r.npy"), "right: 4 values")
        self.assertEqual(self.verdict(accepted("p", "", array("x"), inside="x"), "a.h5"), "right: 21 values")
        self.assertIn("WRONG: shape", self.verdict(accepted("p", "", array("x", True), inside="x"), "a.h5"))
        self.assertEqual(self.verdict(accepted("p", "", records("r"), inside="r"), "a.h5"), "right: 16 values")
        self.assertIn("WRONG", self.verdict(accepted("p", "", records("r"), inside="x"), "a.h5"))

    def test_netcdf(self):
        try:
            import netCDF4
        except ImportError:
            self.skipTest("there is no netCDF4")
        with netCDF4.Dataset(self.folder / "a.nc", "w") as file:
            file.createDimension("n", 5)
            packed = file.createVariable("t", "i2", ("n",), fill_value=-9)
            packed.scale_factor, packed.add_offset = 0.5, 2.0
            packed[:3] = [1, 2, 3]
        entry = accepted("p", "a.nc", netcdf("t"), inside="t", arguments=["--drop-nonfinite"])
        self.assertEqual(self.verdict(entry, "a.nc"), "right: 3 values")
        entry.read = array("t")
        self.assertIn("WRONG", self.verdict(entry, "a.nc"))


class Packages(unittest.TestCase):
    def test_what_cannot_be_fetched_is_skipped(self):
        with tempfile.TemporaryDirectory() as folder:
            environment = {**os.environ, "PATH": folder}  # without apt-get
            command = [sys.executable, pathlib.Path(run.__file__), "--cache", folder, "--only", FILES[0].path]
            found = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
            self.assertEqual(found.returncode, 0, found.stderr)
            self.assertIn("skipped: no such package", found.stdout)
            self.assertIn("# 0 right, 0 wrong, 1 skipped", found.stdout)
            (pathlib.Path(folder) / FILES[0].package).mkdir()
            found = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
            self.assertIn("skipped: no such file in it", found.stdout)


class List(unittest.TestCase):
    def test_each_file_has_what_is_right(self):
        self.assertGreaterEqual(len({(entry.package, entry.path) for entry in FILES}), 50)
        for entry in FILES:
            self.assertNotEqual(entry.read is None, not entry.words, entry.path)
            self.assertTrue(entry.words == () or entry.why, entry.path)

    def test_the_log_is_of_this_list(self):
        lines = (pathlib.Path(__file__).parent / "log.txt").read_text().splitlines()
        rows = [line.split(" | ") for line in lines if not line.startswith(("#", "    "))]
        shown = [entry.path + (f":{entry.inside}" if entry.inside else "") for entry in FILES]
        self.assertEqual([row[0] for row in rows], shown)
        self.assertEqual({row[-1].split(":")[0] for row in rows}, {"right"})
        self.assertIn(f"# {len(FILES)} right, 0 wrong, 0 skipped", lines)


cases.main()
