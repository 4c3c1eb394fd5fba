"""Other programs open every object and every attribute of the files that the programs write, and find in them what h5py
finds: numbers by their count and sum, text by its characters.

The readers are Debian's: netCDF4, xarray, PyTables, h5dump, R's hdf5r and rhdf5, and Octave. Those that are not installed
are skipped. Julia is not in Debian 12. The programs that list what a reader finds are in the folder readers. They walk
over whatever a file holds, and know nothing of its format.
"""

import importlib.util
import math
import os
import pathlib
import re
import shutil
import subprocess
import sys
import unittest

import h5py
import numpy as np

import cases
import flows
from flows import FlowTest

READERS = pathlib.Path(__file__).parent / "readers"
TIME_LIMIT = 120  # seconds for one reader of one file
NAMES = ["data.h5", "model.h5", "density.h5", "grid.h5", "stochastic.h5", "samples.h5", "log_det.h5"]


def has_library(name):
    """Whether R has a library."""
    if shutil.which("Rscript") is None:
        return False
    return subprocess.run(["Rscript", "-e", f"library({name})"], capture_output=True, check=False).returncode == 0


def objects_of(file):
    """(path, object) of everything in an HDF5 file."""
    objects = [("/", file)]
    file.visititems(lambda path, thing: objects.append(("/" + path, thing)))
    return objects


def value_of(value):
    """What the listing says of a value: ("number", count, sum) or ("text", characters)."""
    values = np.asarray(value)
    if values.dtype.kind in "biuf":
        numbers = values.astype(float).ravel()
        return "number", numbers.size, float(numbers[np.isfinite(numbers)].sum())
    texts = [text if isinstance(text, bytes) else str(text).encode() for text in values.ravel().tolist()]
    return "text", b"".join(texts).replace(b"\0", b"").hex()


def content_of(path):
    """All arrays and attributes of a file as h5py reads them: {(path, attribute or ""): value}."""
    content = {}
    with h5py.File(path) as file:
        for place, thing in objects_of(file):
            content.update({(place, name): value_of(thing.attrs[name]) for name in thing.attrs})
            if isinstance(thing, h5py.Dataset):
                content[place, ""] = value_of(thing[()])
    return content


def listing_of(output):
    """The listing that a reader prints, in the form of content_of()."""
    content = {}
    for line in output.splitlines():
        kind, path, attribute, count, value = line.split("\t")
        if kind == "number":
            content[path, attribute] = kind, int(count), float(value)
        else:
            content[path, attribute] = kind, value
    return content


def agree(found, expected):
    """Whether a reader finds the expected value. Sums differ by rounding, as they are taken in another order."""
    if found is None or expected is None or found[0] != expected[0] or found[0] != "number":
        return found == expected
    return found[1] == expected[1] and math.isclose(found[2], expected[2], rel_tol=1e-9, abs_tol=1e-9)


def differences(found, expected):
    """What a reader misses, finds in addition, or finds to be something else: {(path, attribute): (found, expected)}."""
    places = set(found) | set(expected)
    return {place: (found.get(place), expected.get(place)) for place in sorted(places)
            if not agree(found.get(place), expected.get(place))}


class Readers(FlowTest):
    def setUp(self):
        super().setUp()
        for name in NAMES:
            shutil.copy(self.files_folder() / name, self.folder / name)

    @classmethod
    def files_folder(cls):
        folder = flows.kept_folder() / "readers"
        if folder.exists():
            return folder
        maker = FlowTest()
        maker.folder = folder
        folder.mkdir()
        generator = np.random.default_rng(1)
        rows = ["höhe,winkel,gewicht,u,art"]
        rows += [f"{x:.6f},{y:.6f},{abs(w):.6f},{u:.6f},{kind}" for (x, y, w, u), kind in
                 zip(generator.normal(size=(200, 4)), ["STAR", "QSO", "GALAXY", "STAR"] * 50)]
        maker.write("a.csv", "\n".join(rows) + "\n")
        maker.succeed("flow_data", "import", "a.csv", "--weight", "gewicht", "--context", "u,art", "--one-hot", "art",
                      "--periodic", "winkel", "-o", "data.h5")
        maker.succeed("flow_train", "--data", "data.h5", "-o", "model.h5", "--model.blocks", 2, "--model.hidden", "4,4",
                      "--train.steps", 4, "--train.batch", 32, "--output.every", 1)
        at = ["--context", "u=0.5,art=STAR"]
        maker.succeed("flow_density", "model.h5", "data.h5", "-o", "density.h5")
        maker.succeed("flow_density", "model.h5", *at, "--grid", "-1:1:3,0:1:2", "-o", "grid.h5")
        maker.succeed("flow_density", "model.h5", "data.h5", *["--method", "roulette", "--standard_error", 1,
                      "--max_repeats", 8, "-o", "stochastic.h5"])
        maker.succeed("flow_sample", "model.h5", *at, "-n", 5, "-o", "samples.h5")
        maker.succeed("flow_logdet", "model.h5", "data.h5", "--rows", 3, "--repeats", 2, "--method", "series:3",
                      "--method", "krylov:2", "--gradient", "--spectrum", "-o", "log_det.h5")
        return folder

    def listing(self, command, **environment):
        run = subprocess.run(list(map(str, command)), cwd=self.folder, capture_output=True, text=True, check=False,
                             timeout=TIME_LIMIT, env={**os.environ, "PYTHONWARNINGS": "ignore", **environment})
        self.assertEqual(run.returncode, 0, run.stderr)
        return listing_of(run.stdout)

    def check(self, read):
        """A reader finds all that h5py finds."""
        for name in NAMES:
            with self.subTest(name):
                found, expected = read(name), content_of(self.folder / name)
                self.assertGreater(len(expected), 5)
                self.assertEqual(differences(found, expected), {})
        # The twin: a number that is changed and an attribute that is gone are seen.
        expected = content_of(self.folder / "density.h5")
        with h5py.File(self.folder / "density.h5", "a") as file:
            file["z"][3, 1] += 1e-3
            del file.attrs["log_det"]
        self.assertEqual(set(differences(read("density.h5"), expected)), {("/", "log_det"), ("/z", "")})

    def python(self, reader):
        return lambda name: self.listing([sys.executable, READERS / reader, name])

    def r(self, reader):
        return lambda name: self.listing(["Rscript", READERS / reader, name, READERS])

    @unittest.skipUnless(importlib.util.find_spec("netCDF4"), "there is no netCDF4")
    def test_netcdf4(self):
        self.check(self.python("netcdf4_reader.py"))

    @unittest.skipUnless(importlib.util.find_spec("xarray") and importlib.util.find_spec("netCDF4"),
                         "there is no xarray, or no netCDF4")
    def test_xarray(self):
        self.check(self.python("xarray_reader.py"))

    @unittest.skipUnless(importlib.util.find_spec("tables"), "there is no PyTables")
    def test_pytables(self):
        self.check(self.python("tables_reader.py"))

    @unittest.skipUnless(has_library("hdf5r"), "there is no hdf5r")
    def test_hdf5r(self):
        self.check(self.r("hdf5r_reader.R"))

    @unittest.skipUnless(has_library("rhdf5"), "there is no rhdf5")
    def test_rhdf5(self):
        self.check(self.r("rhdf5_reader.R"))

    @unittest.skipUnless(shutil.which("octave-cli"), "there is no Octave")
    def test_octave(self):
        def variable(path):
            """A path with the names of Octave's variables."""
            words = [re.sub(r"[^A-Za-z0-9_]", "_", word) for word in path.split("/")]
            return "/".join("_" + word if word[:1].isdigit() else word for word in words)

        def read(name):
            with h5py.File(self.folder / name) as file:
                roots = list(file)
            found = self.listing(["octave-cli", "--norc", "--quiet", READERS / "octave_reader.m"],
                                 READ_FILE=name, READ_NAMES=";".join(roots))
            # Octave reads no attributes, so those that h5py finds stand in for them.
            expected = content_of(self.folder / name)
            paths = {variable(path): path for path, attribute in expected if not attribute}
            found = {(paths.get(path, path), attribute): value for (path, attribute), value in found.items()
                     if value[0] != "error"}
            return {**{place: value for place, value in expected.items() if place[1]}, **found}

        self.check(read)

    @unittest.skipUnless(shutil.which("h5dump"), "there is no h5dump")
    def test_h5dump(self):
        def names_in(name):
            run = subprocess.run(["h5dump", name], cwd=self.folder, capture_output=True, text=True, check=False)
            self.assertEqual((run.returncode, run.stderr), (0, ""))
            return {kind: sorted(re.findall(rf'^ *{kind} "(.*)" {{$', run.stdout, re.MULTILINE))
                    for kind in ["GROUP", "DATASET", "ATTRIBUTE"]}

        def names_of(name):
            names = {"GROUP": [], "DATASET": [], "ATTRIBUTE": []}
            with h5py.File(self.folder / name) as file:
                for path, thing in objects_of(file):
                    kind = "DATASET" if isinstance(thing, h5py.Dataset) else "GROUP"
                    names[kind].append(path.split("/")[-1] or "/")
                    names["ATTRIBUTE"] += list(thing.attrs)
            return {kind: sorted(found) for kind, found in names.items()}

        for name in NAMES:
            with self.subTest(name):
                self.assertEqual(names_in(name), names_of(name))
        expected = names_of("density.h5")
        with h5py.File(self.folder / "density.h5", "a") as file:  # the twin
            del file.attrs["log_det"]
        self.assertNotEqual(names_in("density.h5"), expected)

    def test_all_kinds_of_objects_are_there(self):
        """What the files hold: contexts, weights, histories, grids, errors of stochastic log-dets, single blocks."""
        for name, paths in [("data.h5", ["/weight/train", "/context/train", "/feature_names", "/context_names"]),
                            ("model.h5", ["/history/step", "/context/mean", "/feature_names"]),
                            ("grid.h5", ["/grid/log_prob"]), ("stochastic.h5", ["/log_prob_std_error", "/repeats"]),
                            ("samples.h5", ["/x", "/feature_names"]),
                            ("log_det.h5", ["/methods", "/blocks/000/spectral_radius"])]:
            content = content_of(self.folder / name)
            for path in paths:
                self.assertIn((path, ""), content)


class Comparison(unittest.TestCase):
    def test_differences(self):
        expected = {("/a", ""): ("number", 2, 1.5), ("/", "k"): ("text", "6162")}
        self.assertEqual(differences(dict(expected), expected), {})
        for place, value in [(("/a", ""), ("number", 2, 1.5001)), (("/a", ""), ("number", 3, 1.5)),
                             (("/a", ""), ("number", 2, math.nan)), (("/", "k"), ("text", "6163")),
                             (("/", "k"), ("error", "ab")), (("/b", ""), ("number", 1, 0.0))]:
            self.assertEqual(set(differences({**expected, place: value}, expected)), {place})
        self.assertEqual(set(differences({}, expected)), set(expected))


cases.main()
