"""The programs on two ranks under valgrind's memcheck, with Open MPI's suppressions. Run by test/run.sh --memcheck."""

import os
import pathlib
import subprocess

import cases
import flows
from flows import FlowTest
from harness import command, program_path

RANKS = 2
FOUND = 99  # the exit code of valgrind if it has found an error
SUPPRESSIONS = ["/usr/share/openmpi/openmpi-valgrind.supp", pathlib.Path(__file__).with_suffix(".supp")]
OPTIONS = ["--quiet", f"--error-exitcode={FOUND}", *[f"--suppressions={file}" for file in SUPPRESSIONS],
           "--gen-suppressions=all", "--num-callers=30"]
TIME_LIMIT = 900  # seconds


class Memcheck(FlowTest):
    def run_checked(self, name, *arguments):
        words = command(name, *arguments, ranks=RANKS)
        at = words.index(program_path(name))
        # valgrind does not know AVX-512.
        environment = {**os.environ, "OPENBLAS_CORETYPE": "Haswell"}
        return subprocess.run([*words[:at], "valgrind", *OPTIONS, *words[at:]], cwd=self.folder, env=environment,
                              capture_output=True, text=True, timeout=TIME_LIMIT, stdin=subprocess.DEVNULL, check=False)

    def assertClean(self, name, *arguments, code=0):
        run = self.run_checked(name, *arguments)
        self.assertEqual(run.returncode, code, run.stderr)
        self.assertNotIn("==", run.stderr)
        return run

    def train(self, *arguments):
        return self.assertClean("flow_train", *flows.small("--data.rows", 200, "--train.steps", 4, *arguments))

    def test_training_and_what_follows(self):
        self.train("--checkpoint.steps", 2, "--restart", "auto")
        run = self.train("--checkpoint.steps", 2, "--restart", "auto", "--train.steps", 6)
        self.assertIn("continued", run.stderr)
        self.assertClean("flow_density", "flow.h5", flows.data(2), "-o", "density.h5")
        self.assertClean("flow_sample", "flow.h5", "-n", 20, "-o", "samples.h5")
        self.assertClean("flow_check", "flow.h5", "--rows", 8)
        self.assertClean("flow_logdet", "flow.h5", flows.data(2), "--rows", 2, "--repeats", 2, "-o", "log_det.h5")

    def test_kinds(self):
        for kind in ["realnvp", "spline", "maf", "glow"]:
            with self.subTest(kind):
                self.train("--model.kind", kind, "-o", f"{kind}.h5")

    def test_import(self):
        self.write("a.csv", "x,y,kind\n" + "".join(f"{i},{i * i % 17},{'ab'[i % 2]}\n" for i in range(60)))
        self.assertClean("flow_data", "import", "a.csv", "--context", "kind", "--one-hot", "kind", "-o", "data.h5")
        self.write("bad.csv", "x,y\n1,2\n3\n")
        self.assertClean("flow_data", "import", "bad.csv", "-o", "bad.h5", code=3)

    def test_the_twin(self):
        self.assertEqual(self.run_checked("uninitialized").returncode, FOUND)


cases.main()
