"""Checks the files in examples/: programs and scripts run, and configurations are accepted."""

import csv
import importlib.util
import os
import pathlib
import re
import subprocess
import sys
import unittest

import h5py
import numpy as np

import cases
import flows
from flows import FlowTest
from harness import program_path

import double_wells  # of examples/, which flows puts on the path

try:
    import matplotlib.image as pictures
except ImportError:
    pictures = None

EXAMPLES = flows.SOURCE / "examples"
FAMILIES = ["residual", "nice", "realnvp", "glow", "spline", "maf", "iaf", "continuous", "planar", "radial"]


class Programs(FlowTest):
    def families(self, **options):
        """[NLL of the flow, entropy, NLL without a flow] by name, as examples/families prints it."""
        lines = self.succeed("families", **options).stdout.splitlines()
        self.assertEqual(lines[0].split(), ["NLL,", "nats", "flow", "entropy", "without"])
        return {line[:16].strip(): [float(word) for word in line[16:].split()] for line in lines[1:]}

    def test_families_beat_what_has_no_flow_and_the_same_on_two_ranks(self):
        alone = self.families()
        self.assertEqual(list(alone), FAMILIES + ["realnvp, mixture", "images", "angles", "residual, angles",
                                                  "maf given u"])
        for name, (nll, entropy, without) in alone.items():
            self.assertLess(nll, without - 0.5, name)
            # The mean of −log p over 20 000 rows has a deviation of about √(d/2)/√20000.
            self.assertGreater(nll, entropy - (0.08 if name == "images" else 0.03), name)
        # Bananas are what couplings and MAFs are made for, additive ones with a scaling included.
        for name in ["nice", "realnvp", "spline", "maf", "maf given u"]:
            self.assertLess(alone[name][0], alone[name][1] + 0.1, name)
        for name, values in self.families(ranks=2).items():
            # Splines are steep: 400 steps of them make of rounding what seeds make of a run.
            self.assertNear(values, alone[name], 0.02 if name in ["spline", "angles"] else 1e-6)

    def test_textbook_densities_are_their_closed_forms(self):
        run = self.succeed("textbook", "textbook.h5")
        values = np.array([line.split()[-2:] for line in run.stdout.splitlines()[1:]], float)
        self.assertEqual(values.shape, (10, 2))
        self.assertTrue(np.all(values > 0))
        self.assertNear(values[:, 0] / values[:, 1], np.ones(10), 1e-13)
        arrays = flows.read_h5(self.folder / "textbook.h5")
        for name, shape in [("affine", (400,)), ("cubes", (200, 200))]:
            density, exact = arrays[f"{name}/density"], arrays[f"{name}/closed_form"]
            self.assertEqual(density.shape, shape)
            self.assertNear(density / exact, np.ones(shape), 1e-12)
        # The twin: the density without its change of volume.
        self.assertFar(arrays["affine/density"] * 0.5, arrays["affine/closed_form"], 0.1)
        # Samples: mean and deviation of one, and the cube roots of the other.
        x, roots = arrays["affine/samples"], np.cbrt(arrays["cubes/samples"])
        for values, mean, deviation in [(x, 1.5, 0.5), (roots, 0, 1)]:
            off = (values.mean(axis=0) - mean) / (deviation / np.sqrt(len(values)))
            self.assertTrue(np.all(np.abs(off) < 5), off)
            self.assertTrue(np.all(np.abs(values.std(axis=0) / deviation - 1) < 0.02))
        if not pictures:
            return
        picture = [sys.executable, EXAMPLES / "plot_textbook.py", "textbook.h5", "-o", "textbook.png"]
        subprocess.run(picture, cwd=self.folder, check=True, capture_output=True)
        self.assertGreater(pictures.imread(self.folder / "textbook.png").std(), 0.1)

    def test_kinds_of_ones_own_train_load_and_sample(self):
        lines = dict(line.split("  ", 1) for line in self.succeed("own_kinds", "own.h5").stdout.splitlines()
                     if "  " in line)
        # Normal and independent columns would have 2.5 nats.
        self.assertLess(float(lines["validation NLL"]), 1.7)
        with h5py.File(self.folder / "own.h5") as file:
            flow = file["flow"]
            self.assertEqual(flows.text(flow["base"].attrs["kind"]), "laplace")
            self.assertEqual(flow["base"].attrs["scale"], 0.7)
            self.assertEqual(flows.text(flow["transforms/000"].attrs["kind"]), "sinh_arcsinh")
            self.assertEqual(flows.text(flow["transforms/001"].attrs["activation"]), "arctan")
            self.assertIn("shift", flow["transforms/000"])
        # A program that does not know the kinds names them.
        self.assertFailure(self.run_program("flow_check", "own.h5"), 3, "transform 'sinh_arcsinh' is unknown")

    def test_usage(self):
        self.assertFailure(self.run_program("textbook"), 2, "usage: textbook OUTPUT.h5")
        run = self.run_program("textbook", "missing/textbook.h5")
        self.assertEqual(run.returncode, 5)
        self.assertIn("missing/textbook.h5", run.stderr)
        self.assertFailure(self.run_program("log_prob"), 2, "usage: log_prob MODEL.h5")


@unittest.skipUnless(pictures, "there is no matplotlib")
class SampleSheet(FlowTest):
    def sheet(self, *arguments):
        """The picture as (rows, columns, 3) bytes."""
        run = self.run_script(*arguments)
        self.assertEqual(run.returncode, 0, run.stderr)
        picture = pictures.imread(self.folder / "sheet.png")
        return np.round(255 * picture[:, :, :3]).astype(int)

    def run_script(self, *arguments):
        command = [sys.executable, EXAMPLES / "sample_sheet.py", *map(str, arguments), "-o", "sheet.png"]
        return subprocess.run(command, cwd=self.folder, text=True, capture_output=True)

    def test_gray_images_pixel_by_pixel(self):
        images = np.random.default_rng(1).integers(0, 17, (7, 3, 2))
        self.put("samples.h5", {"x": images.reshape(7, 6)}, image_shape=np.array([3, 2, 1]))
        picture = self.sheet("samples.h5", "--columns", 4, "--rows", 2, "--levels", 17, "--zoom", 1, "--gap", 0)
        self.assertEqual(picture.shape, (6, 8, 3))
        for i in range(8):
            expected = np.round(images[i] * 255 / 16) if i < 7 else np.zeros((3, 2))  # the last place is empty
            found = picture[i // 4 * 3 :, i % 4 * 2 :][:3, :2]
            self.assertTrue(np.array_equal(found, np.repeat(expected[:, :, None], 3, axis=2)), i)
        zoomed = self.sheet("samples.h5", "--columns", 4, "--rows", 2, "--levels", 17, "--zoom", 3, "--gap", 0)
        self.assertTrue(np.array_equal(zoomed, picture.repeat(3, axis=0).repeat(3, axis=1)))
        apart = self.sheet("samples.h5", "--columns", 4, "--rows", 2, "--levels", 17, "--zoom", 3)
        self.assertEqual(apart.shape, (2 * 9 + 1, 4 * 6 + 3, 3))
        self.assertTrue(np.all(apart[9] == 128) and np.all(apart[:, 6::7] == 128))
        self.assertTrue(np.array_equal(np.delete(np.delete(apart, 9, axis=0), [6, 13, 20], axis=1), zoomed))

    def test_colors_of_a_dataset_between_least_and_largest(self):
        images = np.random.default_rng(2).normal(size=(5, 2, 2, 3))
        arrays = {"train": np.zeros((1, 12)), "test": images.reshape(5, 12)}
        self.put("data.h5", arrays, image_shape=np.array([2, 2, 3]))
        picture = self.sheet("data.h5:test", "--columns", 2, "--rows", 2, "--zoom", 1, "--gap", 0)
        shown = images[:4]
        expected = np.round(255 * (shown - shown.min()) / (shown.max() - shown.min()))
        self.assertTrue(np.array_equal(picture[:2, 2:], expected[1]))
        self.assertTrue(np.array_equal(picture[2:, :2], expected[2]))
        self.assertEqual(picture.max(), 255)

    def test_samples_of_a_flow(self):
        generator = np.random.default_rng(3)
        x = generator.uniform(size=(200, 16))
        splits = {"train": x[:150], "validation": x[150:], "test": x[150:]}
        self.put("data.h5", splits, image_shape=np.array([4, 4, 1]))
        self.train("--model.kind", "nice", "--data", "data.h5", "-o", "flow.h5")
        self.sample("flow.h5", "-n", 100)
        self.assertEqual(self.sheet("samples.h5").shape, (169, 169, 3))

    def test_values_without_a_place_between_black_and_white(self):
        x = np.array([[np.nan, 1, 2, np.inf]])
        self.put("samples.h5", {"x": x}, image_shape=np.array([2, 2, 1]))
        picture = self.sheet("samples.h5", "--columns", 1, "--rows", 1, "--zoom", 1)[:, :, 0]
        self.assertEqual(picture.tolist(), [[0, 0], [255, 255]])
        for x in [np.full((1, 4), 3.0), np.full((1, 4), np.nan)]:
            self.put("samples.h5", {"x": x}, image_shape=np.array([2, 2, 1]))
            self.assertTrue(np.all(self.sheet("samples.h5", "--gap", 0) == 0))

    def test_what_cannot_be_shown_is_said(self):
        self.put("vectors.h5", {"x": np.zeros((2, 4))})
        self.put("two.h5", {"x": np.zeros((2, 8))}, image_shape=np.array([2, 2, 2]))
        self.put("few.h5", {"x": np.zeros((2, 3))}, image_shape=np.array([2, 2, 1]))
        for arguments, message in [
            (["vectors.h5"], "has no attribute image_shape"),
            (["two.h5"], "images of 2 channels"),
            (["few.h5"], "few.h5:x has the shape (2, 3), not (N, 4)"),
            (["few.h5:test"], "few.h5 has no test; there are x"),
            (["missing.h5"], "missing.h5"),
            (["few.h5", "--rows", 0], "at least 1"),
            (["few.h5", "--gap", -1], "--gap is at least 0"),
            (["few.h5", "--levels", 1], "--levels is 0 or at least 2"),
        ]:
            run = self.run_script(*arguments)
            self.assertNotEqual(run.returncode, 0)
            self.assertIn(message, run.stderr)
            self.assertNotIn("Traceback", run.stderr)


class Scripts(FlowTest):
    def run_script(self, name, *arguments):
        return subprocess.run([sys.executable, EXAMPLES / name, *map(str, arguments)], cwd=self.folder, text=True,
                              capture_output=True)

    def kinds(self, *flags):
        return self.run_script("kinds.py", "--kinds", "nice,planar", "--densities", "moons,rings", "--folder", "kinds",
                               "--program", program_path("flow_train"), "--data.rows", 1000, "--train.batch", 50,
                               "--model.blocks", 2, "--train.warmup", 2, *flags)

    def test_table_of_kinds(self):
        run = self.kinds("--train.steps", 4)
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        lines = [line.split() for line in run.stdout.splitlines()]
        self.assertEqual([line[0] for line in lines], ["nats", "nice", "planar"])
        self.assertEqual(lines[0][2:], ["moons", "rings"])
        with open(self.folder / "kinds/kinds.csv", newline="") as file:
            table = list(csv.DictReader(file))
        self.assertEqual(list(table[0]), ["kind", "density", "excess_nats", "standard_error", "time"])
        self.assertEqual([(row["kind"], row["density"]) for row in table],
                         [(k, d) for k in ["nice", "planar"] for d in ["moons", "rings"]])
        shown = [float(word) for line in lines[1:] for word in line[1:]]
        self.assertNear([float(row["excess_nats"]) for row in table], shown, 5e-4)
        log = self.folder / "kinds/planar_rings.log"
        first = log.read_text(), log.stat().st_mtime_ns
        # The same command is not run again; another is, and so is one that has left no result.
        self.assertEqual(self.kinds("--train.steps", 4).stdout, run.stdout)
        self.assertEqual((log.read_text(), log.stat().st_mtime_ns), first)
        other = self.kinds("--train.steps", 5)
        self.assertEqual(other.returncode, 0, other.stderr)
        self.assertIn("trained    5 steps", log.read_text())
        self.assertNotEqual(other.stdout, run.stdout)
        log.write_text(log.read_text().splitlines()[0] + "\n")
        self.assertEqual(self.kinds("--train.steps", 5).stdout, other.stdout)

    def test_kinds_that_cannot_be_trained(self):
        run = self.kinds("--train.steps", 0)
        self.assertEqual(run.returncode, 1)
        self.assertIn("4 runs failed: see their logs in kinds", run.stdout)
        self.assertIn("train.steps = 0", (self.folder / "kinds/nice_moons.log").read_text())
        run = self.run_script("kinds.py", "--kinds", "niece")
        self.assertEqual(run.returncode, 2)
        self.assertIn("unknown: niece; there are residual, nice", run.stderr)
        self.assertEqual(self.files(), ["kinds"])

    def test_table_of_places(self):
        """Two files with two seeds. One holds every row twice, so most test rows are among the training rows."""
        places = np.random.default_rng(3).normal([20, 60], [10, 25], (150, 2)).round(3)
        for name, rows in [("once.csv", places), ("twice.csv", np.concatenate([places, places]))]:
            self.write(name, "lat,lon\n" + "".join(f"{lat},{lon}\n" for lat, lon in rows))
        run = self.run_script("earth.py", "once.csv", "twice.csv", "--seeds", "0,1", "--folder", "earth", "--programs",
                              pathlib.Path(program_path("flow_train")).parent, "--model.hidden", "8", "--train.steps",
                              40, "--objective.likelihood_steps", 20, "--train.warmup", 2, "--train.batch", 20)
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        self.assertEqual([line.split()[0] for line in run.stdout.splitlines()], ["nats", "once", "twice"])
        with open(self.folder / "earth/earth.csv", newline="") as file:
            table = list(csv.DictReader(file))
        self.assertEqual([(row["data"], row["seed"]) for row in table],
                         [(name, seed) for name in ["once", "twice"] for seed in "01"])
        repeated = {row["data"]: int(row["repeated_rows"]) / int(row["rows"]) for row in table}
        self.assertEqual(repeated["once"], 0)
        self.assertGreater(repeated["twice"], 0.5)
        self.assertLess(float(table[0]["nll"]), np.log(4 * np.pi))  # that of the uniform density
        self.assertEqual(table[0]["nll"], table[0]["nll_of_others"])
        on_chart = self.run_script("earth.py", "once.csv", "--on", "chart", "--seeds", "0", "--folder", "chart",
                                   "--programs", pathlib.Path(program_path("flow_train")).parent, "--model.hidden", "8",
                                   "--model.blocks", 2, "--train.steps", 40, "--train.warmup", 2, "--train.batch", 20)
        self.assertEqual(on_chart.returncode, 0, on_chart.stdout + on_chart.stderr)
        self.assertLess(float(on_chart.stdout.splitlines()[1].split()[1]), np.log(4 * np.pi))
        with h5py.File(self.folder / "earth/once_0.h5") as vectors, h5py.File(self.folder / "chart/once_0_chart.h5") as z:
            angle = z["test"][:, 1]
            across = np.sqrt(1 - z["test"][:, 0] ** 2)
            again = np.stack([across * np.cos(angle), across * np.sin(angle), z["test"][:, 0]], axis=1)
            self.assertLess(np.abs(again - vectors["test"][()]).max(), 1e-12)
        missing = self.run_script("earth.py", "never.csv")
        self.assertEqual(missing.returncode, 2)
        self.assertIn("no such file: never.csv", missing.stderr)

    @unittest.skipUnless(importlib.util.find_spec("scipy"), "there is no scipy")
    def test_table_of_couplings(self):
        run = self.run_script("optimal_transport.py", "--problems", "moons-8gaussians,N-moons", "--methods",
                              "independent,optimal_transport", "--seeds", 1, "--rows", "200,50,50", "--folder", "table",
                              "--programs", pathlib.Path(program_path("flow_train")).parent, "--train.steps", 60,
                              "--train.batch", 100, "--train.warmup", 2)
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        with open(self.folder / "table/optimal_transport.csv", newline="") as file:
            table = list(csv.DictReader(file))
        self.assertEqual([(row["problem"], row["method"]) for row in table],
                         [(p, m) for p in ["moons-8gaussians", "N-moons"] for m in ["independent", "optimal_transport"]])
        for crossed, straight in [table[:2], table[2:]]:
            # Optimal paths need less energy. 50 rows are all rows, also of 512.
            self.assertLess(float(straight["energy"]), 0.8 * float(crossed["energy"]))
            self.assertEqual(straight["w2"], straight["w2_512"])
            self.assertEqual(straight["floor"], crossed["floor"])
        unknown = self.run_script("optimal_transport.py", "--methods", "optimal")
        self.assertEqual(unknown.returncode, 2)
        self.assertIn("unknown: optimal; there are N-8gaussians", unknown.stderr)

    def test_table_of_errors_of_log_p(self):
        largest = {}
        for tolerance in ["1e-3", "1e-9"]:
            run = self.run_script("log_prob_errors.py", "--densities", "moons", "--rows", 200, "--tolerance", tolerance,
                                  "--folder", "errors", "--programs", pathlib.Path(program_path("flow_train")).parent,
                                  "--data.rows", 1000, "--model.hidden", 16, "--train.steps", 60, "--train.batch", 100,
                                  "--objective.likelihood_steps", 10, "--train.warmup", 2)
            self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
            with open(self.folder / "errors/log_prob_errors.csv", newline="") as file:
                table = list(csv.DictReader(file))
            self.assertEqual([row["objective"] for row in table], ["matching", "likelihood"])
            for row in table:
                self.assertEqual(int(row["failed"]), 0)
                self.assertLessEqual(float(row["largest"]), float(tolerance))
            largest[tolerance] = max(float(row["largest"]) for row in table)
        self.assertGreater(largest["1e-3"], 1e-9)
        unknown = self.run_script("log_prob_errors.py", "--densities", "moon")
        self.assertEqual(unknown.returncode, 2)
        self.assertIn("unknown: moon; there are checkerboard", unknown.stderr)

    def test_table_of_double_wells(self):
        """Rhombs with sides of 2.5 and one diagonal of 2.5, at any place and angle."""
        generator = np.random.default_rng(5)
        corners = 2.5 * np.array([0, 1, np.exp(1j * np.pi / 3), 1 + np.exp(1j * np.pi / 3)])
        z = corners * np.exp(1j * generator.uniform(0, 2 * np.pi, (700, 1))) + generator.normal(0, 5, (700, 1))
        x = np.stack([z.real, z.imag], axis=2).reshape(700, 8) + generator.normal(0, 0.1, (700, 8))
        for name, rows in [("train.npy", x[:500]), ("validation.npy", x[500:600]),
                           ("test.npy", np.concatenate([x[:50], x[600:]]))]:
            np.save(self.folder / name, rows)
        run = self.run_script("double_wells.py", "train.npy", "validation.npy", "test.npy", "--samples", 300,
                              "--components", 4, "--folder", "wells", "--programs",
                              pathlib.Path(program_path("flow_train")).parent, "--model.hidden", "16", "--train.steps",
                              300, "--objective.likelihood_steps", 20, "--train.warmup", 5, "--train.batch", 100)
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        lines = [line.split() for line in run.stdout.splitlines()]
        self.assertEqual(lines[0][:7], "150 test rows, 33.3% among the training".split())
        self.assertEqual([line[0] for line in lines[1:]], ["nats", "flow", "mixture", "exact"])
        # All angles are equally likely, so the best normal density has one deviation in all six directions.
        p = x.reshape(-1, 4, 2)
        normal = 3 * np.log(2 * np.pi * np.e * np.mean(np.sum((p - p.mean(axis=1, keepdims=True)) ** 2, axis=(1, 2))) / 6)
        for line in lines[2:4]:
            self.assertLess(float(line[1]), normal)
            self.assertGreater(float(line[3].rstrip("%")), 0)
        missing = self.run_script("double_wells.py", "train.npy", "never.npy", "test.npy")
        self.assertEqual(missing.returncode, 2)
        self.assertIn("no such file: never.npy", missing.stderr)

    def test_density_of_double_wells(self):
        generator = np.random.default_rng(6)
        mixture = double_wells.Mixture(generator.normal([3, 0, 0, 0, 0], [0.5, 2, 2, 2, 2], (400, 5)), 2, generator, 5)
        x = generator.normal(0, 2.2, (20000, 4, 2))
        log_p = double_wells.log_prob(x, mixture.log_prob)
        # It is the same for a shifted, turned, reflected row whose particles are exchanged, and so is the energy.
        turn = np.array([[np.cos(2), np.sin(2)], [np.sin(2), -np.cos(2)]])
        image = x[:, [2, 0, 3, 1]] @ turn + [3, -4]
        self.assertNear(double_wells.log_prob(image, mixture.log_prob), log_p, 1e-9)
        self.assertNear(double_wells.energy(image) / double_wells.energy(x), np.ones(len(x)), 1e-9)
        self.assertNear(double_wells.energy(double_wells.positions(double_wells.coordinates(x))) / double_wells.energy(x),
                        np.ones(len(x)), 1e-9)
        # It integrates to 1, by samples of the normal density of six dimensions. The twin lacks the change of volume.
        inside = np.sum((x - x.mean(axis=1, keepdims=True)) ** 2, axis=(1, 2))
        weight = np.exp(log_p + inside / (2 * 2.2**2) + 3 * np.log(2 * np.pi * 2.2**2))
        error = weight.std() / np.sqrt(len(x))
        self.assertLess(error, 0.02)
        self.assertLess(abs(weight.mean() - 1), 4 * error)
        length = double_wells.coordinates(x)[:, 0]
        self.assertGreater(abs((weight * 2 * np.pi * length).mean() - 1), 4 * error)

    @unittest.skipUnless(pictures, "there is no matplotlib")
    def test_story_of_continuous_flows(self):
        path = f"{pathlib.Path(program_path('flow_train')).parent}:{os.environ['PATH']}"
        run = subprocess.run([EXAMPLES / "continuous.sh", "--small", "story"], cwd=self.folder, text=True,
                             capture_output=True, env=os.environ | {"PATH": path})
        self.assertEqual(run.returncode, 0, run.stdout[-2000:] + run.stderr)
        for name in ["steps", "weights", "grid", "film"]:
            self.assertGreater(pictures.imread(self.folder / f"story/{name}.png")[:, :, :3].std(), 0.05, name)
        # Two samplers of Euler steps: densities integrate to 1, and quadratures of the divergence do not.
        table = [[float(word) for word in line.split()] for line in run.stdout.splitlines()
                 if re.fullmatch(r" +\d+( +\d+\.\d+){4} +\d+", line)]
        self.assertEqual([row[0] for row in table], [8, 16])
        for _, off_exact, off_trace, exact, trace, folded in table:
            self.assertEqual(folded, 0)
            self.assertLess(abs(exact - 1), 1e-3)
            self.assertGreater(abs(trace - 1), 1e-2)
            self.assertLess(max(off_exact, off_trace), 1)
        self.assertLess(table[1][1], 0.7 * table[0][1])  # first order
        weights = re.findall(r"^(?:euler|rk4).* ([\d.]+) ± ([\d.]+)", run.stdout, re.MULTILINE)
        self.assertEqual(len(weights), 2)

    def test_kernels_of_angles(self):
        x = np.random.default_rng(4).vonmises([1, -2], [2, 5], (600, 2))
        splits = {"train": x[:400], "validation": x[400:500], "test": x[500:]}
        self.put("torus.h5", splits, periodic=np.array([1.0, 1.0]))
        run = self.run_script("angle_kde.py", "torus.h5")
        self.assertEqual(run.returncode, 0, run.stderr)
        found = re.fullmatch(r"von Mises kernels, kappa (\d+) of 10 … 1000: test NLL ([\d.]+) ± ([\d.]+) nats "
                             r"\(100 rows\)\n", run.stdout)
        exact = sum(np.log(2 * np.pi * np.i0(k)) - k * np.cos(x[500:, i] - m)
                    for i, (m, k) in enumerate([(1, 2), (-2, 5)]))
        self.assertLess(abs(float(found[2]) - exact.mean()), 0.2)
        self.assertGreater(2 * np.log(2 * np.pi) - 0.5, float(found[2]))  # than which nothing uniform does better
        # A turn changes nothing.
        self.put("turned.h5", splits | {"test": x[500:] + [2 * np.pi, -2 * np.pi]})
        self.assertEqual(self.run_script("angle_kde.py", "turned.h5").stdout, run.stdout)

    def test_what_has_no_kernels_of_angles(self):
        x = np.zeros((3, 2))
        self.put("mixed.h5", {"train": x, "validation": x, "test": x}, periodic=np.array([1.0, 0.0]))
        self.put("rows.h5", {"train": x, "test": x})
        for name, message in [("mixed.h5", "columns 1, from 0, are no angles"), ("rows.h5", "has no /validation"),
                              ("missing.h5", "missing.h5")]:
            run = self.run_script("angle_kde.py", name)
            self.assertEqual(run.returncode, 1)
            self.assertIn(message, run.stderr)
            self.assertNotIn("Traceback", run.stderr)


class Configurations(FlowTest):
    def test_every_file_is_accepted_and_says_how_to_use_it(self):
        files = sorted(EXAMPLES.rglob("*.toml"))
        self.assertGreater(len(files), 15)
        for file in files:
            with self.subTest(file.name):
                printed = self.succeed("flow_train", file, "--print-config").stdout
                self.write("again.toml", printed)
                self.assertEqual(self.succeed("flow_train", "again.toml", "--print-config").stdout, printed)
                text = file.read_text()
                self.assertTrue(text.startswith("# "))
                self.assertIn(f"flow_train examples/{file.relative_to(EXAMPLES)}", text)

    def test_those_on_built_in_densities_build_their_flows(self):
        for file in sorted(EXAMPLES.rglob("*.toml")):
            text = file.read_text()
            if "\ntoy = " not in text:
                continue
            # A run of two steps has no room for more steps of likelihood.
            fewer = ["--objective.likelihood_steps", 1] if "likelihood_steps" in text else []
            with self.subTest(file.name):
                run = self.succeed("flow_train", file, "--data.rows", 1000, "--train.steps", 2, *fewer, "-o", "flow.h5")
                self.assertIn(f"model      {file.stem}: ", run.stderr)
                with h5py.File(self.folder / "flow.h5") as model:
                    self.assertGreater(len(model["flow/transforms"]), 0)


cases.main()
