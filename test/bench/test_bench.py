"""bench, the PyTorch baseline and the table of run.sh: that they work and say what they should. Never how long it took."""

import csv
import math
import os
import pathlib
import subprocess
import sys
import unittest

import cases
import h5py
from harness import ProgramTest, command

HERE = pathlib.Path(__file__).parent
BASELINE = HERE / "torch_baseline.py"
sys.path.insert(0, str(HERE))
import table

COLUMNS = ["date", "cpu", "blas_core", "ranks", "threads", "case", "label", "precision", "rows", "ms", "median_ms",
           "repeats", "gflop", "bound_ms", "share_percent", "gbyte", "workspace_mb", "peak_mb", "error", "tolerance",
           "gradient_error"]
HAS_TORCH = subprocess.run([sys.executable, "-c", "import torch, functorch"], capture_output=True).returncode == 0


class BenchTest(ProgramTest):
    def bench(self, *arguments, ranks=0):
        run = self.run_program("bench", *arguments, ranks=ranks)
        self.assertSuccess(run)
        return run

    def rows(self, name):
        with open(self.folder / name, newline="") as file:
            return list(csv.DictReader(file))

    def listed(self, *names):
        return [line.split(None, 2) for line in self.bench("--list", *names).stdout.splitlines()]


class Bench(BenchTest):
    def assertMeasured(self, rows, ranks):
        for row in rows:
            self.assertEqual(list(row), COLUMNS)
            self.assertEqual((row["ranks"], row["threads"]), (str(ranks), "1"))
            self.assertTrue(row["cpu"] and row["blas_core"])
            best, median = float(row["ms"]), float(row["median_ms"])
            self.assertTrue(0 < best <= median < math.inf, row)
            self.assertTrue(float(row["error"]) <= float(row["tolerance"]), row)
            self.assertEqual(bool(row["bound_ms"]), bool(row["share_percent"]), row)
            if row["bound_ms"]:
                share = 100 * float(row["bound_ms"]) / best
                self.assertAlmostEqual(float(row["share_percent"]) / share, 1, 2)
                self.assertGreater(float(row["gflop"]), 0)
            self.assertTrue(row["gflop"] or row["gbyte"] or "all_reduce" in row["case"], row)
            flow = row["case"].split(".")[0] in ("train", "log_det", "density", "sample")
            self.assertEqual(flow, bool(row["peak_mb"] and row["workspace_mb"] and row["bound_ms"]), row)
            stochastic = ".neumann." in row["case"] or ".krylov." in row["case"]
            self.assertEqual(stochastic, bool(row["gradient_error"]), row)

    def test_every_case_is_checked_and_measured(self):
        names = [name for name, _, _ in self.listed()]
        self.assertGreater(len(names), 30)
        self.assertEqual(len(set(names)), len(names))
        run = self.bench("--tiny", "--csv", "a.csv")
        rows = self.rows("a.csv")
        self.assertMeasured(rows, 1)
        self.assertEqual(list(dict.fromkeys(row["case"] for row in rows)), names)
        lines = run.stdout.splitlines()
        self.assertEqual(len(lines), len(rows) + 2)
        for line in lines:
            self.assertLessEqual(len(line), 100, line)

    def test_ranks_share_the_rows(self):
        for ranks in (2, 3):
            self.bench("train", "log_det", "density", "sample", "coupling", "comm", "file", "--tiny", "--csv", "a.csv", ranks=ranks)
        for ranks in (2, 3):
            self.assertMeasured([row for row in self.rows("a.csv") if row["ranks"] == str(ranks)], ranks)
        self.bench("train.exact.d43", "--tiny", "--csv", "b.csv")
        # The same work, whoever does it.
        gflop = {row["gflop"] for row in self.rows("a.csv") + self.rows("b.csv") if row["case"] == "train.exact.d43"}
        self.assertEqual(len(gflop), 1)

    def test_cases_are_selected(self):
        self.assertEqual([name for name, _, _ in self.listed("comm", "train.exact.d2")],
                         ["train.exact.d2", *(f"comm.all_reduce.{size}" for size in ("1e1", "1e5", "5e6")),
                          *(f"comm.overlap.{size}" for size in ("5e4", "1e6", "5e6"))])

    def test_phases_add_up(self):
        lines = self.bench("train.exact.d2", "--tiny", "--phases").stdout.splitlines()[3:]
        names = {line.split()[0] for line in lines}
        self.assertTrue({"forward", "tangents", "reverse", "activations", "other"} <= names)
        shares = [float(line[:line.index("%")].split()[-1]) for line in lines]
        self.assertAlmostEqual(sum(shares), 100, delta=1)

    def test_what_cannot_be_is_refused(self):
        refused = lambda *arguments, **more: self.run_program("bench", *arguments, **more)
        self.assertFailure(refused("train.exat"), 2, "case 'train.exat' is unknown", "train.exact")
        self.assertFailure(refused("--seconds", "-1"), 2, "--seconds")
        self.assertFailure(refused("--tiny", "--save", "train.krylov.d43", "a.h5"), 2, "has no such case")
        self.assertFailure(refused("--tiny", "--save", "train.exact.d2", "a.h5", ranks=2), 2, "works on one rank")
        self.write("other.csv", "a,b\n")
        run = refused("comm.all_reduce.1e5", "--tiny", "--csv", "other.csv")
        self.assertEqual(run.returncode, 5)
        self.assertIn("begins with other columns", run.stderr)
        run = refused("comm.all_reduce.1e5", "--tiny", "--csv", "missing/a.csv")
        self.assertEqual(run.returncode, 5)


@unittest.skipUnless(HAS_TORCH, "needs PyTorch (python3-torch)")
class Baseline(BenchTest):
    def baseline(self, *arguments):
        return subprocess.run([sys.executable, str(BASELINE), *arguments, "--seconds", "0"], cwd=self.folder,
                              capture_output=True, text=True)

    def save(self, case):
        self.bench("--tiny", "--save", case, "case.h5")

    def test_it_agrees_with_ours_in_every_variant(self):
        import torch_baseline

        exact, probes = ["fused", "tangents", "jacrev", "jacfwd"], ["fused", "autograd"]
        inverses = ["banach256", "newton256"]
        variants = {"train.exact.d2": exact, "train.exact.d2_100": exact, "train.exact.d2_double": exact,
                    "train.exact.d43": exact, "train.exact.d43_1024": exact, "train.neumann.d43": probes,
                    "train.neumann.d64": probes, "train.realnvp.d43": probes, "train.continuous.d2": probes,
                    "train.continuous.d16": probes, "train.matching.d2": probes, "log_det.gradient64": exact,
                    "log_det.value256": ["density256"],
                    "density.d43": ["density256"], "density.d43_double": ["density256"],
                    "density.continuous.d2": ["nested256"], "density.continuous.d16": ["nested256"],
                    "sample.d2": inverses,
                    "sample.d43": inverses, "sample.d2_double": inverses, "sample.d43_double": inverses}
        self.assertEqual(list(variants), [name for name, baseline, _ in self.listed() if baseline == "PyTorch"])
        for name, names in variants.items():
            self.save(name)
            case = torch_baseline.Case(self.folder / "case.h5")
            makers = torch_baseline.variants(case)
            self.assertEqual(list(makers), names)
            for variant, make in makers.items():
                with self.subTest(case=name, variant=variant):
                    runner = make()
                    self.assertLess(runner.check(), 1e-3)
                    runner.run()

    def test_every_variant_has_its_turn(self):
        self.save("sample.d2")
        run = self.baseline("case.h5", "--csv", "t.csv", "--threads", "2")
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertEqual([(row["variant"], row["threads"]) for row in self.rows("t.csv")],
                         [("banach256", "2"), ("newton256", "2")])

    def test_results_that_are_off_are_not_timed(self):
        self.save("train.exact.d2")
        with h5py.File(self.folder / "case.h5", "a") as file:
            bias = file["gradient/transforms/000/layer_2/bias"]
            bias[...] = 1.01 * bias[...]
        run = self.baseline("case.h5", "--variant", "fused", "--csv", "t.csv")
        self.assertNotEqual(run.returncode, 0)
        self.assertIn("gradient: off by", run.stderr)
        self.assertFalse((self.folder / "t.csv").exists())
        self.assertIn("variant 'slow' is unknown", self.baseline("case.h5", "--variant", "slow").stderr)


class Table(BenchTest):
    """run.sh's table from made-up measurements."""

    def setUp(self):
        super().setUp()
        defaults = dict.fromkeys(COLUMNS, "") | {"threads": 1, "precision": "float", "blas_core": "Zen"}
        ours = [{"case": "train.neumann.d43", "ranks": 1, "ms": 40, "bound_ms": 30, "gradient_error": 0.6, "peak_mb": 50},
                {"case": "train.neumann.d43", "ranks": 1, "ms": 50, "bound_ms": 20, "gradient_error": 0.6, "peak_mb": 50},
                {"case": "train.neumann.d43", "ranks": 2, "ms": 20, "bound_ms": 15, "gradient_error": 0.6},
                {"case": "train.krylov.d43", "ranks": 2, "ms": 10, "bound_ms": 8, "gradient_error": 0.2},
                {"case": "train.exact.d43", "ranks": 1, "ms": 90, "bound_ms": 8},
                {"case": "train.exact.d43_1024", "ranks": 2, "ms": 100, "bound_ms": 8},
                {"case": "kernel.lu.float", "label": "d=2", "ranks": 1, "ms": 0.1, "gflop": 1}]
        torch = [{"case": "train.neumann.d43", "threads": 1, "variant": "fused", "ms": 80, "peak_mb": 300},
                 {"case": "train.neumann.d43", "threads": 2, "variant": "fused", "ms": 60, "peak_mb": 310},
                 {"case": "train.neumann.d43", "threads": 1, "variant": "autograd", "ms": 100, "peak_mb": 320}]
        self.ours = self.write_rows("ours.csv", COLUMNS, [defaults | row for row in ours])
        self.torch = self.write_rows("torch.csv", list(torch[0]), torch)

    def write_rows(self, name, columns, rows):
        with open(self.folder / name, "w", newline="") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(rows)
        return str(self.folder / name)

    def make(self, *more):
        run = subprocess.run([sys.executable, str(HERE / "table.py"), self.ours, self.torch, "--commit", "abc", *more],
                             cwd=self.folder, capture_output=True, text=True)
        return run

    def test_the_best_of_all_rounds_counts(self):
        run = self.make("--csv", "r.csv")
        self.assertEqual(run.returncode, 0, run.stderr)
        rows = {(row["case"], row["ranks"]): row for row in self.rows("r.csv")}
        one, two = rows["train.neumann.d43", "1"], rows["train.neumann.d43", "2"]
        self.assertEqual((one["commit"], one["ms"], one["share_percent"], one["ratio"]), ("abc", "40", "50.0", "1.5"))
        self.assertEqual((two["torch_ms"], two["torch_threads"], two["ratio"], two["autograd_ratio"]),
                         ("60", "2", "3", "5"))
        self.assertEqual(rows["train.krylov.d43", "2"]["ratio"], "")
        text = run.stdout
        for line in text.splitlines():
            self.assertLessEqual(len(line), 100, line)
        self.assertRegex(text, r"train\.neumann\.d43 +40 +50 % +20 +75 % +2\.00 +60 +3\.00× +4\.00× +5\.00×")
        self.assertIn("train.krylov.d43 on 2 rank(s): 0.50 of the time of Neumann, 0.33 of its gradient's error", text)
        self.assertIn("weak scaling, d = 43, 512 rows a rank: efficiency 0.90 on two ranks", text)
        self.assertIn("train.neumann.d43: at most 50 MB, PyTorch 310 MB", text)

    def test_results_are_appended(self):
        for _ in range(2):
            self.assertEqual(self.make("--csv", "r.csv").returncode, 0)
        self.assertEqual(len(self.rows("r.csv")), 12)
        self.assertEqual(list(self.rows("r.csv")[0]), table.COLUMNS)
        self.write("r.csv", "other\n")
        self.assertNotEqual(self.make("--csv", "r.csv").returncode, 0)

    def test_without_pytorch_there_is_still_a_table(self):
        os.remove(self.torch)
        run = self.make()
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertIn("train.neumann.d43", run.stdout)


class Script(unittest.TestCase):
    def test_run_sh_is_a_script(self):
        self.assertEqual(subprocess.run(["bash", "-n", str(HERE / "run.sh")]).returncode, 0)
        run = subprocess.run(["bash", str(HERE / "run.sh"), "--no-such-option"], capture_output=True, text=True)
        self.assertEqual(run.returncode, 2)
        self.assertIn("test/bench/run.sh", run.stderr)


cases.main()
