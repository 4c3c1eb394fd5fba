"""flow_data: what it makes, what it refuses, on any number of ranks."""

import re

import cases
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
