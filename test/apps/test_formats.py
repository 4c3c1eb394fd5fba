"""Files of other programs: what is read, what is refused by name, and what other programs make of ours."""

import bz2
import gzip
import importlib.util
import lzma
import os
import shutil
import struct
import subprocess
import sys
import unittest
import zipfile

import h5py
import numpy as np

import cases
import flows
from harness import ProgramTest

X = np.round(np.random.default_rng(1).normal(size=(20, 3)), 3)
TEXT = "a,b,c\n" + "".join(",".join(map(str, row)) + "\n" for row in X)


class Formats(ProgramTest):
    def data(self, *arguments, **options):
        return self.run_program("flow_data", *arguments, **options)

    def imported(self, *arguments, **options):
        """The rows for training that an import makes, and its report."""
        run = self.data("import", *arguments, "--split", "1,0,0", "-o", "out.h5", **options)
        self.assertSuccess(run)
        with h5py.File(self.folder / "out.h5") as file:
            rows = file["train"][()]
        (self.folder / "out.h5").unlink()
        return rows[np.lexsort(rows.T[::-1])], run.stdout

    def assertImports(self, name, expected, report="", arguments=()):
        rows, stdout = self.imported(name, *arguments)
        expected = np.asarray(expected, dtype=float)
        np.testing.assert_allclose(rows, expected[np.lexsort(expected.T[::-1])], rtol=1e-12)
        self.assertIn(report, stdout)

    def assertRefuses(self, name, code, *messages):
        run = self.data("import", name, "-o", "out.h5")
        for message in messages:
            self.assertFailure(run, code, message)
        self.assertFalse((self.folder / "out.h5").exists())

    def h5(self, name="a.h5", **options):
        return h5py.File(self.folder / name, "w", **options)

    def bytes(self, name, content):
        (self.folder / name).write_bytes(content)
        return name


class Packed(Formats):
    def packers(self):
        packers = {".gz": gzip.compress, ".xz": lzma.compress, ".bz2": bz2.compress}
        if shutil.which("zstd"):
            packers[".zst"] = lambda b: subprocess.run(["zstd", "-q", "-c"], input=b, capture_output=True,
                                                       check=True).stdout
        return packers

    def test_text_and_arrays_are_unpacked(self):
        np.save(self.folder / "x.npy", X)
        array = (self.folder / "x.npy").read_bytes()
        for ending, pack in self.packers().items():
            with self.subTest(ending):
                self.assertImports(self.bytes("a.csv" + ending, pack(TEXT.encode())), X)
                self.assertImports(self.bytes("x.npy" + ending, pack(array)), X)
                half = len(TEXT) // 2
                parts = pack(TEXT[:half].encode()) + pack(TEXT[half:].encode())
                self.assertImports(self.bytes("two.csv" + ending, parts), X)

    def test_damage_is_an_error(self):
        for ending, pack in self.packers().items():
            whole = pack(TEXT.encode() * 50)
            for name, content in [("short", whole[:-3]), ("half", whole[:len(whole) // 2]),
                                  ("bent", whole[:60] + bytes([whole[60] ^ 255]) + whole[61:])]:
                with self.subTest(name + ending):
                    file = self.bytes(name + ".csv" + ending, content)
                    self.assertRefuses(file, 5, f"{file}: cannot be unpacked: it is truncated or damaged")

    def test_zip_of_one_file(self):
        with self.h5() as file:
            file["x"] = X
        with zipfile.ZipFile(self.folder / "a.zip", "w") as archive:
            archive.write(self.folder / "a.h5", "a.h5")
        self.assertImports("a.zip", X)
        with zipfile.ZipFile(self.folder / "a.zip", "a") as archive:
            archive.writestr("readme.md", "words")
        self.assertRefuses("a.zip", 3, "a.zip: is a zip archive with 0 members of text; choose one as a.zip:MEMBER")

    def test_hdf5_is_unpacked(self):
        with self.h5() as file:
            file["x"] = X
        self.bytes("b.h5.gz", gzip.compress((self.folder / "a.h5").read_bytes()))
        self.assertImports("b.h5.gz", X)

    def test_zip_of_a_text(self):
        with zipfile.ZipFile(self.folder / "a.zip", "w") as archive:
            archive.writestr("readme.md", "words")
            archive.writestr("a.csv", TEXT)
        self.assertImports("a.zip", X, "read a.zip:a.csv")
        with zipfile.ZipFile(self.folder / "b.zip", "w") as archive:
            archive.writestr("a.csv", TEXT)
            archive.writestr("b.csv", "1,2\n")
        self.assertRefuses("b.zip", 3, "b.zip: is a zip archive with 2 members of text; choose one as b.zip:MEMBER")
        self.assertImports("b.zip:a.csv", X)


class Pipes(Formats):
    def piped(self, content):
        reading, writing = os.pipe()
        writer = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=writing)
        os.close(writing)
        name = f"/dev/fd/{reading}"
        writer.stdin.write(content)
        writer.stdin.close()
        try:
            return self.imported(name, pass_fds=[reading])[0]
        finally:
            os.close(reading)
            writer.wait()

    def test_pipes_are_read_to_their_end(self):
        np.save(self.folder / "x.npy", X)
        with self.h5() as file:
            file["x"] = X
        for content in [TEXT.encode(), gzip.compress(TEXT.encode()), (self.folder / "x.npy").read_bytes(),
                        (self.folder / "a.h5").read_bytes()]:
            rows = self.piped(content)
            np.testing.assert_allclose(rows, X[np.lexsort(X.T[::-1])])

    def test_other_programs_refuse_a_pipe(self):
        os.mkfifo(self.folder / "pipe")
        self.assertFailure(self.data("info", "pipe"), 5, "pipe: is a pipe or a device")


class Hdf5(Formats):
    def test_user_blocks(self):
        for block in [512, 1024, 4096]:
            with self.h5("m.mat", userblock_size=block) as file:
                file["X"] = X
            self.assertImports("m.mat", X)
            self.assertSuccess(self.data("info", "m.mat:X"))
        self.bytes("shifted.h5", bytes(300) + (self.folder / "m.mat").read_bytes())
        self.assertRefuses("shifted.h5", 3, "shifted.h5: is binary, not text")

    def test_matlab_arrays_are_transposed(self):
        with self.h5() as file:
            file["X"] = X.T
            file["X"].attrs["MATLAB_class"] = np.bytes_("double")
            file["#refs#/a"] = X
        self.assertImports("a.h5", X, "transposed because MATLAB wrote it")
        self.assertImports("a.h5", X.T, arguments=["--transpose", "no"])
        self.assertFailure(self.data("info", "a.h5:X"), 3, "a.h5:/X: is an array that MATLAB wrote")
        with self.h5() as file:
            file["X"] = X
        self.assertImports("a.h5", X.T, "transposed", arguments=["--transpose", "yes"])
        self.assertImports("a.h5", X)

    def test_octave_arrays_are_transposed(self):
        with self.h5() as file:
            file["X/value"] = X.T
            file["X/type"] = np.bytes_("matrix")
            file["X"].attrs["OCTAVE_NEW_FORMAT"] = np.uint8(1)
        for name in ["a.h5", "a.h5:/X/value"]:
            self.assertImports(name, X, "transposed because Octave wrote it")
        self.assertImports("a.h5", X.T, arguments=["--transpose", "no"])
        self.assertFailure(self.data("info", "a.h5:X/value"), 3, "a.h5:/X/value: is an array that Octave wrote")
        with self.h5() as file:
            file["X/value"] = X.T
        self.assertImports("a.h5", X.T)  # the twin: any other program

    @unittest.skipUnless(shutil.which("octave-cli"), "there is no Octave")
    def test_octave(self):
        self.write("x.txt", "\n".join(" ".join(map(str, row)) for row in X))
        code = "X = load('x.txt'); save('-hdf5', 'x.h5', 'X'); save('-text', 'one.txt', 'X'); Y = X + 1; " \
               "save('-text', 'two.txt', 'X', 'Y'); save('-v4', 'x4.mat', 'X'); save('-v7', 'x7.mat', 'X'); " \
               "save('-binary', 'x.bin.dat', 'X')"
        subprocess.run(["octave-cli", "--eval", code], cwd=self.folder, capture_output=True, check=False)
        self.assertImports("x.h5", X)
        self.assertImports("one.txt", X)
        self.assertRefuses("two.txt", 3, "two.txt: holds 2 variables of Octave, X, Y; save one of them")
        self.assertRefuses("x4.mat", 3, "is a MATLAB 4 file")
        self.assertRefuses("x7.mat", 3, "is a MATLAB 5 file")
        self.assertRefuses("x.bin.dat", 3, "is an Octave file; save it in Octave with -hdf5")

    def test_values_that_netcdf_never_wrote(self):
        fills = {"i2": -2**15 + 1, "u2": 2**16 - 1, "i4": -2**31 + 1, "u4": 2**32 - 1, "i8": -2**63 + 2,
                 "u8": 2**64 - 2, "f4": 9.9692099683868690e36, "f8": 9.9692099683868690e36}
        for properties in [True, False]:
            with self.h5() as file:
                if properties:
                    file.attrs["_NCProperties"] = "version=2"
                for kind, fill in fills.items():
                    file[kind] = np.array([1, fill, 3], kind)
                file["bytes"] = np.array([1, -127, 255 - 256], "i1")
            for kind, fill in fills.items():
                if properties:
                    self.assertRefuses(f"a.h5:{kind}", 3, "1 values missing by netCDF's default fill value), row 2")
                    self.assertImports(f"a.h5:{kind}", [[1], [3]], arguments=["--drop-nonfinite"])
                else:  # the twin: in files of other programs the numbers are numbers
                    self.assertImports(f"a.h5:{kind}", [[1], [float(np.array(fill, kind))], [3]])
            self.assertImports("a.h5:bytes", [[1], [-127], [-1]])

    def test_attributes_of_netcdf(self):
        raw = np.array([[2000, 1], [2100, 3], [-32768, 2], [1900, 900]], "i2")
        with self.h5() as file:
            array = file.create_dataset("t", data=raw)
            array.attrs["scale_factor"], array.attrs["add_offset"] = 0.01, 273.15
            array.attrs["_FillValue"], array.attrs["missing_value"] = np.int16(-32768), np.array([900, 901], "i2")
        self.assertRefuses("a.h5", 3, "a.h5:/t (2 values missing by _FillValue, missing_value), row 3")
        self.assertImports("a.h5", raw[:2] * 0.01 + 273.15, "multiplied by scale_factor 0.01, add_offset 273.15 added",
                           arguments=["--drop-nonfinite"])
        self.assertFailure(self.data("info", "a.h5:t"), 3,
                           "its attributes say that the numbers mean something else: scale_factor, add_offset")
        with self.h5() as file:
            file["t"] = raw
            file["t"].attrs["units"] = "K"
        self.assertImports("a.h5", raw)  # the twin: without the attributes the raw values are the data

    def test_signs_and_ranges(self):
        with self.h5() as file:
            array = file.create_dataset("u", data=np.array([1, -1, -2, 100], "i1"))
            array.attrs["_Unsigned"], array.attrs["_FillValue"] = "true", np.int8(-1)
            array = file.create_dataset("f", data=np.array([1, 2, 1e20, 7], "f4"))
            array.attrs["_FillValue"], array.attrs["valid_range"] = 1e20, [0.0, 5.0]
            file["f"].attrs["valid_max"] = 5.0
        self.assertImports("a.h5:u", [[1], [254], [100]], arguments=["--drop-nonfinite"])
        self.assertImports("a.h5:f", [[1], [2]], arguments=["--drop-nonfinite"])

    def test_types(self):
        with self.h5() as file:
            file["bool"] = X > 0
            file["half"] = X.astype("f2")
            file["big"] = X.astype(">f4")
            file["list"] = X[:, 0]
            file.create_dataset("kind", data=np.arange(20) % 3, dtype=h5py.enum_dtype({"A": 0, "B": 1, "C": 2}))
        self.assertImports("a.h5:bool", X > 0)
        self.assertImports("a.h5:half", X.astype("f2"))
        self.assertImports("a.h5:big", X.astype("f4"))
        self.assertImports("a.h5:list", X[:, :1])
        self.assertImports("a.h5:kind", (np.arange(20) % 3)[:, None])

    def test_records_become_columns(self):
        records = np.zeros(20, [("m", "<f8"), ("name", "S4"), ("spin", [("x", ">f4"), ("y", "i2")]), ("k", "f8", (2,)),
                                ("ok", "?")])
        records["m"], records["spin"]["y"], records["k"], records["ok"] = X[:, 0], 7, X[:, 1:], X[:, 0] > 0
        with self.h5() as file:
            file["samples/posterior"] = records
        run = self.data("import", "a.h5", "--split", "1,0,0", "-o", "b.h5")
        self.assertSuccess(run)
        self.assertIn("records without the members that hold no numbers: name", run.stdout)
        with h5py.File(self.folder / "b.h5") as file:
            names = flows.texts(file["feature_names"])
        self.assertEqual(names, ["m", "spin.x", "spin.y", "k[0]", "k[1]", "ok"])
        expected = np.column_stack([X[:, 0], 0 * X[:, 0], 0 * X[:, 0] + 7, X[:, 1:], X[:, 0] > 0])
        self.assertImports("a.h5", expected)

    def test_arrays_are_found_and_named(self):
        with self.h5() as file:
            for i in range(10):
                file[f"df/block{i}_values"] = X
        self.assertRefuses("a.h5", 3, "a.h5: holds 10 arrays; choose one: a.h5:/df/block0_values, ", "(10 in all)")
        self.assertImports("a.h5:/df/block0_values", X)
        with self.h5() as file:
            file["df/values"] = X
            file["df/axis"] = ["a", "b"]
            file["again"] = h5py.SoftLink("/df")
        self.assertImports("a.h5", X)
        with self.h5() as file:
            file["words"] = ["a", "b"]
        self.assertRefuses("a.h5", 3, "a.h5: holds no array of numbers; /words is an array of text elements")

    def test_links_that_lead_nowhere(self):
        with self.h5() as file:
            file["soft"] = h5py.SoftLink("/gone")
            file["far"] = h5py.ExternalLink("absent.h5", "/x")
        self.assertRefuses("a.h5:soft", 3, "a.h5:/soft: is a link to '/gone', which is not in the file")
        self.assertRefuses("a.h5:/far", 3, "a.h5:/far: is a link to absent.h5:/x, which cannot be opened")
        self.assertRefuses("a.h5", 3, "no array of numbers can be opened; /far is a link to absent.h5:/x")
        with self.h5("absent.h5") as file:
            file["x"] = X
        self.assertImports("a.h5:/far", X)

    def test_a_filter_that_is_missing(self):
        creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        creation.set_chunk((20, 3))
        creation.set_filter(32001, h5py.h5z.FLAG_OPTIONAL, (0,) * 7)
        with self.h5() as file:
            space = h5py.h5s.create_simple((20, 3))
            array = h5py.h5d.create(file.id, b"x", h5py.h5t.IEEE_F64LE, space, creation)
            array.write_direct_chunk((0, 0), X.tobytes(), 0)
        self.assertRefuses("a.h5", 5, "is packed with a filter that is not installed here: number 32001", "h5repack")

    def test_parts_that_no_file_holds(self):
        layout = h5py.VirtualLayout(shape=(40, 3), dtype="f8")
        for i in range(2):
            with self.h5(f"part{i}.h5") as file:
                file["x"] = X + i
            layout[20 * i:20 * (i + 1)] = h5py.VirtualSource(f"part{i}.h5", "x", shape=(20, 3))
        with self.h5() as file:
            file.create_virtual_dataset("x", layout, fillvalue=0)
        self.assertImports("a.h5", np.concatenate([X, X + 1]))
        os.rename(self.folder / "part1.h5", self.folder / "away.h5")
        self.assertRefuses("a.h5", 5, "a.h5:/x: is a virtual array, and its part part1.h5:x cannot be opened")
        self.assertFailure(self.data("info", "a.h5:x"), 5, "part1.h5:x cannot be opened")
        half = h5py.VirtualLayout(shape=(40, 3), dtype="f8")
        half[:20] = h5py.VirtualSource("part0.h5", "x", shape=(20, 3))
        with self.h5() as file:
            file.create_virtual_dataset("x", half, fillvalue=0)
        self.assertRefuses("a.h5", 5, "only 60 of its 120 elements have a source")

    def test_raw_files_that_are_missing(self):
        self.bytes("raw.bin", X.tobytes())
        with self.h5() as file:
            file.create_dataset("x", (20, 3), "f8", external=[("raw.bin", 0, X.nbytes)])
        self.assertImports("a.h5", X)
        self.bytes("raw.bin", X.tobytes()[:-8])
        self.assertRefuses("a.h5", 5, "a.h5:/x: has its elements in the file raw.bin, which is truncated: 472 of 480")
        (self.folder / "raw.bin").unlink()
        self.assertRefuses("a.h5", 5, "raw.bin, which cannot be read: No such file")


class OtherKinds(Formats):
    def test_kinds_are_named(self):
        zeros = bytes(64)
        for content, message in [
                (b"CDF\x01" + zeros, "is a netCDF-3 file; convert it with nccopy -k nc4"),
                (b"CDF\x05" + zeros, "is a netCDF-3 file"),
                (b"MATLAB 5.0 MAT-file, Platform" + zeros, "is a MATLAB 5 file; save it in MATLAB with the flag -v7.3"),
                (b"PAR1\x15\x04" + zeros + b"PAR1", "is a Parquet file"),
                (b"ARROW1\0\0" + zeros, "is an Arrow or Feather file"),
                (b"\x80\x04\x95" + zeros, "is a Python pickle"),
                (b"SIMPLE  =                    T", "is a FITS file"),
                (b"RDX3\nX\n" + zeros, "is an RData file"),
                (gzip.compress(b"RDX3\nX\n" + zeros), "is an RData file"),
                (b"SQLite format 3\0", "is an SQLite database"),
                (b"%PDF-1.7\n", "is a PDF document"),
                (b"\x89PNG\r\n\x1a\n" + zeros, "is a picture"),
                (b"\xff\xd8\xff\xe0" + zeros, "is a picture"),
                (b"\x0e\x03\x13\x01" + zeros, "is an HDF4 file"),
                (b"GRIB\0\0\0\x02" + zeros, "is a GRIB file"),
                (b"root\0\0\xf3" + zeros, "is a ROOT file"),
                (struct.pack("<5i", 0, 2, 2, 0, 2) + b"x\0" + zeros, "is a MATLAB 4 file; save it in MATLAB with the"),
                (struct.pack(">5i", 1030, 2, 2, 1, 3) + b"xy\0" + zeros, "is a MATLAB 4 file"),
                (b"\x72\x02\x01\0" + zeros, "is a Stata file"),
                (b"\x69\x01\x01\0" + zeros, "is a Stata file"),
                (b"<stata_dta><header>", "is a Stata file"),
                (bytes(12) + b"\xc2\xea\x81\x60\xb3\x14" + zeros, "is a SAS file; save it as CSV"),
                (b"HEADER RECORD*******LIBRARY HEADER RECORD!!!!!!!", "is a SAS file"),
                (b"SR\0\4" + zeros, "is an IDL file"),
                (b"Octave-1-L" + zeros, "is an Octave file; save it in Octave with -hdf5"),
                (b"RIFF\x24\0\0\0WAVEfmt " + zeros, "is a sound or a film"),
                (b"\xef\xbb\xbf\n<!DOCTYPE html>\n<html>", "is an HTML page, not a table of numbers"),
                (b"<HTML><body>1,2</body></HTML>", "is an HTML page"),
                (b"<?xml version='1.0'?>\n<VOTABLE>", "is an XML file, not a table of numbers"),
                (b"% Iris\n%\n\n@RELATION iris\n@DATA\n1,2\n", "is an ARFF file; the rows below its line @data are CSV"),
                (b"1,2\n3,\x00\n", "is binary, not text (byte 6 is 0). What can be read is CSV")]:
            with self.subTest(message):
                self.bytes("a.dat", content)
                self.assertRefuses("a.dat", 3, f"a.dat: {message}")
        with zipfile.ZipFile(self.folder / "a.xlsx", "w") as archive:
            archive.writestr("[Content_Types].xml", "<x/>")
            archive.writestr("xl/worksheets/sheet1.xml", "<x/>")
        self.assertRefuses("a.xlsx", 3, "a.xlsx: is an Excel workbook; save it as CSV")

    def test_text_that_begins_alike_is_text(self):
        for name in ["root", "GRIB", "PAR1", "ARROW1", "BZh9", "RIFF", "@relative", "<htm", "%"]:
            self.write("a.csv", f"{name},y\n1,2\n3,4\n")
            self.assertImports("a.csv", [[1, 2], [3, 4]])


class OurFiles(Formats):
    def setUp(self):
        super().setUp()
        self.assertSuccess(self.run_program("flow_train", "--data.rows", 500, "--train.steps", 3, "-o", "m.h5"))
        self.assertSuccess(self.data("make", "moons", "--rows", 50, "-o", "d.h5"))
        self.assertSuccess(self.run_program("flow_sample", "m.h5", "-n", 5, "-o", "s.h5"))
        self.assertSuccess(self.run_program("flow_density", "m.h5", "d.h5", "-o", "p.h5"))

    def test_no_attribute_is_without_elements(self):
        for name in ["m.h5", "d.h5", "s.h5", "p.h5"]:
            empty = []
            with h5py.File(self.folder / name) as file:
                file.visititems(lambda path, thing: empty.extend(
                    f"{path}@{key}" for key in thing.attrs if np.size(thing.attrs[key]) == 0))
            self.assertEqual(empty, [])

    @unittest.skipUnless(shutil.which("h5dump"), "there is no h5dump")
    def test_h5dump(self):
        for name in ["m.h5", "d.h5", "s.h5", "p.h5"]:
            run = subprocess.run(["h5dump", name], cwd=self.folder, capture_output=True, text=True)
            self.assertEqual((run.returncode, run.stderr), (0, ""))

    def test_netcdf4(self):
        if importlib.util.find_spec("netCDF4") is None:
            self.skipTest("there is no netCDF4")
        code = """
import sys, netCDF4
def read(group):
    for variable in group.variables.values():
        variable[...]
        [variable.getncattr(name) for name in variable.ncattrs()]
    [group.getncattr(name) for name in group.ncattrs()]
    for inner in group.groups.values():
        read(inner)
for name in sys.argv[1:]:
    read(netCDF4.Dataset(name))
print(*(bytes(name).rstrip(b"\\0").decode() for name in netCDF4.Dataset("d.h5")["feature_names"][:].data))
"""
        # In a process of its own, because that library crashes on what it does not know.
        run = subprocess.run([sys.executable, "-c", code, "m.h5", "d.h5", "s.h5", "p.h5"], cwd=self.folder,
                             capture_output=True, text=True)
        self.assertEqual((run.returncode, run.stdout), (0, "x1 x2\n"), run.stderr)

    def test_results_as_tables(self):
        with h5py.File(self.folder / "s.h5") as file:
            x, log_prob = file["x"][()], file["log_prob"][()]
        for ranks in [0, 2]:
            for name in ["s.csv", "s.npy"]:
                self.assertSuccess(self.run_program("flow_sample", "m.h5", "-n", 5, "-o", name, ranks=ranks))
            np.testing.assert_allclose(np.load(self.folder / "s.npy"), x, rtol=1e-9)
            table = np.genfromtxt(self.folder / "s.csv", delimiter=",", names=True)
            self.assertEqual(table.dtype.names, ("x1", "x2", "log_prob", "status"))
            np.testing.assert_array_equal(np.column_stack([table["x1"], table["x2"]]), np.load(self.folder / "s.npy"))
            np.testing.assert_allclose(table["log_prob"], log_prob, rtol=1e-9)
        self.assertFalse(list(self.folder.glob(".*")))
        self.assertEqual(self.imported("s.csv")[0].shape, (5, 4))

    def test_densities_as_tables(self):
        for name in ["p.csv", "p.npy"]:
            self.assertSuccess(self.run_program("flow_density", "m.h5", "d.h5", "-o", name))
        with h5py.File(self.folder / "p.h5") as file:
            log_prob, z = file["log_prob"][()], file["z"][()]
        np.testing.assert_array_equal(np.load(self.folder / "p.npy"), log_prob)
        table = np.genfromtxt(self.folder / "p.csv", delimiter=",", names=True)
        self.assertEqual(table.dtype.names, ("log_prob", "status", "z1", "z2"))
        np.testing.assert_array_equal(table["z2"], z[:, 1])
        grid = ["--grid", "-1:1:3,0:1:2"]
        for name in ["g.h5", "g.csv", "g.npy"]:
            self.assertSuccess(self.run_program("flow_density", "m.h5", *grid, "-o", name))
        with h5py.File(self.folder / "g.h5") as file:
            values = file["grid/log_prob"][()]
        np.testing.assert_array_equal(np.load(self.folder / "g.npy"), values)
        table = np.genfromtxt(self.folder / "g.csv", delimiter=",", names=True)
        np.testing.assert_array_equal(table["log_prob"], values.ravel())
        np.testing.assert_array_equal(table["x"], [-1, 0, 1] * 2)
        run = self.run_program("flow_density", "m.h5", "d.h5", *grid, "-o", "g.csv")
        self.assertFailure(run, 2, "--output g.csv: a table holds the rows of DATA or the points of --grid")

    def test_names_that_promise_another_format(self):
        run = self.run_program("flow_sample", "m.h5", "-o", "s.txt")
        self.assertFailure(run, 2, "--output s.txt: this file is HDF5, or CSV or NPY if its name ends with")
        self.assertFailure(self.data("make", "moons", "-o", "m.csv"), 2, "--output m.csv: this file is HDF5; choose")

    def test_a_link_to_nowhere_is_filled(self):
        os.mkdir(self.folder / "there")
        os.symlink("there/target.h5", self.folder / "link.h5")
        self.assertSuccess(self.data("make", "moons", "--rows", 20, "-o", "link.h5"))
        self.assertTrue((self.folder / "link.h5").is_symlink())
        self.assertSuccess(self.data("info", "there/target.h5"))
        os.symlink("nowhere/target.h5", self.folder / "bad.h5")
        self.assertFailure(self.data("make", "moons", "-o", "bad.h5"), 5, "there is no folder nowhere")

    def test_a_reader_that_leaves_is_no_error(self):
        reading, writing = os.pipe()
        os.close(reading)
        run = self.data("info", "d.h5", stdout=writing)
        os.close(writing)
        self.assertEqual((run.returncode, run.stderr), (0, ""))


class SpellingsAndFills(Formats):
    def test_numbers_as_other_languages_write_them(self):
        self.write("fr.csv", "a;b\n\u22121\u202f234\u202f567,5;2\n3;4,5\n")
        self.assertImports("fr.csv", [[-1234567.5, 2], [3, 4.5]], "decimal commas, blanks between thousands")
        self.write("ch.csv", "a,b\n1'234.5,2\n3,4\n")
        self.assertImports("ch.csv", [[1234.5, 2], [3, 4]], "apostrophes between thousands")
        # Without groups of three, it is text.
        self.write("no.csv", "a;b\n12 34;2\n3;4\n")
        self.assertRefuses("no.csv", 3, "no.csv:2: '12 34' in column 1 (a) is not a number")

    def test_a_colon_between_fields(self):
        self.write("colon.txt", "1:2\n3:4\n")
        for name in ["colon", ":"]:
            self.assertImports("colon.txt", [[1, 2], [3, 4]], "separator ':'", ["--separator", name])
        self.assertRefuses("colon.txt", 3, "choose what is between them with --separator")
        self.assertFailure(self.data("import", "colon.txt", "--separator", "/", "-o", "out.h5"), 2,
                           "--separator", "must be one of auto, comma")

    def test_a_first_column_of_text_is_refused(self):
        self.write("text.csv", "a,1\nb,2\n")
        self.assertRefuses("text.csv", 3, "text.csv:1: 'a' in column 1 (x1) is not a number; leave the column out")

    def test_arrays_of_records_are_refused(self):
        with self.h5() as file:
            file["r"] = np.zeros((20, 2), [("m", "f8"), ("k", "f4")])
        self.assertRefuses("a.h5", 3, "a.h5:/r: holds records (m, k) in shape (20, 2); a list of records is wanted")

    FILLS = {"i2": -32767, "u2": 65535, "i4": -2147483647, "u4": 4294967295, "i8": -9223372036854775806,
             "f4": 9.969209968386869e36, "f8": 9.969209968386869e36}

    def test_default_fill_values_of_netcdf(self):
        for kind, fill in self.FILLS.items():
            values = np.array([1, 2, fill, 4], kind)
            with self.h5() as file:
                file.attrs["_NCProperties"] = "version=2,netcdf=4.9.0"
                file["v"] = values
            self.assertRefuses("a.h5", 3, "a.h5:/v (1 values missing by netCDF's default fill value), row 3")
            self.assertImports("a.h5", [[1], [2], [4]], arguments=["--drop-nonfinite"])
            # The twins: a file of another program, and a fill value of its own.
            with self.h5() as file:
                file["v"] = values
            self.assertImports("a.h5", values[:, None])
            with self.h5() as file:
                file.attrs["_NCProperties"] = "version=2,netcdf=4.9.0"
                file["v"] = values
                file["v"].attrs["_FillValue"] = np.array(4, kind)
            self.assertImports("a.h5", values[:3, None], arguments=["--drop-nonfinite"])
        # All values of bytes are data.
        for kind, fill in [("i1", -127), ("u1", 255)]:
            with self.h5() as file:
                file.attrs["_NCProperties"] = "version=2,netcdf=4.9.0"
                file["v"] = np.array([1, fill], kind)
            self.assertImports("a.h5", [[1], [fill]])

    def test_scales_of_dimensions_tell_netcdf(self):
        with self.h5() as file:
            file["v"], file["time"] = np.array([[1, 2], [9.969209968386869e36, 4], [5, 6]]), np.arange(3)
            file["time"].make_scale("time")
            file["v"].dims[0].attach_scale(file["time"])
        self.assertRefuses("a.h5:v", 3, "netCDF's default fill value")

    @unittest.skipUnless(importlib.util.find_spec("netCDF4"), "needs python3-netcdf4")
    def test_what_is_missing_is_what_netcdf4_masks(self):
        import netCDF4
        with netCDF4.Dataset(self.folder / "a.nc", "w") as file:
            file.createDimension("n", 4)
            for kind in self.FILLS:
                variable = file.createVariable(kind, kind, ("n",))
                variable[:2] = [1, 2]  # the others are filled
        with netCDF4.Dataset(self.folder / "a.nc") as file:
            for kind in self.FILLS:
                expected = np.ma.filled(file[kind][:].astype(float), np.nan)
                expected = expected[np.isfinite(expected)]
                self.assertEqual(len(expected), 2)
                self.assertImports(f"a.nc:{kind}", expected[:, None], arguments=["--drop-nonfinite"])


cases.main()
