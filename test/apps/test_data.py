"""flow_data: what it makes, what it refuses, on any number of ranks."""

import gzip
import re
import struct
import unittest

import h5py
import numpy as np

import cases
import flows
from harness import ProgramTest

POWER = "\ufefftemperature,vacuum,class\r\n1.5,40,a\r\n2.5,41,b\r\n1.5,40,a\r\n3.5,43,b\r\n4.5,47,a\r\n"


class FlowData(ProgramTest):
    def data(self, *arguments, **options):
        return self.run_program("flow_data", *arguments, **options)

    def made(self, *arguments, **options):
        run = self.data(*arguments, **options)
        self.assertSuccess(run)
        return run.stdout

    def columns(self, file):
        """The lines of `info` on the columns: name, mean, deviation, least, greatest."""
        return self.made("info", file).split("greatest\n")[1]

    def files(self):
        return sorted(path.name for path in self.folder.iterdir())


class Make(FlowData):
    def test_a_density_comes_with_its_entropy(self):
        stdout = self.made("make", "moons", "--rows", 50, "--seed", 3, "-o", "m.h5")
        self.assertIn("wrote m.h5: 40 rows for training, 5 for validation, 5 for test\nentropy 2.393879 nats\n", stdout)
        info = self.made("info", "m.h5")
        for line in ["format     pushforward dataset", "train      40 × 2", "test       5 × 2",
                     "entropy    2.393879 nats", "flow_data make moons --rows 50 --seed 3"]:
            self.assertIn(line, info)
        self.assertEqual(self.files(), ["m.h5"])

    def test_the_rows_do_not_depend_on_the_ranks(self):
        for ranks in [0, 2, 8]:
            self.made("make", "rings", "--rows", 11, "-o", f"{ranks}.h5", ranks=ranks)
            self.assertEqual(self.columns(f"{ranks}.h5"), self.columns("0.h5"))
        self.made("make", "rings", "--rows", 11, "--seed", 1, "-o", "other.h5")
        self.assertNotEqual(self.columns("other.h5"), self.columns("0.h5"))

    def test_dry_run_writes_nothing(self):
        self.assertIn("would write m.h5", self.made("make", "moons", "--dry-run", "-o", "m.h5"))
        self.assertEqual(self.files(), [])

    def test_refusals(self):
        for arguments, code, message in [
                (["moon", "-o", "m.h5"], 2, "no built-in density 'moon' (did you mean 'moons'?)"),
                (["moons", "--rows", 0, "-o", "m.h5"], 2, "rows = 0: must be at least 1"),
                (["moons", "--rows", 2, "-o", "m.h5"], 3, "2 rows cannot be divided into 3 parts"),
                (["moons", "--split", "0.5,0.6", "-o", "m.h5"], 2, "add up to 1"),
                (["moons"], 2, "no output: give -o FILE.h5"),
                (["moons", "-o", "none/m.h5"], 5, "cannot write none/m.h5: there is no folder none"),
                (["moons", "-o", "/dev/null"], 5, "cannot write /dev/null")]:
            self.assertFailure(self.data("make", *arguments), code, "flow_data: ", message)
        self.assertEqual(self.files(), [])

    def test_a_refusal_is_printed_once(self):
        run = self.data("make", "moons", "-o", "none/m.h5", ranks=3)
        self.assertFailure(run, 5, "there is no folder none")
        self.assertEqual(run.stderr.count("there is no folder"), 1)


class Import(FlowData):
    def test_a_raw_table(self):
        self.write("power.csv", POWER)
        stdout = self.made("import", "power.csv", "--exclude", "class", "--split", "0.5,0.25,0.25", "-o", "p.h5",
                           "--drop-duplicates")
        self.assertEqual(stdout.splitlines(), [
            "read power.csv: 5 rows, 3 columns (byte order mark, header, separator ',')", "kept 2 of 3 columns",
            "dropped 1 duplicate rows", "train: 2 rows", "validation: 1 rows", "test: 1 rows", "wrote p.h5"])
        self.assertRegex(self.columns("p.h5"), r"temperature .*\nvacuum ")

    def test_integers_become_densities(self):
        for name in ["a.tra", "a.tes"]:
            self.write(name, "".join(f"{i % 17},0,{16 - i % 17},{i % 3}\n" for i in range(100)))
        stdout = self.made("import", "--train", "a.tra", "--test", "a.tes", "--exclude", 4, "--dequantize", "*",
                           "--divide", 17, "-o", "digits.h5", "--drop-constant")
        self.assertIn("dropped constant columns: x2", stdout)
        self.assertIn("train: 90 rows\nvalidation: 10 rows\ntest: 100 rows", stdout)
        least, greatest = zip(*[map(float, line.split()[3:5]) for line in self.columns("digits.h5").splitlines()])
        self.assertTrue(0 < min(least) and max(greatest) < 1 and max(greatest) > 0.9, (least, greatest))

    def test_the_result_is_the_same_on_any_ranks(self):
        self.write("a.csv", "".join(f"{i},{i * i}\n" for i in range(100)))
        for ranks in [0, 3]:
            self.made("import", "a.csv", "--seed", 7, "-o", f"{ranks}.h5", ranks=ranks)
            self.assertEqual(self.columns(f"{ranks}.h5"), self.columns("0.h5"))
        self.made("import", "a.csv", "--seed", 8, "-o", "other.h5")
        self.assertNotEqual(self.columns("other.h5"), self.columns("0.h5"))

    def test_bad_files(self):
        self.write("text.csv", POWER)
        self.write("ragged.csv", "1,2\n3,4\n5\n")
        self.write("gaps.csv", "1,2\n3,\n5,6\n7,8\n")
        self.write("empty.csv", "")
        for name, code, message in [
                ("absent.csv", 5, "absent.csv: cannot be opened: No such file or directory"),
                ("text.csv", 3, "text.csv:2: 'a' in column 3 (class) is not a number; leave the column out with "
                                "--exclude 3"),
                ("ragged.csv", 3, "ragged.csv:3: 1 fields, where line 1 has 2"),
                ("gaps.csv", 3, "gaps.csv, row 2 (counted from 1): the value in column x2 is missing"),
                ("empty.csv", 3, "empty.csv: has no rows"),
                (".", 5, ".: is a folder, not a file")]:
            self.assertFailure(self.data("import", name, "-o", "out.h5"), code, message)
        run = self.data("import", "ragged.csv", "-o", "out.h5", ranks=2)
        self.assertFailure(run, 3, "ragged.csv:3")
        self.assertEqual(run.stderr.count("ragged.csv:3"), 1)
        self.assertNotIn("out.h5", self.files())
        self.assertIn("dropped 1 rows", self.made("import", "gaps.csv", "--drop-nonfinite", "-o", "out.h5"))

    def test_an_import_that_fails_leaves_the_file_that_was_there(self):
        self.write("good.csv", "1,2\n3,5\n4,7\n6,8\n")
        self.write("bad.csv", "1,2\n3,x\n")
        self.made("import", "good.csv", "-o", "out.h5")
        before = (self.folder / "out.h5").read_bytes()
        self.assertEqual(self.data("import", "bad.csv", "-o", "out.h5").returncode, 3)
        self.assertEqual((self.folder / "out.h5").read_bytes(), before)
        self.assertEqual(self.files(), ["bad.csv", "good.csv", "out.h5"])


class TextTables(FlowData):
    """Dialects of text tables, as h5py reads what was imported."""

    def imported(self, text, *arguments):
        """The rows and the names of the columns of a text, and the program's first line about it."""
        content = text if isinstance(text, bytes) else text.encode()
        (self.folder / "t.csv").write_bytes(content)
        stdout = self.made("import", "t.csv", "--split", "1,0,0", "-o", "t.h5", *arguments)
        with h5py.File(self.folder / "t.h5") as file:
            names = flows.texts(file["feature_names"])
            return file["train"][()].tolist(), names, stdout.splitlines()[0]

    def assertRefused(self, text, *messages, arguments=(), code=3):
        (self.folder / "t.csv").write_text(text)
        self.assertFailure(self.data("import", "t.csv", *arguments, "-o", "u.h5"), code, *messages)
        self.assertNotIn("u.h5", self.files())

    def test_one_table_in_many_dialects(self):
        rows = [[1.5, 2000], [3.25, -4]]
        for text, remark in [
                ("x,y\r1.5,2000\r3.25,-4\r", "header, separator ','"),
                ("x;y\r\n1,5;2e3\r\n3,25;-4\r\n", "header, separator ';', decimal commas"),
                ("sep=|\nx|y\n1.5D0|0x7d0\n3.25|-4\n", "header, separator '|'"),
                ("'x'\t'y'\n'1.5'\t'+2000'\n3.25\t-4\n", "header, separator tab"),
                ('"x" "y"\n"a" 1.5 2000\n"b" 3.25 -4\n', "header, separator blanks, names of the rows left out"),
                ("#x y\n\f1.5 2000\u00a0\n3.25 -4\n", "header in a comment, separator blanks"),
                ("x,y,\n1.5,2000,\n3.25,-4,\n", "header, separator ',', empty last column left out")]:
            with self.subTest(text=text):
                self.assertEqual(self.imported(text), (rows, ["x", "y"], f"read t.csv: 2 rows, 2 columns ({remark})"))
        # The twin: another number is seen.
        self.assertNotEqual(self.imported("x,y\r1.5,2000\r3.25,4\r")[0], rows)
        self.assertEqual(self.imported("gr\xf6\xdfe,y\n1,2\n".encode("latin-1"))[1], ["größe", "y"])

    def test_advice_works(self):
        for text, message, advice, rows in [
                ("0,1\n2,3\n", "say --header yes or --header no", ["--header", "yes"], [[2, 3]]),
                ("0,1\n2,3\n", "say --header yes or --header no", ["--header", "no"], [[0, 1], [2, 3]]),
                ("1,234;5\n2,345;6\n", "say --decimal comma", ["--decimal", "comma"], [[1.234, 5], [2.345, 6]]),
                ("1,234;5\n2,345;6\n", "or --decimal point", ["--decimal", "point"], [[1234, 5], [2345, 6]]),
                ("x,y\n1,\n2,\n", "leave it out with --exclude 2", ["--exclude", "2"], [[1], [2]]),
                ("id,2019,2020\na,0.5,0.1\nb,0.4,0.2\n", "leave the column out with --exclude 1", ["--exclude", "1"],
                 [[0.5, 0.1], [0.4, 0.2]]),
                ("a,b,2\nu,5,1\nv,6,3\n", "leave the column out with --exclude 1", ["--exclude", "1"], [[5, 1], [6, 3]]),
                ("a,u,2\n7,u,1\n8,v,3\n", "--exclude number:2", ["--exclude", "number:2"], [[7, 1], [8, 3]])]:
            with self.subTest(text=text, advice=advice):
                self.assertRefused(text, message)
                self.assertEqual(self.imported(text, *advice)[0], rows)

    def test_selectors_with_two_meanings(self):
        text = "x,3,2\n1,2,3\n4,5,6\n"
        self.assertRefused(text, "column '3' is ambiguous", "name:3", "number:3", arguments=["--exclude", "3"], code=2)
        self.assertEqual(self.imported(text, "--exclude", "name:3")[0], [[1, 3], [4, 6]])
        self.assertEqual(self.imported(text, "--exclude", "number:3")[0], [[1, 2], [4, 5]])
        self.assertRefused("x,x\n1,2\n3,4\n", "number:1 or number:2", arguments=["--weight", "x"], code=2)

    def test_lines_that_cannot_be_read(self):
        for text, message in [
                ('x,y\n1,2\n3,"4\n5,6\n', "t.csv:3: a double quote opens here and is never closed"),
                ("x,y\n1,2\n3\n", "t.csv:3: 1 fields, where line 1 has 2"),
                ("x,y\n1,2\n3,4\nx,y\n5,6\n", "t.csv:4: 'x' in column 1 (x) is not a number; the line repeats"),
                ("x,y\n1,2\n3,n.d.\n5,6\n", "t.csv:3: 'n.d.' in column 2 (y) is not a number, as 2 others are")]:
            self.assertRefused(text, message)

    def test_classes_of_text(self):
        rows = flows.rows(1, 200)[:, 0]
        kinds = ["STAR", "<=50K", "a, b"]
        lines = [f'{x},"{kinds[i % 3]}"' for i, x in enumerate(rows)]
        self.write("c.csv", "\n".join(["x,kind", *lines]) + "\n")
        stdout = self.made("import", "c.csv", "--context", "kind", "--one-hot", "kind", "-o", "c.h5")
        self.assertIn("kind: 3 classes, <=50K, STAR, a, b\n", stdout)
        with h5py.File(self.folder / "c.h5") as file:
            self.assertEqual(flows.texts(file["context_names"]), ["kind=<=50K", "kind=STAR", "kind=a, b"])
            by_value = {x: kinds[i % 3] for i, x in enumerate(rows)}
            order = sorted(kinds)
            for split in ["train", "validation", "test"]:
                expected = [order.index(by_value[x]) for x in file[split][()][:, 0]]
                np.testing.assert_array_equal(file["context"][split][()], np.eye(3)[expected])
        self.assertSuccess(self.run_program("flow_train", "--data", "c.h5", "-o", "c_flow.h5", *flows.small()))
        samples = {}
        for choice in ["kind=STAR", "kind=<=50K", "kind=a, b", "0,1,0"]:
            arguments = ["c_flow.h5", "-n", 20, "--seed", 1, "--context", choice, "-o", "s.h5"]
            self.assertSuccess(self.run_program("flow_sample", *arguments))
            samples[choice] = flows.read_h5(self.folder / "s.h5")["x"]
        np.testing.assert_array_equal(samples["kind=STAR"], samples["0,1,0"])
        for other in ["kind=<=50K", "kind=a, b"]:
            self.assertTrue(np.any(samples[other] != samples["kind=STAR"]), other)
        for choice in ["kind=STRA", "kind=<=60K", "kind"]:
            run = self.run_program("flow_sample", "c_flow.h5", "-n", 2, "--context", choice, "-o", "t.h5")
            self.assertFailure(run, 2, f"--context '{choice}': there is no such class of kind", "kind=STAR")

    def test_messages_name_some_of_many_columns(self):
        self.write("wide.csv", ",".join(f"c{i}" for i in range(1000)) + "\n" + ",".join("1" for _ in range(1000)) + "\n")
        run = self.data("import", "wide.csv", "--exclude", "d", "-o", "w.h5")
        self.assertFailure(run, 2, "c4, …, c999 (1000 in all)")
        self.assertLess(len(run.stderr), 400)
        with h5py.File(self.folder / "w.h5", "w") as file:
            file["x"] = np.ones((50, 1000))
        run = self.run_program("flow_train", "--data", "w.h5:/x", "--dry-run")
        self.assertFailure(run, 3, "x5, …, x1000 (1000 in all)")
        self.assertLess(len(run.stderr), 600)


class Conditions(FlowData):
    """Contexts, classes, angles and images, as h5py reads them."""

    def idx(self, name, array):
        """Writes an array as an IDX file, compressed for a name in .gz; gives its name."""
        code = {"uint8": 8, "int16": 0x0b, "float32": 0x0d}[array.dtype.name]
        content = struct.pack(f">HBB{array.ndim}I", 0, code, array.ndim, *array.shape)
        content += array.astype(array.dtype.newbyteorder(">")).tobytes()
        (self.folder / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        return name

    def test_images_and_labels_of_idx_files(self):
        random = np.random.default_rng(1)
        inputs, images, labels = {}, {}, {}
        for split, rows in [("train", 30), ("test", 7)]:
            images[split] = random.integers(0, 256, (rows, 5, 4), dtype=np.uint8)
            labels[split] = random.permutation(np.arange(rows, dtype=np.uint8) % 3)
            inputs[split] = (self.idx(f"{split}-images-idx3-ubyte.gz", images[split]) + "+"
                             + self.idx(f"{split}-labels-idx1-ubyte", labels[split]))
        arguments = ["import", "--train", inputs["train"], "--test", inputs["test"], "--validation-fraction", 0,
                     "--context", "label", "--one-hot", "label"]
        stdout = self.made(*arguments, "-o", "m.h5", ranks=2)
        self.assertIn("read train-images-idx3-ubyte.gz: 30 rows, 21 columns (IDX array (30, 5, 4) of unsigned bytes; "
                      "label from train-labels-idx1-ubyte: IDX array (30) of unsigned bytes)", stdout)
        self.assertIn("label: 3 classes\ncontexts: label=0, label=1, label=2\nimages of 5×4×1\n", stdout)
        with h5py.File(self.folder / "m.h5") as file:
            self.assertEqual(list(file.attrs["image_shape"]), [5, 4, 1])
            self.assertNotIn("periodic", file.attrs)
            self.assertEqual(flows.texts(file["context_names"]), ["label=0", "label=1", "label=2"])
            for split in ["train", "test"]:
                np.testing.assert_array_equal(file[split][()].reshape(-1, 5, 4), images[split])
                np.testing.assert_array_equal(file["context"][split][()], np.eye(3)[labels[split]])
        info = self.made("info", "m.h5")
        self.assertIn("images     5×4×1\n", info)
        self.assertRegex(info, r"context of train +mean +deviation +least +greatest\nlabel=0 +0.333333 ")
        run = self.data(*arguments, "-o", "train-labels-idx1-ubyte")
        self.assertFailure(run, 2, "INPUT and --output are the same file, train-labels-idx1-ubyte")
        for missing in ["train-labels-idx1-ubyte", "train-images-idx3-ubyte.gz"]:
            (self.folder / missing).unlink()
            self.assertFailure(self.data(*arguments, "-o", "n.h5"), 5, missing)

    def test_bad_image_files(self):
        self.idx("short-idx3-ubyte", np.zeros((2, 3, 3), dtype=np.float32))
        whole = (self.folder / "short-idx3-ubyte").read_bytes()
        (self.folder / "short-idx3-ubyte").write_bytes(whole[:-5])
        (self.folder / "whole.idx").write_bytes(whole)
        self.idx("three.idx", np.zeros(3, dtype=np.uint8))
        self.write("text.idx", "1,2\n3,4\n")
        (self.folder / "short.gz").write_bytes(gzip.compress(whole)[:-9])
        (self.folder / "batch.bin").write_bytes(bytes(3073) + bytes(10))
        (self.folder / "label.bin").write_bytes(bytes(3073) + bytes([77]) + bytes(3072))
        for name, code, message in [
                ("short-idx3-ubyte", 5, "67 bytes of data, where shape (2, 3, 3) of floats has 72"),
                ("text.idx", 5, "text.idx: is not an IDX file: its first bytes are (31 2c 32 0a)"),
                ("short.gz", 5, "short.gz: cannot be unpacked: it is truncated or damaged"),
                ("batch.bin", 5, "batch.bin: 3083 bytes are no whole number of CIFAR records"),
                ("label.bin", 3, "label.bin: record 2 (counted from 1) has label 77; CIFAR-10 has 10 of them"),
                ("whole.idx+three.idx", 3, "three.idx: 3 labels for the 2 rows of whole.idx")]:
            self.assertFailure(self.data("import", name, "-o", "out.h5"), code, message)
        self.assertNotIn("out.h5", self.files())

    def test_a_batch_of_cifar(self):
        random = np.random.default_rng(2)
        labels = np.arange(10, dtype=np.uint8)
        planes = random.integers(0, 256, (10, 3, 32, 32), dtype=np.uint8)
        (self.folder / "data_batch_1.bin").write_bytes(
            np.concatenate([labels[:, None], planes.reshape(10, -1)], axis=1).tobytes())
        self.made("import", "--train", "data_batch_1.bin", "--validation-fraction", 0, "--context", "label",
                  "--precision", "float", "-o", "c.h5")
        with h5py.File(self.folder / "c.h5") as file:
            self.assertEqual(list(file.attrs["image_shape"]), [32, 32, 3])
            np.testing.assert_array_equal(file["train"][()].reshape(-1, 32, 32, 3), planes.transpose(0, 2, 3, 1))
            np.testing.assert_array_equal(file["context/train"][()], labels[:, None])
            self.assertEqual(file["train"].dtype, np.float32)

    def test_angles(self):
        self.write("a.csv", "r,phi\n" + "".join(f"{i},{30 * i - 360}\n" for i in range(25)))
        stdout = self.made("import", "--train", "a.csv", "--validation-fraction", 0, "--periodic", "phi", "--degrees",
                           "-o", "a.h5")
        self.assertIn("angles from degrees, taken to [−π, π): phi", stdout)
        self.assertIn("angles     phi\n", self.made("info", "a.h5"))
        with h5py.File(self.folder / "a.h5") as file:
            self.assertEqual(list(file.attrs["periodic"]), [0, 1])
            phi = file["train"][:, 1]
        self.assertEqual([phi[6], phi[18]], [-np.pi, -np.pi])  # −180° and 180°
        np.testing.assert_allclose(phi, np.angle(np.exp(1j * np.radians(30 * np.arange(25) - 360 + 1e-9))), atol=1e-9)

    def test_spheres(self):
        places = [(-90 + 7 * i, 13 * i - 170) for i in range(25)]
        self.write("a.csv", "lat,depth,lon\n" + "".join(f"{lat},{i},{lon}\n" for i, (lat, lon) in enumerate(places)))
        stdout = self.made("import", "--train", "a.csv", "--validation-fraction", 0, "--sphere", "lat,lon", "-o", "a.h5")
        self.assertIn("unit vectors x, y, z of latitude and longitude: lat, lon", stdout)
        self.assertIn("unit vector x, y, z\n", self.made("info", "a.h5"))
        phi, lam = np.radians(places).T
        with h5py.File(self.folder / "a.h5") as file:
            self.assertEqual(list(file.attrs["spheres"]), [0, 1, 1, 1])
            self.assertEqual(flows.texts(file["feature_names"]), ["depth", "x", "y", "z"])
            xyz = np.stack([np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)], axis=1)
            np.testing.assert_allclose(file["train"][:, 1:], xyz, atol=1e-15)
        self.assertFailure(self.data("import", "a.csv", "--sphere", "lon,lat", "-o", "out.h5"), 3,
                           "a.csv, row 1 (counted from 1): the latitude in column lon is -170; latitudes are from -90")

    def test_refusals(self):
        self.write("a.csv", "x,k,l\n1,0,0\n2,1,0.5\n3,-2,1\n")
        for arguments, code, message in [
                (["--one-hot", "k"], 2, "--one-hot 'k': column k is no context; choose it with --context k"),
                (["--context", "k", "--one-hot", "k"], 3, "a.csv, row 3 (counted from 1): -2 in column k is no class"),
                (["--context", "l", "--one-hot", "l"], 3, "a.csv, row 2 (counted from 1): 0.5 in column l is no class"),
                (["--context", "m"], 2, "no column 'm'"),
                (["--image", "2,2"], 2, "--image 2,2: images of 2×2×1 have 4 values, but rows have 3 columns"),
                (["--degrees"], 2, "--degrees: no column is an angle")]:
            self.assertFailure(self.data("import", "a.csv", *arguments, "-o", "out.h5"), code, message)


@unittest.skipUnless(flows.DATA.is_dir(), f"there is no {flows.DATA}")
class Published(FlowData):
    def test_dihedral_angles(self):
        path = flows.DATA / "ala2_phipsi" / "phipsi.npz"
        self.made("import", "--train", f"{path}:seed1,{path}:seed2", "--test", f"{path}:seed3",
                  "--validation-fraction", 0, "--periodic", "*", "-o", "a.h5")
        raw = np.load(path)
        with h5py.File(self.folder / "a.h5") as file:
            self.assertEqual(list(file.attrs["periodic"]), [1, 1])
            np.testing.assert_array_equal(file["train"][()], np.concatenate([raw["seed1"], raw["seed2"]]))
            np.testing.assert_array_equal(file["test"][()], raw["seed3"])

    def test_digits_given_their_class(self):
        folder = flows.DATA / "optdigits"
        self.made("import", "--train", folder / "optdigits.tra", "--test", folder / "optdigits.tes",
                  "--validation-fraction", 0, "--context", "65", "--one-hot", "65", "--image", "8,8", "-o", "d.h5")
        with h5py.File(self.folder / "d.h5") as file:
            self.assertEqual(list(file.attrs["image_shape"]), [8, 8, 1])
            for split, name in [("train", "optdigits.tra"), ("test", "optdigits.tes")]:
                raw = np.loadtxt(folder / name, delimiter=",", skiprows=1)
                np.testing.assert_array_equal(file[split][()], raw[:, :64])
                np.testing.assert_array_equal(file["context"][split][()], np.eye(10)[raw[:, 64].astype(int)])


class Info(FlowData):
    def test_one_array_may_be_named(self):
        self.made("make", "moons", "--rows", 50, "-o", "m.h5")
        info = self.made("info", "m.h5:/test", ranks=2)
        self.assertIn("rows       5 × 2", info)
        self.assertEqual(len(re.findall(r"^x[12] ", info, re.MULTILINE)), 2)

    def test_bad_files(self):
        self.write("text.h5", "no HDF5")
        self.made("make", "moons", "--rows", 50, "-o", "m.h5")
        whole = (self.folder / "m.h5").read_bytes()
        (self.folder / "short.h5").write_bytes(whole[:len(whole) // 2])
        for name, code, message in [("absent.h5", 5, "absent.h5: no such file"),
                                    ("text.h5", 5, "text.h5: is not an HDF5 file"),
                                    ("short.h5", 5, "short.h5: is truncated"),
                                    ("m.h5:/tset", 3, "no 'tset' in it (did you mean 'test'?)"),
                                    ("m.h5:/feature_names", 3, "m.h5:/feature_names: holds no numbers")]:
            self.assertFailure(self.data("info", name), code, message)


cases.main()
