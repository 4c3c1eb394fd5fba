"""Each row of the table "Text tables" of data/README.md as a test: flow_data reads a text as pandas reads it with the
options that fit. Where the two differ on purpose, the test says so."""

import importlib.util
import io
import unittest

import h5py
import numpy as np

import cases
import flows
from harness import ProgramTest
from rows_of_tables import rows_of, test_name

if importlib.util.find_spec("pandas"):
    import pandas
else:
    pandas = None

X = np.random.default_rng(5).normal(size=(12, 3)).round(4)
NUMBERS = ["one", "two", "three"]


def frame(columns=NUMBERS, rows=X):
    return pandas.DataFrame(rows, columns=columns)


@unittest.skipIf(pandas is None, "there is no pandas")
class TextTables(ProgramTest):
    def bytes(self, content):
        (self.folder / "a.csv").write_bytes(content if isinstance(content, bytes) else content.encode())

    def imported(self, content, *arguments):
        """Names, rows and report of an import whose rows are all for training."""
        self.bytes(content)
        run = self.run_program("flow_data", "import", "a.csv", *arguments, "--split", "1,0,0", "-o", "out.h5")
        self.assertSuccess(run)
        with h5py.File(self.folder / "out.h5") as file:
            names, rows = flows.texts(file["feature_names"]), file["train"][()]
        (self.folder / "out.h5").unlink()
        return names, rows, run.stdout

    def pandas(self, content, **options):
        """What pandas reads from the same bytes."""
        content = content if isinstance(content, bytes) else content.encode()
        return pandas.read_csv(io.BytesIO(content), **{"float_precision": "round_trip", **options})

    def agree(self, content, *arguments, names=True, expected=None, **options):
        """flow_data and pandas read the same names and numbers. Gives the report."""
        found_names, rows, report = self.imported(content, *arguments)
        expected = self.pandas(content, **options) if expected is None else expected
        np.testing.assert_array_equal(rows, expected.to_numpy(dtype=float))
        if names:
            self.assertEqual(found_names, [str(name) for name in expected.columns])
        return report

    def disagree(self, content, *arguments, **options):
        """The twin: with these options, pandas reads something else, or nothing."""
        _, rows, _ = self.imported(content, *arguments)
        try:
            other = self.pandas(content, **options).to_numpy(dtype=float)
        except (ValueError, TypeError):
            return
        self.assertFalse(np.array_equal(rows, other))

    def refused(self, content, *messages, arguments=()):
        self.bytes(content)
        run = self.run_program("flow_data", "import", "a.csv", *arguments, "-o", "out.h5")
        self.assertFailure(run, 3, *messages)
        self.assertFalse((self.folder / "out.h5").exists())

    def test_lines(self):
        text = frame().to_csv(index=False, lineterminator="\n")
        lines = text.splitlines()
        for end in ["\n", "\r\n", "\r"]:
            content = end.join(lines) + end
            self.agree(content)
            self.agree(content[:-len(end)])
        ends = ["\n", "\r\n", "\r", "\n\n", "\r\n\r\n"]
        mixed = "".join(line + ends[i % len(ends)] for i, line in enumerate(lines))
        self.agree(mixed)
        self.disagree("\r".join(lines), lineterminator="\n")
        # pandas fills short rows with missing values, and refuses long ones; flow_data refuses both.
        short = "a,b,c\n1,2,3\n4,5\n"
        self.assertTrue(self.pandas(short).isna().any(axis=None))
        self.refused(short, "a.csv:3: 2 fields, where line 1 has 3")
        long = "a,b\n1,2\n4,5,6\n"
        with self.assertRaises(pandas.errors.ParserError):
            self.pandas(long)
        self.refused(long, "a.csv:3: 3 fields, where line 1 has 2")

    def test_comments(self):
        text = "# made by hand, 2021\nx,y\n1,2.5\n # in between\n3,4.5\n#5,6\n"
        report = self.agree(text, expected=self.pandas(text.replace("\n #", "\n#"), comment="#"))
        self.assertIn("3 comments", report)
        self.disagree(text)
        # pandas takes the rest of a line for a comment as well; flow_data refuses it.
        self.assertEqual(self.pandas("x,y\n1,2 # a\n", comment="#").y[0], 2)
        self.refused("x,y\n1,2 # a\n", "a.csv:2: '2 # a' in column 2 (y) is not a number")

    def test_encoding(self):
        text = frame(["größe", "Wärme", "größer"]).to_csv(index=False)
        self.agree(text)
        self.assertIn("byte order mark", self.agree(text.encode("utf-8-sig"), encoding="utf-8-sig"))
        self.assertIn("ISO 8859-1", self.agree(text.encode("latin-1"), encoding="latin-1"))
        names, _, _ = self.imported(text.encode("latin-1"))
        self.assertNotEqual(names, list(self.pandas(text.encode("latin-1"), encoding="cp437").columns))
        # pandas reads UTF-16 if it is told so.
        self.assertEqual(self.pandas(text.encode("utf-16"), encoding="utf-16").shape, X.shape)
        self.refused(text.encode("utf-16"), "is text in UTF-16; save it in UTF-8")
        self.refused(b"1,2\n3,\x00\n", "is binary, not text (byte 6 is 0)")

    def test_separators(self):
        for separator, name in [(",", "comma"), (";", "semicolon"), ("\t", "tab"), ("|", "pipe"), (" ", "blank")]:
            text = frame().to_csv(index=False, sep=separator)
            self.agree(text, sep=separator)
            self.agree(text, "--separator", name, sep=separator)
            self.disagree(text, sep="," if separator != "," else ";")
        self.agree("sep=;\n" + frame().to_csv(index=False, sep=";"), sep=";", skiprows=1)
        self.agree(frame().to_string(index=False), sep=r"\s+")
        self.agree("a b\n1\t2\n3\t4\n", sep=r"\s+")
        words = frame(["a;b", "c|d", "e f"]).to_csv(index=False)
        self.agree(words)
        self.disagree(words, sep=";")

    def test_blanks_around_fields(self):
        text = " one ,\ttwo , three\n" + "".join(" " + " , ".join(map(str, row)) + "\t\n" for row in X)
        expected = self.pandas(text, skipinitialspace=True)
        expected.columns = [name.strip() for name in expected.columns]
        self.agree(text, expected=expected)
        # pandas takes byte order marks within the text for letters.
        for blank in ["\u00a0", "\u2009", "\u202f", "\ufeff", "\f", "\v"]:
            wide = frame().to_csv(index=False).replace(",", blank + "," + blank)
            self.agree(wide, expected=frame())
        self.disagree(frame().to_csv(index=False).replace(",", "\ufeff,"))

    def test_quotes(self):
        names = ["a,b", 'the "x"', "two\nlines"]
        text = frame(names).to_csv(index=False, quoting=1)
        self.agree(text)
        self.disagree(text, quoting=3)
        self.agree("'a','b'\n'1','2'\n'3','4'\n", quotechar="'")
        self.disagree("'a','b'\n'1','2'\n'3','4'\n")
        self.agree("5\" pipe,it's\n1,2\n3,4\n")
        with self.assertRaises(pandas.errors.ParserError):
            self.pandas('x,y\n1,"2\n3,4\n')
        self.refused('x,y\n1,"2\n3,4\n', "a.csv:2: a double quote opens here and is never closed")

    def test_names(self):
        self.agree(frame().to_csv(index=False))
        rows = frame().to_csv(index=False, header=False)
        unnamed = ["x1", "x2", "x3"]
        for arguments in [[], ["--header", "no"]]:
            self.agree(rows, *arguments, header=None, names=False)
            self.assertEqual(self.imported(rows, *arguments)[0], unnamed)
        self.disagree(rows)
        self.agree(rows, "--header", "yes")
        for columns in [[0, 1, 2], [2019, 2020, 2021], ["id", 1, 2]]:
            text = frame(columns).to_csv(index=False)
            self.agree(text)
            self.disagree(text, header=None)
        # pandas takes the first line for names, whatever it holds.
        self.assertEqual(list(self.pandas("0,1\n2,3\n").columns), ["0", "1"])
        self.refused("0,1\n2,3\n", "a.csv:1: the line (0, 1) can be the names of the columns or a row; say --header yes")
        self.agree("0,1\n2,3\n", "--header", "yes")
        self.agree("0,1\n2,3\n", "--header", "no", header=None, names=False)

    def test_names_in_a_comment(self):
        text = "# from a survey\n# one two three\n" + frame().to_csv(index=False, header=False, sep=" ")
        report = self.agree(text, sep=" ", comment="#", header=None, expected=frame())
        self.assertIn("header in a comment", report)
        sentence = "# three words here\n" + frame(NUMBERS).to_csv(index=False, sep=" ")
        self.agree(sentence, sep=" ", comment="#")  # the twin: another line has names
        other = "# two words\n" + frame().to_csv(index=False, header=False, sep=" ")
        self.assertEqual(self.imported(other)[0], ["x1", "x2", "x3"])

    def test_no_name(self):
        text = frame().to_csv()  # the index has no name
        names, rows, _ = self.imported(text)
        expected = self.pandas(text)
        self.assertEqual(list(expected.columns), ["Unnamed: 0", *NUMBERS])  # pandas makes another name
        self.assertEqual(names, ["x1", *NUMBERS])
        np.testing.assert_array_equal(rows, expected.to_numpy(dtype=float))
        self.disagree(text, index_col=0)

    def test_names_of_rows(self):
        for index in [list("abcdefghijkl"), list(range(1, 13)), list(range(40, 4, -3))]:
            named = frame().set_axis(index)
            text = ",".join(NUMBERS) + "\n" + named.to_csv(header=False)
            report = self.agree(text)
            self.assertIn("names of the rows left out", report)
            self.disagree(text, names=["row", *NUMBERS], skiprows=1)
        # pandas takes anything for the names of rows; R refuses names that are not unique.
        for first in ["0.5", "7"]:
            text = "x,y\n" + "".join(f"{first},{a},{b}\n" for a, b, _ in X)
            self.assertEqual(self.pandas(text).shape, (12, 2))
            self.refused(text, "a.csv:2: 3 fields, where the line before has 2, and the first of them are no names of rows")
        title = "Population of the world\n1000\t310\n1750\t791\n"
        self.assertEqual(self.pandas(title, sep="\t").shape, (2, 1))
        self.refused(title, "a.csv:2: 2 fields, where the line before has 1", "a title, remove it")

    def test_octave_s_text(self):
        head = "# Created by Octave 7.3.0\n"

        def variable(name):
            lines = "\n".join(" " + " ".join(map(str, row)) for row in X)
            return f"# name: {name}\n# type: matrix\n# rows: 12\n# columns: 3\n{lines}\n\n\n"

        text = head + variable("X")
        self.agree(text, sep=r"\s+", comment="#", header=None, names=False)
        two = head + variable("X") + variable("Y")
        self.assertEqual(self.pandas(two, sep=r"\s+", comment="#", header=None).shape, (24, 3))  # pandas joins them
        self.refused(two, "a.csv: holds 2 variables of Octave, X, Y; save one of them")

    def test_separators_at_the_ends_of_lines(self):
        text = frame().to_csv(index=False)
        both = text.replace("\n", ",\n")
        self.assertIn("empty last column left out", self.agree(both, expected=self.pandas(both).dropna(axis=1)))
        rows = text.split("\n", 1)[0] + "\n" + text.split("\n", 1)[1].replace("\n", ",\n")
        self.agree(rows, index_col=False)
        self.assertFalse(np.array_equal(self.pandas(rows).to_numpy(), X))  # the twin: pandas shifts the names
        empty = text.replace("\n", ",\n").replace("three,", "three,four")
        self.assertTrue(self.pandas(empty).four.isna().all())
        self.refused(empty, "column 4 (four) has no value in any row; leave it out with --exclude 4")

    def test_numbers(self):
        spellings = ["+1", ".5", "5.", "1e3", "1E-3", "-0.0", "5e-324", "2.5e-310", "1.7976931348623157e308",
                     "0.1000000000000000055511151231257827", "9007199254740993", "123456789012345678901234567890"]
        self.agree("x\n" + "\n".join(spellings) + "\n")
        self.disagree("x\n" + "\n".join(spellings) + "\n", dtype="float32")
        # pandas does not read hexadecimal numbers, and neither a D in an exponent nor numbers beyond the range of double
        # in columns of numbers.
        others = {"0x10": 16, "0x1p-3": 0.125, "1.5D+03": 1500, "2d-1": 0.2, "1e-400": 0}
        for text, value in others.items():
            self.agree(f"x\n1\n{text}\n", expected=frame(["x"], [[1], [value]]))
        infinite = self.pandas("x\ninf\n-inf\nInfinity\n1\n")
        self.assertEqual(infinite.x.tolist(), [np.inf, -np.inf, np.inf, 1])
        report = self.agree("x\ninf\n-inf\nInfinity\n1e400\n1\n", "--drop-nonfinite", expected=infinite[3:])
        self.assertIn("dropped 4 rows", report)
        for true, false in [("true", "false"), ("True", "False"), ("TRUE", "FALSE")]:
            self.agree(f"x,y\n{true},1\n{false},2\n{true},3\n")
        self.refused("x,y\n1,2\n3,4.5.6\n", "a.csv:3: '4.5.6' in column 2 (y) is not a number")

    def test_thousands(self):
        for mark in ["'", "\u00a0", "\u2009"]:
            with self.subTest(mark):
                text = f"x;y\n1{mark}234{mark}567.5;2\n12{mark}345;3\n"
                self.agree(text, expected=self.pandas(text.replace(mark, ""), sep=";"))
                self.disagree(text, sep=";")
        self.agree("x;y\n1 234,5;2\n12 345,25;3\n", sep=";", decimal=",", thousands=" ")
        self.refused("x;y\n12'34;2\n1'234;3\n", "is not a number")

    def test_decimal_commas(self):
        text = (1e3 * frame()).to_csv(index=False, sep=";", decimal=",")
        self.agree(text, sep=";", decimal=",")
        self.agree(text, "--decimal", "comma", sep=";", decimal=",")
        self.disagree(text, sep=";")
        self.agree("x;y\n1.234,5;2,25\n-12.345.678,5;7\n", sep=";", decimal=",", thousands=".")
        self.agree("x;y\n1,234,567;2\n1,234;3\n", sep=";", thousands=",")
        self.disagree("x;y\n1,234,567;2\n1,234;3\n", sep=";", decimal=",")
        doubtful = "x;y\n1,234;2\n5,678;3\n"
        self.refused(doubtful, "'1,234' in column 1 (x) can be a decimal number or thousands; say --decimal comma")
        self.agree(doubtful, "--decimal", "comma", sep=";", decimal=",")
        self.agree(doubtful, "--decimal", "point", sep=";", thousands=",")

    def test_missing_values(self):
        marks = ["", "NA", "N/A", "n/a", "NaN", "NULL", "null", "#N/A", "<NA>", "1.#IND"]
        ours = ["None", "?", "-", ".", "#VALUE!", "#DIV/0!", "#NUM!"]  # pandas is told of these
        text = "x,y\n" + "".join(f"{i}.5,{mark}\n{i},1\n" for i, mark in enumerate(marks + ours))
        expected = self.pandas(text, na_values=ours)
        self.assertEqual(expected.y.isna().sum(), len(marks + ours))
        self.agree(text, "--drop-nonfinite", expected=expected.dropna())
        self.refused(text, "the value in column y is missing, NaN or infinite; 17 of 34 rows have such values. Drop them")
        self.refused("x,y\n1,--\n2,3\n", "'--' in column 2 (y) is not a number")  # the twin: not every mark is missing

    def test_classes(self):
        kinds = pandas.DataFrame({"x": X[:, 0], "kind": ["STAR", "GALAXY", "QSO"] * 4})
        self.bytes(kinds.to_csv(index=False))
        run = self.run_program("flow_data", "import", "a.csv", "--context", "kind", "--one-hot", "kind", "--split",
                               "1,0,0", "-o", "out.h5")
        self.assertSuccess(run)
        with h5py.File(self.folder / "out.h5") as file:
            context, rows = file["context/train"][()], file["train"][()]
        dummies = pandas.get_dummies(kinds.kind, prefix="kind", prefix_sep="=")
        np.testing.assert_array_equal(context, dummies.to_numpy(dtype=float))
        np.testing.assert_array_equal(rows, kinds[["x"]].to_numpy())
        self.assertFalse(np.array_equal(context, dummies[dummies.columns[::-1]].to_numpy(dtype=float)))  # the twin
        self.assertIn("kind: 3 classes, GALAXY, QSO, STAR", run.stdout)
        self.assertIn("contexts: " + ", ".join(dummies.columns), run.stdout)
        (self.folder / "out.h5").unlink()
        many = "x,id\n" + "".join(f"{i},id{i}\n" for i in range(10_001))
        self.refused(many, "'id0' in column 2 (id) is not a number", arguments=["--context", "id", "--one-hot", "id"])


class Table(unittest.TestCase):
    def test_each_row_has_a_test(self):
        rows = rows_of("Text tables")
        self.assertGreater(len(rows), 10)
        self.assertEqual([row for row in rows if not hasattr(TextTables, test_name(row))], [])
        self.assertFalse(hasattr(TextTables, test_name("a row without a test")))


cases.main()
