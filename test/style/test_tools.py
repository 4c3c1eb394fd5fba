"""clang-tidy and Doxygen have nothing to say about the tree, and the checks that ask them find what is wrong."""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

import cases
import reference
import tidy

ROOT = pathlib.Path(os.environ["PUSHFORWARD_SOURCE"])
BUILD = pathlib.Path(os.environ["PUSHFORWARD_BUILD"])

sys.path.insert(0, str(ROOT / "test"))
import coverage  # noqa: E402


def has_tidy():
    """True where the clang-tidy is installed whose version decides: others find different things."""
    if not shutil.which("clang-tidy"):
        return False
    return " version 14." in subprocess.run(["clang-tidy", "--version"], capture_output=True, text=True).stdout


class TreeTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory(prefix="pushforward-test-")
        self.addCleanup(temporary.cleanup)
        self.root = pathlib.Path(temporary.name).resolve()

    def write(self, path, text):
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def assertNone(self, violations):
        self.assertFalse(violations, "\n" + "\n".join(violations))


@unittest.skipUnless(has_tidy(), "needs clang-tidy 14")
class Tidy(TreeTest):
    def test_a_part_of_the_sources_is_tidy(self):
        self.assertNone(tidy.tidy_violations(ROOT, BUILD, BUILD / "test" / "style" / "tidy", tidy.PART))

    def test_the_part_is_of_folders_that_there_are(self):
        for folder in tidy.PART + tidy.FOLDERS:
            self.assertTrue(list((ROOT / folder).rglob("*.cpp")), folder)

    def setUp(self):
        super().setUp()
        shutil.copy(ROOT / ".clang-tidy", self.root)
        include = '#include "pushforward/core/inner.hpp"\n'
        self.write("lib/pushforward/core/inner.hpp", "#pragma once\nstruct Base { virtual ~Base() = default; "
                   "virtual int f() { return 1; } };\n")
        self.write("lib/fine.cpp", include + "int fine() { return Base().f(); }\n")
        self.write("lib/bad.cpp", include + "struct A : Base { virtual int f() { return 2; } };\n"
                   "int bad() { return A().f(); }\n")
        self.write("build.ninja", "rule cc\n  command = g++ -std=c++20 -MMD -MF $out.d -c $in -o $out\n  deps = gcc\n"
                   "  depfile = $out.d\nbuild fine.o: cc ../lib/fine.cpp\nbuild bad.o: cc ../lib/bad.cpp\n")
        (self.root / "build").mkdir()
        shutil.move(self.root / "build.ninja", self.root / "build")
        self.write("build/compile_commands.json", "[" + ", ".join(
            f'{{"file": "../lib/{name}.cpp", "command": "g++ -std=c++20 -c ../lib/{name}.cpp"}}'
            for name in ["fine", "bad"]) + "]")
        subprocess.run(["ninja", "-C", self.root / "build"], check=True, stdout=subprocess.DEVNULL)

    def check(self):
        return tidy.tidy_violations(self.root, self.root / "build", self.root / "cache", ["lib"], jobs=1)

    def test_what_is_not_tidy_is_found_every_time(self):
        for _ in range(2):
            found = self.check()
            self.assertEqual(len(found), 1, found)
            self.assertTrue(found[0].startswith("lib/bad.cpp:2: "), found)
            self.assertTrue(found[0].endswith("[modernize-use-override]"), found)

    def test_a_source_that_is_tidy_is_checked_again_when_a_header_of_it_changes(self):
        self.check()
        self.assertEqual([path.name for path in (self.root / "cache").iterdir()], ["lib_fine.cpp"])
        header = self.root / "lib/pushforward/core/inner.hpp"
        header.write_text(header.read_text() + "struct B : Base { virtual int f() { return 3; } };\n")
        self.assertEqual([line.split(": ")[0] for line in self.check()],
                         ["lib/bad.cpp:2", "lib/pushforward/core/inner.hpp:3"])

    def test_a_source_that_clang_cannot_read_is_found(self):
        self.write("lib/bad.cpp", "int bad() { return nothing; }\n")
        found = self.check()
        self.assertEqual(len(found), 1, found)
        self.assertIn("use of undeclared identifier 'nothing'", found[0])


@unittest.skipUnless(shutil.which("doxygen"), "needs doxygen")
class Reference(TreeTest):
    def test_comments_of_headers_are_right(self):
        self.assertNone(reference.reference_violations(ROOT))

    def test_comments_that_are_wrong_are_found(self):
        shutil.copy(ROOT / "Doxyfile", self.root)
        comment = "/// Adds. @param {} the first number\nint add(int a, int b);\n"
        header = self.write("lib/pushforward/core/add.hpp", comment.format("a"))
        self.assertNone(reference.reference_violations(self.root))
        header.write_text(comment.format("c"))
        found = reference.reference_violations(self.root)
        self.assertTrue(found[0].startswith("lib/pushforward/core/add.hpp:1: error: argument 'c'"), found)
        header.write_text("/// See \\ref subtract.\nint add(int a, int b);\n")
        self.assertIn("unable to resolve reference to 'subtract'", "".join(reference.reference_violations(self.root)))

    def test_a_tree_without_headers_is_found(self):
        shutil.copy(ROOT / "Doxyfile", self.root)
        (self.root / "lib/pushforward").mkdir(parents=True)
        self.assertTrue(reference.reference_violations(self.root))


class Coverage(unittest.TestCase):
    def test_files_are_added_up_by_room(self):
        def file(name, lines, reached, branches=0, taken=0):
            return {"filename": name, "line_total": lines, "line_covered": reached, "branch_total": branches,
                    "branch_covered": taken}

        summary = {"files": [file("lib/pushforward/nn/a.cpp", 10, 5, 4, 1), file("lib/pushforward/nn/b.hpp", 30, 30),
                             file("apps/cli/help.cpp", 3, 0), file("apps/flow_train.cpp", 7, 7, 2, 2)]}
        self.assertEqual(coverage.by_room(summary), {"apps": [7, 7, 2, 2], "apps/cli": [3, 0, 0, 0],
                                                     "nn": [40, 35, 4, 1], "total": [50, 42, 6, 3]})
        lines = coverage.table(summary).splitlines()
        self.assertEqual([line.split() for line in lines[1:]],
                         [["apps", "7", "7", "100.0", "100.0"], ["apps/cli", "3", "0", "0.0"],
                          ["nn", "40", "35", "87.5", "25.0"], ["total", "50", "42", "84.0", "50.0"]])
        self.assertEqual(coverage.by_room({"files": []}), {"total": [0, 0, 0, 0]})


cases.main()
