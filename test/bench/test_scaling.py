"""Exponents and the model of many ranks: closed forms, and that the commands say what they should. Never how long it
took."""

import csv
import pathlib
import subprocess
import sys
import unittest

import cases
import h5py
from harness import ProgramTest, program_path

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE))
import exponents
import scaling
import scaling_model as model

MEMORY, NETWORK = model.Link(1e-6, 1e-10), model.Link(3e-6, 2e-10)
SIZE = 1e6
COUNTS = [1 << i for i in range(15)]


def cluster(ranks_per_node):
    return model.Cluster(MEMORY, NETWORK, ranks_per_node)


class ScriptTest(ProgramTest):
    def script(self, name, *arguments):
        return subprocess.run([sys.executable, str(HERE / name), *map(str, arguments)], cwd=self.folder,
                              capture_output=True, text=True)

    def assertLines(self, run, *patterns):
        self.assertSuccess(run)
        for line in run.stdout.splitlines():
            self.assertLessEqual(len(line), 100, line)
        for pattern in patterns:
            self.assertRegex(run.stdout, pattern)


class Exponents(ScriptTest):
    def test_a_power_has_its_exponent(self):
        for power in (-1, 0, 1.5, 3):
            self.assertAlmostEqual(exponents.slope([2, 3, 8], [5 * x ** power for x in (2, 3, 8)]), power, 12)

    def test_the_upper_part_alone_counts(self):
        self.assertEqual(exponents.upper([4, 8, 16, 32, 64]), [16, 32, 64])
        self.assertEqual(exponents.upper([8, 16, 32, 64]), [32, 64])
        points = {x: {"ms": 7 + (x * x if x > 8 else 1), "gflop": x ** 3, "bound_ms": x} for x in (1, 4, 16, 64)}
        for point in points.values():
            point["ms"] -= 7
        fit = exponents.exponents(points)
        for key, expected in (("ms", 2), ("gflop", 3), ("bound_ms", 1)):
            self.assertAlmostEqual(fit[key], expected, 12)

    def test_a_sweep_changes_what_it_names(self):
        for name in exponents.SWEEPS:
            steps = exponents.steps(name)
            self.assertGreaterEqual(len(exponents.upper(list(steps))), 3, name)
            self.assertEqual(len({tuple(step.arguments()) for step in steps.values()}), len(steps), name)
        self.assertEqual(exponents.steps("neumann.terms")[12].method, "neumann:p=0.5,exact=10,length=step")
        self.assertEqual(exponents.steps("exact.width")[64].shape(), "32-64-64-32")
        self.assertEqual(exponents.select(["exact", "krylov.d"]), [*(n for n in exponents.SWEEPS if "exact" in n),
                                                                  "krylov.d"])

    def test_all_are_measured(self):
        run = self.script("exponents.py", program_path("bench"), "--tiny", "--rounds", 1, "--csv", "points.csv")
        number = r" +-?\d+\.\d\d"
        self.assertLines(run, *(rf"(?m)^{name} .* … .*{3 * number}$" for name in exponents.SWEEPS))
        with open(self.folder / "points.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        self.assertEqual(list(rows[0]), exponents.COLUMNS)
        self.assertEqual(len(rows), sum(len(values) for _, values in exponents.SWEEPS.values()))
        for row in rows:
            self.assertGreater(min(float(row[key]) for key in ("ms", "gflop", "bound_ms")), 0)

    def test_unknown_names_are_refused(self):
        run = self.script("exponents.py", program_path("bench"), "exact.depth")
        self.assertNotEqual(run.returncode, 0)
        self.assertIn("exponents 'exact.depth' are unknown; known are exact.d,", run.stderr)


class Shape(ProgramTest):
    def bench(self, *arguments):
        return self.run_program("bench", *arguments, "--tiny")

    def test_a_shape_is_a_case(self):
        # As small as the tiny ones are already.
        run = self.bench("--shape", "5-11-5-5", "--blocks", "2", "--method", "exact", "--precision", "double")
        self.assertSuccess(run)
        self.assertIn("shape 5-11-5-5 ×2 exact", run.stdout)
        self.assertSuccess(self.bench("--shape", "5-11-5", "--method", "krylov:2"))

    def test_a_shape_that_cannot_be_is_refused(self):
        for shape, message in (("5", "must begin and end with the same dimension"), ("5-5", "hidden layers between"),
                               ("5-7-6", "the same dimension"), ("5-x-5", "'x' is no width"), ("5--5", "'' is no width"),
                               ("5-0-5", "'0' is no width"), ("5-7-5-", "'' is no width")):
            self.assertFailure(self.bench("--shape", shape), 2, f"--shape {shape}: ", message)
        self.assertFailure(self.bench("--shape", "5-7-5", "train"), 2, "no other is run")
        self.assertFailure(self.bench("--shape", "5-7-5", "--rows", "1"), 2, "--rows 1: must be at least 2")
        self.assertFailure(self.bench("--shape", "5-7-5", "--method", "series:3"), 2, "its products are not counted")
        self.assertFailure(self.bench("--shape", "5-7-5", "--method", "roulette:p=0.5"), 2, "add length=step")


class AllReduce(unittest.TestCase):
    def assertSeconds(self, reduce, p, expected, ranks_per_node=1):
        self.assertAlmostEqual(model.ALL_REDUCES[reduce](cluster(ranks_per_node), p, SIZE) / expected, 1, 12)

    def test_between_nodes_of_one_rank(self):
        a, b = NETWORK.alpha, NETWORK.beta
        for p in (2, 8, 1024):
            log = p.bit_length() - 1
            once = 2 * (p - 1) / p * SIZE * b
            self.assertSeconds("flat", p, 2 * (p - 1) * (a + SIZE * b))
            self.assertSeconds("tree", p, 2 * log * (a + SIZE * b))
            for ring in ("ring", "node+ring"):
                self.assertSeconds(ring, p, 2 * (p - 1) * a + once)
            self.assertSeconds("node+tree", p, 2 * log * (a + SIZE * b))
            self.assertSeconds("node+halving", p, 2 * log * a + once)

    def test_within_a_node(self):
        a, b = MEMORY.alpha, MEMORY.beta
        for reduce in ("ring", "node+ring", "node+tree", "node+halving"):
            self.assertSeconds(reduce, 4, 6 * a + 1.5 * SIZE * b, ranks_per_node=64)
        self.assertSeconds("flat", 4, 6 * (a + SIZE * b), ranks_per_node=64)
        self.assertSeconds("tree", 3, 4 * (a + SIZE * b), ranks_per_node=64)

    def test_nodes_first_then_between(self):
        inside, between = (lambda size: MEMORY.send(size)), (lambda size: NETWORK.send(size))
        self.assertSeconds("flat", 16, 2 * (3 * inside(SIZE) + 12 * between(SIZE)), 4)
        self.assertSeconds("tree", 16, 2 * (2 * inside(SIZE) + 2 * between(SIZE)), 4)
        self.assertSeconds("ring", 16, 30 * between(SIZE / 16), 4)
        self.assertSeconds("node+ring", 16, 6 * inside(SIZE / 4) + 6 * between(SIZE / 4), 4)

    def test_one_rank_has_nothing_to_say(self):
        for reduce in model.ALL_REDUCES.values():
            self.assertEqual(reduce(cluster(4), 1, SIZE), 0)

    def test_more_takes_longer(self):
        for name, reduce in model.ALL_REDUCES.items():
            for ranks_per_node in (1, 64):
                here = cluster(ranks_per_node)
                seconds = [reduce(here, p, SIZE) for p in COUNTS]
                self.assertEqual(seconds, sorted(seconds), name)
                self.assertLess(reduce(here, 128, SIZE), reduce(here, 128, 2 * SIZE), name)

    def test_selections_that_are_gathered_grow_with_the_nodes(self):
        alone = cluster(1)
        self.assertAlmostEqual(model.sparse_gathered(alone, 8, SIZE, 0.01), 7 * NETWORK.send(0.02 * SIZE), 15)
        self.assertAlmostEqual(model.sparse_merged(alone, 8, SIZE, 0.01), 6 * NETWORK.send(0.02 * SIZE), 15)
        self.assertGreater(model.sparse_gathered(alone, 16384, SIZE, 0.01), model.ring(alone, 1024, SIZE))


class Efficiency(unittest.TestCase):
    STEP = model.Step(t0=1e-3, t1=1e-4, size=SIZE, reverse_share=0.5)

    def test_without_communication(self):
        free = model.Step(0, 1e-4, 0)
        self.assertEqual(model.weak(free, 0, 10), 1)
        self.assertAlmostEqual(model.strong(free, 0, 16, 1024), 1, 12)
        # Three ranks on ten rows: the slowest has four.
        self.assertAlmostEqual(model.strong(free, 0, 3, 10), 10 / 12, 12)
        # More ranks than rows.
        self.assertAlmostEqual(model.strong(free, 0, 100, 10), 0.1, 12)

    def test_closed_forms(self):
        self.assertAlmostEqual(model.weak(self.STEP, 2e-3, 10), 0.5, 12)
        self.assertAlmostEqual(model.strong(self.STEP, 1e-3, 10, 100), (1 + 10) / (10 * (1 + 1 + 1)), 12)

    def test_more_ranks_are_less_efficient(self):
        for reduce in model.ALL_REDUCES.values():
            for efficiency in (lambda p: model.strong(self.STEP, reduce(cluster(64), p, SIZE), p, 1024),
                               lambda p: model.weak(self.STEP, reduce(cluster(64), p, SIZE), 512)):
                values = [efficiency(p) for p in COUNTS]
                self.assertEqual(values, sorted(values, reverse=True))
                self.assertTrue(all(0 < value <= 1 for value in values))

    def test_the_end_is_found(self):
        self.assertEqual(model.first_below(lambda p: 3 / p, COUNTS), 8)
        self.assertIsNone(model.first_below(lambda p: 1, COUNTS))

    def test_remedies(self):
        here = cluster(64)
        for strong in (False, True):
            found = model.remedies(self.STEP, here, 1024, 1, strong)
            plain = found["as it is"]
            reduction = model.fastest(here, 1024, SIZE)
            expected = model.strong(self.STEP, reduction, 1024, 1024) if strong else model.weak(self.STEP, reduction, 1)
            self.assertAlmostEqual(plain, expected, 12)
            for name in ("4 times the rows a rank", "half the bytes", "all-reduce every 4 steps",
                         "all overlapped that can be"):
                self.assertGreater(found[name], plain, name)
            self.assertGreater(found["16 times the rows a rank"], found["4 times the rows a rank"])
            self.assertGreater(found["all-reduce every 16 steps"], found["all-reduce every 4 steps"])
            self.assertEqual("t0 shared out over ranks" in found, strong)
        # A reverse pass that is longer than the reduction hides it.
        self.assertEqual(model.remedies(self.STEP, here, 2, 10_000, False)["all overlapped that can be"], 1)


class Scaling(ScriptTest):
    GIVEN = ["--t0", "5e-3", "--t1", "1e-3", "--inside", "2e-6,8", "--reverse", "0.4"]

    def test_lines_are_fitted(self):
        a, b = scaling.fit_line([1, 2, 4], [5, 7, 11])
        self.assertAlmostEqual(a, 3, 12)
        self.assertAlmostEqual(b, 2, 12)
        self.assertEqual(scaling.fit_line([1, 2], [1, 3])[0], 0)

    def test_parameters_are_those_of_the_flow(self):
        self.assertSuccess(self.run_program("bench", "--tiny", "--save", "train.exact.d43", "case.h5"))
        sizes, shapes = [], []
        with h5py.File(self.folder / "case.h5") as file:
            file["gradient"].visititems(lambda _, item: sizes.append(item.size) if hasattr(item, "size") else None)
            file["gradient"].visititems(
                lambda name, item: shapes.append(item.shape) if name.startswith("transforms/000/")
                and name.endswith("weight") else None)
        text = "-".join(str(width) for width in [shapes[0][1], *(shape[0] for shape in shapes)])
        self.assertEqual(scaling.parameters(text, 3), sum(sizes))

    def test_the_model_alone(self):
        run = self.script("scaling.py", *self.GIVEN)
        percent = r" +\d+\.\d %"
        self.assertLines(run, "276930 floats to reduce", rf"(?m)^ +16384{6 * percent}$", rf"(?m)^ +1{6 * ' +100.0 %'}$",
                         "predicted, strong: a batch of 1024 rows", "predicted, weak: 512 rows a rank",
                         r"< 50 % +from 64", "assumed: ", "strong: 256 ranks, 4 row\(s\) each", "top 1 %, gathered")
        self.assertEqual(run.stdout.count("as it is"), 2)
        self.assertNotIn("measured on", run.stdout)

    def test_options_are_heard(self):
        run = self.script("scaling.py", *self.GIVEN, "--between", "5e-6,25", "--ranks-per-node", 8, "--most-ranks", 64,
                          "--shape", "2-3-2", "--blocks", 2, "--batch", 64, "--rows", 16)
        self.assertLines(run, r"between: α = 5 µs, β = 1/\(25 GB/s\)", r"\(8 ranks\)", "36 floats",
                         "a batch of 64 rows", "16 rows a rank")
        self.assertNotIn("128", run.stdout)

    def test_all_is_measured(self):
        run = self.script("scaling.py", "--bench", program_path("bench"), "--tiny", "--most-ranks", 4)
        self.assertLines(run, "measured on one rank", "measured on two ranks", r"strong +1024", r"weak +512·p",
                         "predicted, weak")

    def test_what_is_missing_is_named(self):
        run = self.script("scaling.py", "--t0", "1e-3")
        self.assertEqual(run.returncode, 2)
        self.assertIn("--t1: must be given where there is no --bench", run.stderr)


cases.main()
