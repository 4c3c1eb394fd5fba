"""Each row of the table of formats in data/README.md as a test: a library writes a file, flow_data imports it, and the
numbers are those that the library reads."""

import contextlib
import importlib.util
import shutil
import struct
import subprocess
import unittest
import zipfile

import h5py
import numpy as np

import cases
import flows
from harness import ProgramTest
from rows_of_tables import rows_of, test_name

X = np.random.default_rng(6).normal(size=(9, 4))
MISSING = np.where(np.arange(36).reshape(9, 4) % 11 == 5, np.nan, X)


def has(module):
    return importlib.util.find_spec(module) is not None


def complete(rows):
    """The rows without missing values."""
    return rows[np.isfinite(rows).all(axis=1)]


class Formats(ProgramTest):
    def imported(self, location, *arguments):
        """Rows, names and report of an import whose rows are all for training."""
        run = self.run_program("flow_data", "import", location, *arguments, "--split", "1,0,0", "-o", "out.h5")
        self.assertSuccess(run)
        with h5py.File(self.folder / "out.h5") as file:
            rows, names = file["train"][()], flows.texts(file["feature_names"])
        (self.folder / "out.h5").unlink()
        return rows, names, run.stdout

    def agree(self, location, expected, *arguments):
        """The imported rows are the expected ones. Gives the report."""
        rows, _, report = self.imported(location, *arguments)
        expected = np.asarray(expected, dtype=float)
        np.testing.assert_array_equal(rows, expected.reshape(len(expected), -1))
        return report

    def differ(self, location, other, *arguments):
        """The twin: the imported rows are not these."""
        rows, _, _ = self.imported(location, *arguments)
        other = np.asarray(other, dtype=float)
        self.assertFalse(np.array_equal(rows, other.reshape(len(other), -1)))

    def refused(self, location, code, *messages, arguments=()):
        run = self.run_program("flow_data", "import", location, *arguments, "-o", "out.h5")
        self.assertFailure(run, code, *messages)

    @contextlib.contextmanager
    def h5(self, name="a.h5"):
        with h5py.File(self.folder / name, "w") as file:
            yield file

    @unittest.skipUnless(has("pandas"), "there is no pandas")
    def test_separated_text(self):
        import pandas
        frame = pandas.DataFrame(X, columns=list("abcd"))
        for name, options in [("a.csv", {}), ("a.csv.gz", {}), ("a.csv.bz2", {}), ("a.csv.xz", {}),
                              ("a.tsv", {"sep": "\t"})]:
            frame.to_csv(self.folder / name, index=False, **options)
            expected = pandas.read_csv(self.folder / name, float_precision="round_trip", **options)
            self.agree(name, expected)
            self.assertEqual(self.imported(name)[1], list(expected.columns))
        self.differ("a.csv", expected[list("abdc")])
        pandas.DataFrame(MISSING).to_csv(self.folder / "m.csv", index=False, header=list("abcd"))
        self.agree("m.csv", pandas.read_csv(self.folder / "m.csv", float_precision="round_trip").dropna(),
                   "--drop-nonfinite")

    @unittest.skipUnless(has("pandas"), "there is no pandas")
    def test_zip_of_a_text(self):
        import pandas
        frame = pandas.DataFrame(X, columns=list("abcd"))
        frame.to_csv(self.folder / "a.zip", index=False, compression={"method": "zip", "archive_name": "a.csv"})
        expected = pandas.read_csv(self.folder / "a.zip", float_precision="round_trip")
        self.agree("a.zip", expected)
        with zipfile.ZipFile(self.folder / "a.zip", "a") as archive:
            archive.writestr("b.csv", (-frame).to_csv(index=False))
        self.refused("a.zip", 3, "choose one as a.zip:MEMBER")
        self.agree("a.zip:a.csv", expected)
        self.agree("a.zip:b.csv", -expected)
        self.differ("a.zip:b.csv", expected)

    def test_npy(self):
        arrays = {"line": X[:, 0], "rows": X, "fortran": np.asfortranarray(X), "cube": X.reshape(9, 2, 2),
                  "fortran_cube": np.asfortranarray(X.reshape(9, 2, 2)), "bool": X > 0}
        for kind in ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"]:
            arrays["little_" + kind] = np.abs(100 * X).astype("<" + kind)
            arrays["big_" + kind] = np.abs(100 * X).astype(">" + kind)
        for name, values in arrays.items():
            np.save(self.folder / name, values)
            self.agree(f"{name}.npy", np.load(self.folder / f"{name}.npy"))
        self.differ("big_i2.npy", arrays["big_i2"].view("<i2"))
        self.differ("fortran_cube.npy", arrays["fortran_cube"].reshape(9, 4, order="F"))
        records = np.zeros(9, [("a", "<f4"), ("b", ">i2", (2,)), ("day", "M8[D]"), ("c", [("d", "f8")])])
        records["a"], records["b"], records["c"]["d"] = X[:, 0], np.arange(18).reshape(9, 2) - 5, X[:, 1]
        np.save(self.folder / "records", records)
        self.agree("records.npy", np.column_stack([records["a"], records["b"], records["c"]["d"]]))
        self.assertEqual(self.imported("records.npy")[1], ["a", "b[0]", "b[1]", "c.d"])
        np.save(self.folder / "missing", MISSING)
        self.agree("missing.npy", complete(MISSING), "--drop-nonfinite")
        self.refused("missing.npy", 3, "is missing, NaN or infinite")

    def test_npz(self):
        for save in [np.savez, np.savez_compressed]:
            save(self.folder / "one.npz", X)
            save(self.folder / "two.npz", first=X, second=-X)
            self.agree("one.npz", X)
            with np.load(self.folder / "two.npz") as content:
                for name in content.files:
                    self.agree(f"two.npz:{name}", content[name])
            self.differ("two.npz:first", -X)
            self.refused("two.npz", 3, "holds several arrays; choose one as two.npz:NAME; there is first, second")

    def test_hdf5(self):
        kinds = {"A": 0, "B": 1, "C": 5}
        records = np.zeros(9, [("m", "<f8"), ("name", "S4"), ("spin", [("x", ">f4"), ("y", "i2")]), ("k", "f8", (2,))])
        records["m"], records["spin"]["x"], records["spin"]["y"], records["k"] = X[:, 0], X[:, 1], 7, X[:, 2:]
        with self.h5() as file:
            for kind in ["<f2", ">f4", "<f8", ">i2", "<u8", "i1"]:
                file.create_dataset("kind" + kind[1:], data=np.abs(50 * X).astype(kind), chunks=(4, 2),
                                    compression="gzip", shuffle=True, fletcher32=True)
            file["deep/cube"] = X.reshape(9, 2, 2)
            file["line"] = X[:, 0]
            file["bool"] = X > 0
            file.create_dataset("enum", data=np.array([0, 1, 5] * 3), dtype=h5py.enum_dtype(kinds))
            file["records"] = records
            file["missing"] = MISSING
            numeric = [name for name in file if name not in ("records", "missing", "deep")] + ["deep/cube"]
        with h5py.File(self.folder / "a.h5") as file:
            read = {name: file[name][()] for name in numeric}
        for name, values in read.items():
            self.agree(f"a.h5:/{name}", values)
        self.differ("a.h5:/bool", ~read["bool"])
        self.differ("a.h5:/deep/cube", read["deep/cube"].transpose(0, 2, 1))
        expected = np.column_stack([records["m"], records["spin"]["x"], records["spin"]["y"], records["k"]])
        self.assertIn("without the members that hold no numbers: name", self.agree("a.h5:/records", expected))
        self.assertEqual(self.imported("a.h5:/records")[1], ["m", "spin.x", "spin.y", "k[0]", "k[1]"])
        self.agree("a.h5:/missing", complete(MISSING), "--drop-nonfinite")
        self.refused("a.h5", 3, "arrays; choose one: a.h5:/")
        for name in ["only", "group/only"]:
            with self.h5() as file:
                file[name] = X
            self.agree("a.h5", X)

    @unittest.skipUnless(has("netCDF4"), "there is no netCDF4")
    def test_netcdf_4(self):
        import netCDF4
        with netCDF4.Dataset(self.folder / "a.nc", "w") as file:
            file.createDimension("n", 9)
            file.createDimension("d", 4)

            def variable(name, kind, raw, fill=None, **attributes):
                made = file.createVariable(name, kind, ("n", "d"), fill_value=fill, zlib=True)
                made.set_auto_maskandscale(False)
                made.setncatts(attributes)
                made[...] = raw

            raw = np.arange(36).reshape(9, 4)
            variable("plain", "f8", X)
            variable("packed", "i2", raw - 9, scale_factor=0.25, add_offset=-3.5)
            variable("filled", "i4", raw, 7)
            variable("missing", "f8", raw, missing_value=np.array([3.0, 14.0]))
            variable("range", "f4", raw, valid_range=np.array([2, 30], "f4"))
            variable("ends", "f4", raw, valid_min=np.float32(6), valid_max=np.float32(33))
            variable("all", "i2", raw, 8, scale_factor=0.5, add_offset=1.0, valid_max=np.int16(31))
            variable("unsigned", "i1", raw * 7 - 127, _Unsigned="true")
            variable("unsigned_filled", "i1", raw * 7 - 127, -1, _Unsigned="true", scale_factor=2.0)
            unwritten = file.createVariable("unwritten", "f4", ("n", "d"))
            unwritten[2:5] = 1.5
            integers = file.createVariable("unwritten_integers", "i8", ("n", "d"))
            integers[1:] = raw[1:]
            names = list(file.variables)
        for name in names:
            with netCDF4.Dataset(self.folder / "a.nc") as file:
                file[name].set_always_mask(True)
                values = file[name][...]
                file[name].set_auto_maskandscale(False)
                stored = file[name][...]
            expected = complete(np.ma.filled(values.astype(float), np.nan))
            self.agree(f"a.nc:/{name}", expected, "--drop-nonfinite")
            if name != "plain":
                self.differ(f"a.nc:/{name}", stored, "--drop-nonfinite")  # the twin: the raw values
            if len(expected) < 9:
                self.refused(f"a.nc:/{name}", 3, "is missing, NaN or infinite", "Drop them")
        # netCDF4 scales in the precision of scale_factor; flow_data scales in double precision.
        with netCDF4.Dataset(self.folder / "b.nc", "w") as file:
            file.createDimension("n", 9)
            single = file.createVariable("t", "i2", ("n",))
            single.scale_factor = np.float32(0.1)
            single.set_auto_maskandscale(False)
            single[:] = np.arange(9)
        self.agree("b.nc:/t", np.arange(9) * float(np.float32(0.1)))
        with netCDF4.Dataset(self.folder / "b.nc") as file:
            self.assertEqual(file["t"][...].dtype, np.float32)
            np.testing.assert_allclose(file["t"][...], np.arange(9) * float(np.float32(0.1)), rtol=1e-7)

    def test_matlab_7_3_and_octave_s_hdf5(self):
        with self.h5("m.mat") as file:  # as MATLAB writes it: columns first, with the class as an attribute
            for name, kind in [("X", "double"), ("S", "single"), ("I", "int16"), ("B", "logical")]:
                values = {"X": X, "S": X.astype("f4"), "I": (100 * X).astype("i2"), "B": (X > 0).astype("u1")}[name]
                file[name] = values.T
                file[name].attrs["MATLAB_class"] = np.bytes_(kind)
            file["M"] = MISSING.T
            file["M"].attrs["MATLAB_class"] = np.bytes_("double")
        with h5py.File(self.folder / "m.mat") as file:
            for name in ["X", "S", "I", "B"]:
                self.assertIn("because MATLAB wrote it", self.agree(f"m.mat:/{name}", file[name][()].T))
                self.agree(f"m.mat:/{name}", file[name][()], "--transpose", "no")
                self.differ(f"m.mat:/{name}", file[name][()])
        self.agree("m.mat:/M", complete(MISSING), "--drop-nonfinite")
        with self.h5("plain.h5") as file:
            file["x"] = X
        self.agree("plain.h5", X)
        self.agree("plain.h5", X.T, "--transpose", "yes")
        if shutil.which("octave-cli") is None:
            self.skipTest("there is no Octave; the files that MATLAB writes were tested")
        np.savetxt(self.folder / "x.txt", X, fmt="%.17g")
        code = "X = load('x.txt'); I = int32(X); B = X > 0; save('-hdf5', 'o.h5', 'X', 'I', 'B'); I(1:2, :)"
        subprocess.run(["octave-cli", "--eval", code], cwd=self.folder, capture_output=True, check=False)
        for name, values in [("X", X), ("I", np.round(X)), ("B", X > 0)]:
            self.assertIn("because Octave wrote it", self.agree(f"o.h5:/{name}/value", values))
            self.differ(f"o.h5:/{name}/value", np.asarray(values).T)

    def test_idx(self):
        images = np.arange(3 * 4 * 5, dtype="u1").reshape(3, 4, 5)
        (self.folder / "images").write_bytes(struct.pack(">4B3i", 0, 0, 8, 3, 3, 4, 5) + images.tobytes())
        (self.folder / "labels").write_bytes(struct.pack(">4Bi", 0, 0, 8, 1, 3) + bytes([7, 0, 9]))
        self.agree("images", images)
        self.differ("images", images.transpose(0, 2, 1))
        self.agree("images+labels", np.column_stack([[7, 0, 9], images.reshape(3, -1)]))
        run = self.run_program("flow_data", "import", "images", "--split", "1,0,0", "-o", "out.h5")
        self.assertSuccess(run)
        with h5py.File(self.folder / "out.h5") as file:
            self.assertEqual(file.attrs["image_shape"].tolist(), [4, 5, 1])
        (self.folder / "short").write_bytes((self.folder / "images").read_bytes()[:-1])
        self.refused("short", 5, "short: ")

    def test_cifar(self):
        generator = np.random.default_rng(7)
        labels = np.array([3, 9], "u1")
        pixels = generator.integers(0, 256, size=(2, 3, 32, 32), dtype="u1")  # three planes of each image
        content = b"".join(bytes([label]) + image.tobytes() for label, image in zip(labels, pixels))
        (self.folder / "data_batch_1.bin").write_bytes(content)
        expected = np.column_stack([labels, pixels.transpose(0, 2, 3, 1).reshape(2, -1)])
        self.agree("data_batch_1.bin", expected)
        self.differ("data_batch_1.bin", np.column_stack([labels, pixels.reshape(2, -1)]))
        (self.folder / "data_batch_2.bin").write_bytes(content[:-1])
        run = self.run_program("flow_data", "import", "data_batch_2.bin", "-o", "out.h5")
        self.assertNotEqual(run.returncode, 0)


class Table(unittest.TestCase):
    def test_each_row_has_a_test(self):
        rows = rows_of("What `flow_data import` reads")
        self.assertGreater(len(rows), 7)
        self.assertEqual([row for row in rows if not hasattr(Formats, test_name(row))], [])
        self.assertFalse(hasattr(Formats, test_name("a row without a test")))


cases.main()
