"""An installed library has every header, and a program is compiled against it as the README says."""

import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

import h5py
import numpy as np

import cases

SOURCE = pathlib.Path(os.environ["PUSHFORWARD_SOURCE"])
BUILD = pathlib.Path(os.environ["PUSHFORWARD_BUILD"])
SCRIPT = SOURCE / "lib" / "install_headers.py"


def headers(folder):
    return sorted(path.relative_to(folder) for path in folder.rglob("*.hpp"))


class InstallTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory(prefix="pushforward-test-")
        self.addCleanup(temporary.cleanup)
        self.folder = pathlib.Path(temporary.name)

    def run_command(self, *words, **environment):
        run = subprocess.run([*map(str, words)], cwd=self.folder, env=os.environ | environment, capture_output=True,
                             text=True)
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        return run.stdout


class Installed(InstallTest):
    def test_a_program_is_compiled_against_the_installed_library(self):
        self.run_command("meson", "install", "-C", BUILD, "--no-rebuild", "--quiet", "--destdir", self.folder / "root")
        file, = (self.folder / "root").rglob("pushforward.pc")
        include, = (self.folder / "root").rglob("include")
        self.assertEqual(headers(include), headers(SOURCE / "lib"))

        prefix = f"--define-variable=prefix={include.parent}"
        flags = self.run_command("pkg-config", prefix, "--cflags", "--libs", "pushforward",
                                 PKG_CONFIG_PATH=str(file.parent)).split()
        self.run_command("mpicxx", "-std=c++20", SOURCE / "examples" / "log_prob.cpp", *flags, "-o", "log_prob")

        golden = SOURCE / "test" / "golden" / "version_1"
        with h5py.File(golden / "expected.h5") as expected, h5py.File(golden / "datasets" / "vectors.h5") as data:
            x, log_prob = data["test"][:2], expected["maf/log_prob"][:2]
        out = self.run_command(self.folder / "log_prob", golden / "models" / "maf.h5", *x.ravel(),
                               LD_LIBRARY_PATH=str(file.parent.parent))
        printed = np.array([float(line) for line in out.split()])
        self.assertEqual(printed.shape, log_prob.shape)
        self.assertTrue(np.all(np.abs(printed - log_prob) <= 1e-10 * np.abs(log_prob)), (printed, log_prob))


class Headers(InstallTest):
    """The script that installs headers, on a tree of its own."""

    def setUp(self):
        super().setUp()
        for name in ["pushforward/core/old.hpp", "pushforward/core/old.cpp", "pushforward/deep/er/x.hpp",
                     "other/y.hpp"]:
            path = self.folder / "lib" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(name)

    def install(self, includedir="include", **environment):
        return self.run_command(sys.executable, SCRIPT, self.folder / "lib", includedir,
                                MESON_INSTALL_DESTDIR_PREFIX=str(self.folder / "root" / "usr"),
                                DESTDIR=str(self.folder / "root"), **environment)

    def test_headers_of_the_library_are_installed(self):
        self.install()
        to = self.folder / "root" / "usr" / "include"
        self.assertEqual([str(path) for path in headers(to)], ["pushforward/core/old.hpp", "pushforward/deep/er/x.hpp"])
        self.assertEqual((to / "pushforward/deep/er/x.hpp").read_text(), "pushforward/deep/er/x.hpp")

    def test_a_header_that_is_new_is_installed_next_time(self):
        self.install()
        (self.folder / "lib/pushforward/core/new.hpp").write_text("")
        self.install()
        self.assertEqual(len(headers(self.folder / "root")), 3)

    def test_an_absolute_folder_is_below_destdir(self):
        self.install("/opt/headers")
        self.assertEqual(len(headers(self.folder / "root" / "opt" / "headers" / "pushforward")), 2)

    def test_a_dry_run_says_and_does_nothing(self):
        self.assertIn("old.hpp", self.install(MESON_INSTALL_DRY_RUN="1"))
        self.assertFalse((self.folder / "root").exists())
        self.assertEqual(self.install(MESON_INSTALL_DRY_RUN="1", MESON_INSTALL_QUIET="1"), "")


cases.main()
