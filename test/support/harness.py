"""Runs a program for its tests, with or without mpirun, in a directory of its own.

A file of tests:

    import cases
    from harness import ProgramTest

    class Train(ProgramTest):
        def test_zero_steps_are_refused(self):
            run = self.run_program("flow_train", "--train.steps", "0")
            self.assertFailure(run, 2, "train.steps = 0: must be at least 1")

    cases.main()

and a line in meson.build: 'train': files('test_train.py').
"""

import atexit
import functools
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

# Folders that hold executables, by the environment that meson sets.
FOLDERS = [pathlib.Path(folder) for folder in os.environ["PUSHFORWARD_PROGRAMS"].split(os.pathsep)]
SANITIZED = "PUSHFORWARD_SANITIZED" in os.environ
SLOWER = 6 if SANITIZED else 1
TIME_LIMIT = 120 * SLOWER  # seconds for one run of a program


# Flags that flow_train answers without a run.
ANSWERED = ["--help", "-h", "--version", "--print-config", "--kinds"]


def program_path(name):
    """The executable of a program."""
    for folder in FOLDERS:
        if (folder / name).is_file():
            return str(folder / name)
    raise FileNotFoundError(f"{name} is in none of {FOLDERS}")


@functools.cache
def session_folders():
    """A folder for those of Open MPI's sessions."""
    folder = tempfile.mkdtemp(prefix="pushforward-sessions-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def command(name, *arguments, ranks=0):
    """The command that runs a program on `ranks` ranks by mpirun, or for 0 as it is.

    Each run has a folder of its own for Open MPI's session. Programs that run at the same time share one otherwise, and
    one that ends may remove it while another one starts, which then fails. A program without mpirun needs no daemon.
    Symbols are bound at the start, since a thread of Open MPI that looks one up while components are unloaded crashes:
    in about one of two thousand runs.

    flow_train starts anew, whatever the folder holds, unless the arguments say otherwise.
    """
    session = [f"OMPI_MCA_orte_tmpdir_base={tempfile.mkdtemp(dir=session_folders())}", "LD_BIND_NOW=1"]
    words = [program_path(name), *map(str, arguments)]
    if name == "flow_train" and not {"--restart", *ANSWERED} & set(words):
        words += ["--restart", "never"]
    if ranks:
        words = ["mpirun", "--oversubscribe", "--timeout", str(TIME_LIMIT), "-n", str(ranks)] + words
    else:
        session.append("OMPI_MCA_ess_singleton_isolated=1")
    return ["env", *session, *words]


class ProgramTest(unittest.TestCase):
    """A test case with an empty working directory `self.folder` for each test."""

    def setUp(self):
        temporary = tempfile.TemporaryDirectory(prefix="pushforward-test-")
        self.addCleanup(temporary.cleanup)
        self.folder = pathlib.Path(temporary.name)

    def run_program(self, name, *arguments, ranks=0, **options):
        """Runs a program in self.folder; gives its returncode, stdout and stderr."""
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        return subprocess.run(command(name, *arguments, ranks=ranks), cwd=self.folder, text=True,
                              timeout=TIME_LIMIT + 10, **options)

    def write(self, name, text):
        """Writes a file into self.folder and gives its name."""
        (self.folder / name).write_text(text)
        return name

    def assertSuccess(self, run):
        self.assertEqual(run.returncode, 0, run.stderr)

    def assertFailure(self, run, code, *messages):
        """The run ended with this exit code, all messages are on standard error and nothing is on standard output."""
        self.assertEqual(run.returncode, code, run.stderr)
        for message in messages:
            self.assertIn(message, run.stderr)
        self.assertEqual(run.stdout, "")

