"""Every family of flows: trained, stored, evaluated by numpy from the file, sampled, examined, on any number of ranks."""

import functools
import subprocess
import sys

import h5py
import numpy as np

import cases
import flows  # finds model_density
import model_density
from flows import CourseTest, FlowTest

FAMILIES = ["residual", "nice", "realnvp", "glow", "spline", "maf", "iaf", "continuous", "planar", "radial"]

# A chain of all that vectors can go through, written out.
CHAIN = """
[model]
kind = "chain"

[[model.chain]]
kind = "elementwise"
function = "affine"
scale = 2.0
shift = 0.5

[[model.chain]]
kind = "permutation"

[[model.chain]]
kind = "linear"
form = "dense"

[[model.chain]]
kind = "linear"
form = "householder"

[[model.chain]]
kind = "coupling"
mask = "second"
map = "spline"
bins = 4
hidden = [8]

[[model.chain]]
kind = "autoregressive"
map = "spline"
hidden = [8]

[[model.chain]]
kind = "residual"
hidden = [8]

[[model.chain]]
kind = "split"

[[model.chain]]
kind = "planar"

[[model.chain]]
kind = "scaling"

[base]
kind = "mixture"
components = 3
"""


class Kinds(CourseTest):
    def examine(self, model, data, *context):
        """The file's density by numpy is flow_density's, samples have the density they say, and flow_check agrees."""
        out = self.density(model, data, *context)
        with h5py.File(self.folder / model) as file, h5py.File(self.folder / data) as rows:
            u = rows["context/test"][:] if "context" in rows else None
            self.assertNear(model_density.log_prob(file, rows["test"][:], u), out["log_prob"], 1e-9)
            self.assertTrue(np.all(out["status"] == 0))
        self.succeed("flow_check", model, data, "--rows", 20, "--jacobians", 2, *context)
        return out

    def test_each_family(self):
        self.put("data.h5", flows.split_rows(3))
        for kind in FAMILIES:
            with self.subTest(kind):
                self.train("--model.kind", kind, "--data", "data.h5", "--model.precision", "double", "-o", "flow.h5")
                out = self.examine("flow.h5", "data.h5")
                drawn = self.sample("flow.h5", "-n", 50)
                self.put("drawn.h5", {"x": drawn["x"]})
                back = self.density("flow.h5", "drawn.h5:/x")
                self.assertNear(back["log_prob"], drawn["log_prob"], 1e-6)
                self.assertNear(back["z"], drawn["z"], 1e-6)
                # The twin: samples that are not the model's.
                self.assertFar(out["log_prob"], drawn["log_prob"][:40], 1e-3)

    def test_each_family_on_any_number_of_ranks(self):
        for kind in FAMILIES:
            with self.subTest(kind):
                self.assertSameOnRanks("--model.kind", kind, "--data", flows.data(3), "--train.batch", 61, steps=4)

    def test_a_chain_with_another_base_on_any_number_of_ranks(self):
        self.write("chain.toml", CHAIN.replace('"mixture"\ncomponents = 3', '"student_t"'))
        self.assertSameOnRanks("chain.toml", "--data", flows.data(4), "--train.batch", 61, steps=4)

    def test_maps_and_activations_that_are_not_the_defaults(self):
        self.put("data.h5", flows.split_rows(3))
        for kind, *flags in [("iaf", "--model.map", "spline"), ("maf", "--model.map", "additive"),
                             ("maf", "--model.activation", "elu"), ("iaf", "--model.activation", "sine"),
                             ("spline", "--model.activation", "tanh"), ("realnvp", "--model.activation", "relu"),
                             ("nice", "--model.activation", "softplus"),
                             ("continuous", "--model.activation", "lipswish", "--model.solver", "heun"),
                             ("continuous", "--model.time", "gates"),
                             ("continuous", "--model.density", "continuous", "--model.tolerance", 1e-11)]:
            with self.subTest((kind, *flags)):
                self.train("--model.kind", kind, *flags, "--data", "data.h5", "--model.precision", "double", "-o",
                           "flow.h5")
                self.examine("flow.h5", "data.h5")

    def test_a_chain_that_is_written_out(self):
        self.put("data.h5", flows.split_rows(4))
        (self.folder / "chain.toml").write_text(CHAIN)
        self.train("chain.toml", "--data", "data.h5", "--model.precision", "double", "-o", "flow.h5")
        self.examine("flow.h5", "data.h5")
        # The configuration that is printed, and the one in the file, are the same chain.
        printed = self.succeed("flow_train", "chain.toml", "--print-config").stdout
        (self.folder / "again.toml").write_text(printed)
        self.assertEqual(self.succeed("flow_train", "again.toml", "--print-config").stdout, printed)
        self.assertEqual(printed.split("\n").count("[[model.chain]]"), 10)

    def test_every_function_of_single_values(self):
        functions = ["affine", "leaky", "cube", "cube_root", "exp", "log", "softplus", "inverse_softplus", "tanh",
                     "atanh", "sigmoid", "logit"]
        more = {"leaky": "slope = 0.3", "sigmoid": "margin = 0.1", "logit": "margin = 0.02"}
        tables = [f'[[model.chain]]\nkind = "elementwise"\nfunction = "{function}"\ncolumns = [{i}]\nshift = 0.1\n'
                  f"scale = 1.5\n{more.get(function, '')}\n" for i, function in enumerate(functions)]
        (self.folder / "chain.toml").write_text('[model]\nkind = "chain"\n\n' + "\n".join(tables))
        x = np.random.default_rng(3).uniform(0.2, 0.8, (60, 12))
        x[:, 1] -= 0.5  # both sides of leaky
        self.put("data.h5", {"train": x, "validation": x, "test": x})
        # The functions have no parameters, so that only the base is trained.
        self.train("chain.toml", "--base.kind", "normal", "--data", "data.h5", "--data.standardize", "none",
                   "--model.precision", "double", "-o", "flow.h5")
        self.examine("flow.h5", "data.h5")
        x[::2, [5, 7, 9, 11]] = [0.1, 0.0, 2.0, -1.0]
        self.put("outside.h5", {"test": x})
        out = self.density("flow.h5", "outside.h5")
        self.assertEqual(out["status"].tolist(), [4, 0] * 30)
        with h5py.File(self.folder / "flow.h5") as file:
            expected = model_density.log_prob(file, x)
        self.assertTrue(np.all(out["log_prob"][::2] == -np.inf) and np.all(expected[::2] == -np.inf))
        self.assertNear(expected[1::2], out["log_prob"][1::2], 1e-9)

    def test_every_base(self):
        self.put("data.h5", flows.split_rows(3))
        for base in model_density.BASES.keys() - {"uniform"}:
            with self.subTest(base):
                self.train("--base.kind", base, "--model.kind", "realnvp", "--data", "data.h5", "--model.precision",
                           "double", "-o", "flow.h5")
                self.examine("flow.h5", "data.h5")
        # Data on a box is what a uniform base with maps of the box is for.
        u = np.random.default_rng(1).uniform(-1, 1, (400, 3))
        self.put("box.h5", {"train": u[:300], "validation": u[300:350], "test": u[350:]})
        self.train("--base.kind", "uniform", "--model.kind", "maf", "--model.map", "spline", "--model.bound", 1,
                   "--model.actnorm", "no", "--data", "box.h5", "--data.standardize", "none", "-o", "flow.h5")
        out = self.density("flow.h5", "box.h5")
        self.assertTrue(np.all(out["status"] == 0))
        self.put("outside.h5", {"x": np.array([[0.5, 0, 0], [1.5, 0, 0]])})
        outside = self.density("flow.h5", "outside.h5:/x")
        self.assertEqual(outside["status"].tolist(), [0, 4])
        self.assertEqual(outside["log_prob"][1], -np.inf)

    def test_with_a_context(self):
        x, names = flows.split_rows(3), ["train", "validation", "test"]
        context = {f"context/{name}": np.stack([np.cos(x[name][:, 0]), x[name][:, 1] ** 2], axis=1) for name in names}
        self.put("data.h5", x | context | {"context_names": np.array([b"a", b"b=1"])})
        for kind in ["residual", "realnvp", "spline", "maf", "iaf", "continuous"]:
            with self.subTest(kind):
                self.train("--model.kind", kind, "--data", "data.h5", "--model.precision", "double", "-o", "flow.h5")
                out = self.examine("flow.h5", "data.h5")
                self.put("context.h5", {"u": context["context/test"], "rows": x["test"]})
                self.assertNear(self.density("flow.h5", "context.h5:/rows", "--context", "context.h5:/u")["log_prob"],
                                out["log_prob"], 1e-12)
                self.assertFar(self.density("flow.h5", "data.h5", "--context", "3.5,0.25")["log_prob"],
                               out["log_prob"], 1e-3)
                self.assertNear(self.sample("flow.h5", "-n", 5, "--context", "a=3.5,b=1")["x"],
                                self.sample("flow.h5", "-n", 5, "--context", "3.5,1")["x"], 1e-12)
        reader = [sys.executable, flows.SOURCE / "examples" / "model_density.py", "flow.h5", "data.h5:/test"]
        compared = subprocess.run([*reader, "--context", "data.h5:/context/test", "--compare", "density.h5"],
                                  cwd=self.folder, capture_output=True, text=True)
        self.assertNotEqual(compared.returncode, 0)  # density.h5 is of another context
        self.density("flow.h5", "data.h5")
        compared = subprocess.run([*reader, "--context", "data.h5:/context/test", "--compare", "density.h5"],
                                  cwd=self.folder, capture_output=True, text=True)
        self.assertEqual(compared.returncode, 0, compared.stdout + compared.stderr)
        missing = subprocess.run(reader, cwd=self.folder, capture_output=True, text=True)
        self.assertEqual(missing.returncode, 1)
        self.assertIn("flow.h5: the model is conditioned on 2 values", missing.stderr)
        for arguments, message in [
            (["data.h5", "--context", "1,2,3"], "3 numbers for a model that takes 2 (a, b=1)"),
            (["data.h5", "--context", "c=2"], "the model has no context 'c'"),
            (["data.h5", "--context", "a=2"], "--context: no value for b; the model takes a, b=1"),
            (["data.h5", "--context", "a=2,a=3"], "--context 'a=3': a has a value already"),
            (["data.h5", "--context", "a=nan"], "--context 'a=nan': no finite number after the equals sign"),
            (["data.h5", "--context", "b=12"], "--context 'b=12': there is no such class of b (did you mean 'b=1'?); there are a, b=1"),
            (["context.h5:/rows"], "context.h5:/rows has no context"),
        ]:
            self.assertFailure(self.run_program("flow_density", "flow.h5", *arguments), 2, message)
        self.assertSameOnRanks("--model.kind", "spline", "--data", "data.h5", "--train.batch", 61, steps=4)

    def test_a_conditional_normal_density(self):
        """x₁ = 2u + ε₁/2, x₂ = x₁ − u + e^{u/2} ε₂: its log p is known."""
        generator = np.random.default_rng(8)
        parts = {"train": slice(0, 150000), "validation": slice(150000, 152000), "test": slice(152000, 160000)}
        u, noise = generator.uniform(-1, 1, (160000, 1)), generator.normal(size=(160000, 2))
        x1 = 2 * u[:, 0] + noise[:, 0] / 2
        x = np.stack([x1, x1 - u[:, 0] + np.exp(u[:, 0] / 2) * noise[:, 1]], axis=1)
        self.put("data.h5", {name: x[part] for name, part in parts.items()}
                 | {f"context/{name}": u[part] for name, part in parts.items()} | {"context_names": np.array([b"u"])})
        # A row is seen ten times, so that the model's own error stays below those of sampling.
        self.succeed("flow_train", "--model.kind", "maf", "--model.blocks", 2, "--model.hidden", "32,32", "--data",
                     "data.h5", "--train.steps", 1500, "--train.batch", 1000, "--train.learning_rate", 5e-3,
                     "--train.warmup", 50, "-o", "flow.h5")
        truth = -np.log(2 * np.pi) - 0.5 * (noise**2).sum(axis=1) - np.log(0.5) - u[:, 0] / 2
        log_prob = self.density("flow.h5", "data.h5")["log_prob"]
        excess = truth[parts["test"]] - log_prob
        self.assertLess(abs(excess.mean()), 4 * excess.std() / np.sqrt(len(excess)))
        self.assertLess(excess.std(), 0.05)  # row by row, not in the mean only
        # Samples given u: mean (2u, u), deviations 1/2 and √(1/4 + eᵘ), covariance 1/4.
        for value in [-0.8, 0.5]:
            drawn = self.sample("flow.h5", "-n", 20000, "--context", f"u={value}")["x"]
            deviation = np.array([0.5, np.sqrt(0.25 + np.exp(value))])
            z = (drawn - [2 * value, value]) / deviation
            self.assertTrue(np.all(np.abs(z.mean(axis=0)) < 4 / np.sqrt(20000)), value)
            self.assertTrue(np.all(np.abs(z.std(axis=0) - 1) < 4 / np.sqrt(40000)), value)
            correlation, found = 0.5 / deviation[1], np.corrcoef(drawn.T)[0, 1]
            self.assertLess(abs(found - correlation), 4 * (1 - correlation**2) / np.sqrt(20000))
        self.assertFailure(self.run_program("flow_density", "flow.h5", "--grid=-1:1:3,-1:1:3", "--context",
                                            "data.h5:/context/test"), 2,
                           "--grid takes one context for all its points; data.h5:/context/test has 8000 rows")
        # The twin: without the context nobody knows as much.
        self.assertGreater((truth[parts["test"]] - self.density(
            "flow.h5", "data.h5", "--context", "u=0")["log_prob"]).mean(), 0.3)

    def test_angles(self):
        generator = np.random.default_rng(5)
        phi = generator.vonmises(1.0, 2.0, 400)
        psi = np.angle(np.exp(1j * (2 * phi + generator.normal(size=400))))
        x = np.stack([phi, psi, generator.normal(size=400)], axis=1)
        self.put("torus.h5", {"train": x[:300], "validation": x[300:350], "test": x[350:]},
                 periodic=np.array([1.0, 1.0, 0.0]))
        for kind in ["spline", "residual", "maf", "iaf", "continuous"]:
            with self.subTest(kind):
                flags = ["--model.map", "spline"] if kind in ["maf", "iaf"] else []
                self.train("--model.kind", kind, *flags, "--data", "torus.h5", "--model.precision", "double", "-o",
                           "flow.h5")
                self.examine("flow.h5", "torus.h5")
                edge = np.array([[np.pi, 0.3, 0.5], [-np.pi, 0.3, 0.5], [1.0, np.pi, -1], [1.0, -np.pi, -1],
                                 [0.2, 0.4, 0.6], [0.2 + 2 * np.pi, 0.4 - 2 * np.pi, 0.6]])
                # The twins: other angles, and a turn of what is none.
                edge = np.concatenate([edge, edge[::2] - [0.5, 0.5, 0], edge[::2] + [0, 0, 2 * np.pi]])
                self.put("edge.h5", {"x": edge})
                p = self.density("flow.h5", "edge.h5:/x")["log_prob"]
                self.assertNear(p[:6:2], p[1:6:2], 1e-12)
                for other in [p[6:9], p[9:]]:
                    self.assertTrue(np.all(np.abs(other - p[:6:2]) > 1e-3), p)
                drawn = self.sample("flow.h5", "-n", 200)["x"]
                self.assertTrue(np.all(np.abs(drawn[:, :2]) <= np.pi))
        warning = "more than a turn in radians; flow_data import --degrees takes degrees"
        self.put("degrees.h5", {"train": x * [180 / np.pi, 180 / np.pi, 1]}, periodic=np.array([1.0, 1.0, 0.0]))
        self.assertIn(warning, self.train("--model.kind", "spline", "--data", "degrees.h5").stderr)
        self.assertNotIn(warning, self.train("--model.kind", "spline", "--data", "torus.h5").stderr)
        for kind in ["spline", "residual"]:
            with self.subTest(f"{kind} on ranks"):
                self.assertSameOnRanks("--model.kind", kind, "--data", "torus.h5", "--train.batch", 61, steps=4)


    def test_spheres(self):
        """A sphere beside a column that is none. The numpy reader agrees, samples are unit vectors, and the density
        integrates to 1 over an even lattice of points times a line."""
        generator = np.random.default_rng(6)
        x = generator.normal(size=(400, 4)) + [1.0, 0.5, 0, 0]
        x[:, :3] /= np.linalg.norm(x[:, :3], axis=1, keepdims=True)
        x[:, 3] += x[:, 0]
        self.put("sphere.h5", {"train": x[:300], "validation": x[300:350], "test": x[350:]},
                 spheres=np.array([1.0, 1, 1, 0]))
        k = np.arange(800)
        z, around = 1 - (2 * k + 1) / len(k), np.pi * (3 - np.sqrt(5)) * k
        lattice = np.stack([np.sqrt(1 - z**2) * np.cos(around), np.sqrt(1 - z**2) * np.sin(around), z], axis=1)
        heights = np.linspace(-8, 9, 52)
        grid = np.concatenate([np.repeat(lattice, len(heights), axis=0), np.tile(heights, len(k))[:, None]], axis=1)
        self.put("grid.h5", {"x": grid, "off": x[:5] * [1.1, 1.1, 1.1, 1]})
        limit = ["--model.density", "continuous", "--model.tolerance", 1e-9]
        for more in [["--model.hidden", "12,12"], [*limit, "--model.hidden", "12,12"],
                     [*limit, "--model.hidden", "12,12,12", "--objective.kind", "flow_matching",
                      "--objective.coupling", "optimal_transport"]]:
            with self.subTest(more):
                self.train("--model.kind", "continuous", *more, "--model.precision", "double", "--data", "sphere.h5",
                           "-o", "flow.h5")
                self.examine("flow.h5", "sphere.h5")
                with h5py.File(self.folder / "density.h5") as file:
                    self.assertIn("per steradian", flows.text(file["log_prob"].attrs["long_name"]))
                p = np.exp(self.density("flow.h5", "grid.h5:/x")["log_prob"])
                self.assertNear(p.sum() * 4 * np.pi / len(k) * (heights[1] - heights[0]), 1, 2e-3)
                drawn = self.sample("flow.h5", "-n", 200)["x"]
                self.assertNear(np.linalg.norm(drawn[:, :3], axis=1), np.ones(200), 1e-12)
                self.check_places("flow.h5", drawn[:, :3])
                off = self.density("flow.h5", "grid.h5:/off")
                self.assertTrue(np.all(off["status"] == 4) and np.all(off["log_prob"] == -np.inf))
        self.assertSameOnRanks("--model.kind", "continuous", "--data", "sphere.h5", "--train.batch", 61, steps=4)

    def check_places(self, model, vectors):
        """Latitudes and longitudes of samples are those of their unit vectors (n, 3), in HDF5 and CSV."""
        run = ["flow_sample", model, "-n", len(vectors), "--geographic", "-o"]
        self.succeed(*run, "places.h5")
        places = flows.read_h5(self.folder / "places.h5")["geographic"]
        latitude, longitude = np.radians(places.T)
        back = np.stack([np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude), np.sin(latitude)],
                        axis=1)
        self.assertNear(back, vectors, 1e-12)
        self.assertFar(back[:, ::-1], vectors, 1e-2)
        self.assertTrue(np.all(np.abs(places) <= [90, 180]))
        with h5py.File(self.folder / "places.h5") as file:
            self.assertEqual(flows.attributes(file["geographic"]),
                             {"units": "degree", "long_name": "latitude, longitude"})
        self.succeed(*run, "places.csv")
        header, *lines = (self.folder / "places.csv").read_text().splitlines()
        self.assertIn(",latitude,longitude,log_prob,status", header)
        self.assertEqual([[float(word) for word in line.split(",")[4:6]] for line in lines], places.tolist())
        self.assertFailure(self.run_program(*run, "places.npy"), 2, "a .npy file has /x only")
        self.assertFailure(self.run_program("flow_sample", flows.model(2), "--geographic"), 2,
                           "--geographic is for unit vectors of three columns, and samples of this model have none")


# Couplings and residual blocks that no family puts together.
IMAGE_CHAIN = """
[model]
kind = "chain"

[[model.chain]]
kind = "coupling"
mask = "checkerboard"
map = "spline"
hidden = [4]
kernels = [3, 3]
activation = "elu"

[[model.chain]]
kind = "coupling"
mask = "checkerboard-odd"
map = "spline"
hidden = [6]
activation = "softplus"

[[model.chain]]
kind = "residual"
hidden = [4]
kernels = [3, 3]
activation = "tanh"

[[model.chain]]
kind = "coupling"
mask = "odd"
map = "spline"
hidden = [4]
kernels = [3, 1]
activation = "sine"
"""


class Images(CourseTest):
    def setUp(self):
        super().setUp()
        generator = np.random.default_rng(2)
        x = generator.integers(0, 8, (300, 32)).astype(float)
        x[:, 1:] = (x[:, 1:] + x[:, :-1]) // 2
        self.integers = x
        shape = np.array([4.0, 4.0, 2.0])
        for name, rows in {"integers.h5": x, "images.h5": (x + generator.uniform(size=x.shape)) / 8}.items():
            self.put(name, {"train": rows[:200], "validation": rows[200:250], "test": rows[250:]}, image_shape=shape)

    def test_each_family(self):
        for kind in ["residual", "realnvp", "glow", "spline", "maf"]:
            with self.subTest(kind):
                flags = ["--model.kind", kind, "--data.standardize", "none", "--model.logit", 0.05]
                self.train(*flags, "--data", "images.h5", "--model.precision", "double", "-o", "flow.h5")
                out = self.density("flow.h5", "images.h5")
                self.assertTrue(np.all(out["status"] == 0))
                with h5py.File(self.folder / "flow.h5") as model, h5py.File(self.folder / "images.h5") as data:
                    self.assertNear(model_density.log_prob(model, data["test"][:]), out["log_prob"], 1e-9)
                drawn = self.sample("flow.h5", "-n", 20)["x"]
                # With a margin of 0.05, the logit takes what is within 0.05/0.9 of [0, 1].
                self.assertTrue(np.all(np.abs(drawn - 0.5) < 0.5 + 0.05 / 0.9))
                self.succeed("flow_check", "flow.h5", "images.h5", "--rows", 10, "--jacobians", 1)

    def test_splines_of_checkerboards_and_other_activations(self):
        self.write("chain.toml", IMAGE_CHAIN)
        self.train("chain.toml", "--data", "images.h5", "--data.standardize", "none", "--model.precision", "double", "-o",
                   "flow.h5")
        out = self.density("flow.h5", "images.h5")["log_prob"]
        with h5py.File(self.folder / "flow.h5", "r+") as model, h5py.File(self.folder / "images.h5") as data:
            self.assertNear(model_density.log_prob(model, data["test"][:]), out, 1e-9)
            model["flow/transforms/000/layer_1/bias"][3] += 1e-3  # the twin
            self.assertFar(model_density.log_prob(model, data["test"][:]), out, 1e-6)

    def test_on_any_number_of_ranks(self):
        for kind in ["residual", "glow"]:
            with self.subTest(kind):
                self.assertSameOnRanks("--model.kind", kind, "--data", "integers.h5", "--data.standardize", "none",
                                       "--model.levels", 8, "--model.logit", 0.05, "--train.batch", 61, steps=4)

    def numpy_draws_and_takes_noise(self):
        """The reader's density of integers with flow_density's noise, or with noise that they have, is the model's."""
        rows = self.integers[250:]
        out = self.density("flow.h5", "integers.h5", "--seed", 5, output="seed5.h5")["log_prob"]
        read = model_density.log_prob
        with h5py.File(self.folder / "flow.h5") as file:
            expected = read(file, rows, seed=5)
            self.assertNear(expected, out, 1e-9)
            self.assertNear(read(file, rows[7:], seed=5, first=7), out[7:], 1e-9)
            self.assertFar(read(file, rows, seed=6), out, 1e-3)
            noise = model_density.uniform_noise(5, 0, range(len(rows)), 32)
            self.assertTrue(np.all((noise > 0) & (noise < 1)) and abs(noise.mean() - 0.5) < 4 / np.sqrt(12 * noise.size))
            dequantized = (rows + noise) / 8
            self.assertNear(read(file, dequantized, dequantized=True), out, 1e-9)
            self.assertFar(read(file, dequantized, dequantized=True) + 32 * np.log(8), out, 1e-3)
            # Neither rows nor dequantized rows can have these values.
            self.assertTrue(np.all(read(file, rows + 0.5, seed=5) == -np.inf))
            self.assertTrue(np.all(read(file, rows - 8, seed=5) == -np.inf))
            self.assertTrue(np.all(read(file, dequantized + 1, dequantized=True) == -np.inf))
            with self.assertRaisesRegex(ValueError, "draws noise: give its seed"):
                read(file, rows)
        self.put("dequantized.h5", {"x": dequantized})
        script = [sys.executable, flows.SOURCE / "examples" / "model_density.py", "flow.h5"]
        run = functools.partial(subprocess.run, cwd=self.folder, capture_output=True, text=True)
        for arguments, code in [(["integers.h5:/test", "--compare", "seed5.h5"], 0),
                                (["integers.h5:/test", "--compare", "seed5.h5", "--seed", "6"], 1),
                                (["dequantized.h5:/x", "--compare", "seed5.h5", "--dequantized"], 0)]:
            self.assertEqual(run(script + arguments).returncode, code, arguments)

    def test_integers_are_dequantized(self):
        flags = ["--model.kind", "glow", "--data.standardize", "none", "--model.levels", 8, "--model.logit", 0.05]
        self.train(*flags, "--data", "integers.h5", "-o", "flow.h5")
        first = self.density("flow.h5", "integers.h5")["log_prob"]
        self.assertNear(self.density("flow.h5", "integers.h5", ranks=2)["log_prob"], first, 1e-12)
        self.numpy_draws_and_takes_noise()
        drawn = self.sample("flow.h5", "-n", 20)["x"]
        self.assertTrue(np.all((drawn == np.round(drawn)) & (drawn >= 0) & (drawn <= 7)))
        self.succeed("flow_check", "flow.h5", "integers.h5", "--rows", 10, "--jacobians", 1)
        x = self.integers.copy()
        x[7, 3] = 8
        self.put("wrong.h5", {"train": x, "test": x})
        run = self.run_program("flow_train", "--data", "wrong.h5", "--model.kind", "nice", *flags[2:], ranks=2)
        self.assertFailure(run, 3, "transform 0 (dequantize), train row 7: a value is outside the support")


if __name__ == "__main__":
    cases.main()
