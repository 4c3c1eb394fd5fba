"""flow_check: what a good model shows, and that a spoilt one is found out."""

import re

import h5py
import numpy as np

import cases
import flows
from flows import FlowTest


class Good(FlowTest):
    def assertGood(self, d, model, *data, **options):
        run = self.succeed("flow_check", model, *data, **options)
        self.assertTrue(run.stdout.endswith("\nall checks hold\n"), run.stdout)
        for method in ["newton", "anderson"]:
            found = re.search(rf"round trip of (\d+) rows by {method}: data (\S+) \(standardized units\), "
                              r"latent (\S+), log-det (\S+) nats\n", run.stdout)
            self.assertEqual(found[1], "40" if data else "1000")
            self.assertLess(max(float(found[i]) for i in [2, 3, 4]), 1e-9 * d)
        found = re.search(r"log-det against LU of the whole flow's Jacobian by differences, 8 rows: (\S+) nats\n",
                          run.stdout)
        self.assertLess(float(found[1]), 1e-6)
        return run.stdout

    def test_trained_models(self):
        self.assertGood(1, flows.model(1))
        self.assertGood(2, flows.model(2, "--data.standardize", "whiten"), flows.data(2))
        self.assertGood(5, flows.model(5, "--model.precision", "double"), f"{flows.data(5)}:/test")
        self.assertGood(2, flows.model(2, "--model.activation", "relu", "--data.standardize", "none"))

    def test_the_summary(self):
        stdout = self.assertGood(2, flows.model(2), flows.data(2))
        self.assertIn(f"{flows.model(2)}: flow on samples of 2 values: 3 actnorm, 2 residual, base standard_normal; "
                      "244 parameters\n", stdout)
        for line in ["standardization scale, log-det -", "ranks           1\n", "steps           30\n",
                     f"input           {flows.data(2)}\n"]:
            self.assertIn(line, stdout)

    def test_the_certificate_is_that_of_the_weights(self):
        stdout = self.succeed("flow_check", flows.model(2)).stdout
        blocks = re.findall(r"^  (\d{3})  ([\d. ]+)  ([\d.]+)$", stdout, re.MULTILINE)
        self.assertEqual([block[0] for block in blocks], ["001", "003"])
        largest = 0
        with h5py.File(flows.model(2)) as file:
            for name, norms, product in blocks:
                svd = [np.linalg.norm(file[f"flow/transforms/{name}/layer_{l}/weight"][()].astype(float), 2)
                       for l in range(3)]
                self.assertNear([float(norm) for norm in norms.split()], svd, 1e-6)
                self.assertNear(float(product), np.prod(svd), 1e-6)
                largest = max(largest, np.prod(svd))
        found = re.search(r"largest block constant ([\d.]+): every block is a contraction", stdout)
        self.assertNear(float(found[1]), largest, 1e-9)

    def test_ranks_print_once(self):
        stdout = self.assertGood(2, flows.model(2), flows.data(2), ranks=2)
        self.assertEqual(stdout.count("largest block constant"), 1)

    def test_integers_that_are_not_dequantized_first(self):
        """flow_check examines the flow after the noise, at rows that were dequantized."""
        integers = np.random.default_rng(4).binomial(7, 0.4, (400, 3)).astype(float)
        self.put("data.h5", {"train": integers[:300], "validation": integers[300:360], "test": integers[360:]})
        self.write("chain.toml", '[model]\nkind = "chain"\n' + "".join(f"\n[[model.chain]]\n{layer}\n" for layer in [
            'kind = "permutation"\norder = "reverse"', 'kind = "dequantize"\nlevels = 8', 'kind = "actnorm"',
            'kind = "residual"\nhidden = [8, 8]']))
        self.succeed("flow_train", "chain.toml", "--data", "data.h5", "--data.standardize", "none", "--train.steps", 20,
                     "--train.batch", 60, "-o", "flow.h5")
        self.assertGood(3, "flow.h5", "data.h5")
        self.assertGood(3, "flow.h5")

    def test_draws_without_a_sample(self):
        """A chain whose values are bounded, before a base that is not: no density, of which flow_train warns."""
        self.put("data.h5", {"train": np.random.default_rng(1).normal(size=(100, 2))})
        self.write("chain.toml", '[model]\nkind = "chain"\n\n[[model.chain]]\nkind = "actnorm"\n\n[[model.chain]]\n'
                                 'kind = "elementwise"\nfunction = "tanh"\n')
        for base, bounded in [("uniform", True), ("standard_normal", False)]:
            run = self.succeed("flow_train", "chain.toml", "--data", "data.h5", "--base.kind", base, "--train.steps", 2,
                               "-o", "flow.h5")
            warning = "warning: values of transform 1 (elementwise) are bounded and the base density"
            self.assertEqual(warning in run.stderr, not bounded)
            run = self.run_program("flow_check", "flow.h5")
            lost = re.search(r"(\d+) of 1000 draws of the base density have no sample", run.stdout)
            self.assertEqual(lost is None, bounded, run.stdout + run.stderr)
            if not bounded:
                self.assertEqual(run.returncode, 4)
                self.assertIn(f"flow_check: flow.h5 fails: {lost[0]}\n", run.stderr)
                expected = 1 - 0.6826895**2  # not both in (−1, 1)
                self.assertLess(abs(int(lost[1]) / 1000 - expected), 5 * np.sqrt(expected * (1 - expected) / 1000))

    def test_the_entropy_is_shown(self):
        self.train("--data.toy", "moons", "--data.rows", 500)
        run = self.succeed("flow_check", "flow.h5")
        self.assertIn("entropy of the training data's density 2.393879 nats", run.stdout)


class Spoilt(FlowTest):
    """A change to the file that the checks must notice."""

    def spoil(self, change, d=2):
        """A copy of a good model in which `change` was made to the open file."""
        path = self.copy(flows.model(d), "spoilt.h5")
        with flows.edited_model(path) as file:
            change(file)
        return "spoilt.h5"

    def assertFound(self, change, *messages):
        model = self.spoil(change)
        for data in [[], [flows.data(2)]]:
            run = self.run_program("flow_check", model, *data)
            self.assertEqual(run.returncode, 4, run.stdout + run.stderr)
            for message in messages:
                self.assertIn(message, run.stderr)
            self.assertNotIn("all checks hold", run.stdout)
        return run

    def test_a_block_that_is_no_contraction(self):
        def stretch(file):
            weight = file["flow/transforms/003/layer_0/weight"]
            weight[...] = 100 * weight[...]
        run = self.assertFound(stretch, "flow_check: ", "Lipschitz constant")
        self.assertRegex(run.stdout, r"largest block constant [\d.]+: NOT a contraction")
        run = self.run_program("flow_check", "spoilt.h5", ranks=3)
        self.assertEqual(run.returncode, 4)
        self.assertEqual(run.stderr.count("flow_check: "), 1)

    def assertOnly(self, change, *complaints, options=()):
        """The run complains of these and of nothing else."""
        run = self.run_program("flow_check", self.spoil(change), "--rows", 50, "--jacobians", 2, *options)
        self.assertEqual(run.returncode, 4 if complaints else 0, run.stdout + run.stderr)
        pattern = f"flow_check: spoilt.h5 fails: {'; '.join(complaints)}\n" if complaints else ""
        self.assertRegex(run.stderr, f"^{pattern}$")
        self.assertEqual("all checks hold" in run.stdout, not complaints)

    def test_each_check_alone(self):
        """Every check has a model that fails it and no other, and one that just holds."""
        def block_of_constant(constant):
            def stretch(file):
                layers = [file[f"flow/transforms/003/layer_{l}/weight"] for l in range(3)]
                product = np.prod([np.linalg.norm(layer[()].astype(float), 2) for layer in layers])
                layers[0][...] = constant / product * layers[0][...]
            return stretch

        def far_away(offset):
            # So far out that rows cannot be told apart as finely as differences of the map want.
            def move(file):
                file["standardization/mean"][...] = file["standardization/mean"][...] + offset
            return move

        self.assertOnly(block_of_constant(1.001), r"a block's Lipschitz constant is 1\.00(09|10)\d*: it need not have an inverse")
        self.assertOnly(block_of_constant(0.999))
        self.assertOnly(far_away(1e10), r"the log-det is off by \S+ nats")
        self.assertOnly(far_away(1e3))
        both = [r"the round trip by newton is off by \S+", r"the round trip by anderson is off by \S+"]
        self.assertOnly(far_away(0), *both, options=["--tolerance", 1e-18])

    def test_a_round_trip_by_closed_forms(self):
        model = flows.model(2, "--model.kind", "realnvp")
        run = self.succeed("flow_check", model)
        self.assertRegex(run.stdout, "round trip of 1000 rows by closed forms: data ")
        run = self.run_program("flow_check", model, "--tolerance", 1e-18)
        self.assertEqual(run.returncode, 4)
        self.assertRegex(run.stderr, r"fails: the round trip by closed forms is off by \S+\n$")

    def test_the_grid_of_a_continuous_flow(self):
        flags = ["--model.kind", "continuous", "--model.hidden", "16,16", "--train.learning_rate", 0.02]
        for density, inverse in [("discrete", "newton"), ("continuous", "integration")]:
            model = flows.model(2, *flags, "--model.density", density)
            run = self.succeed("flow_check", model, flows.data(2), "--rows", 50)
            said = re.search(r"change log p by (\S+) nats in the mean, at most (\S+) \(40 rows; 0 with a determinant ≤ "
                             r"0, 0 without a log p\)\nNLL of these rows (\S+) nats along the grid, (\S+) in the limit",
                             run.stdout)
            mean, most, grid, limit = map(float, said.groups())
            self.assertLess(mean, most)
            nll = -self.density(model, flows.data(2))["log_prob"].mean()
            self.assertAlmostEqual(nll, grid if density == "discrete" else limit, delta=6e-5)
            self.assertIn(f"round trip of 40 rows by {inverse}: ", run.stdout)

    def test_a_grid_that_folds(self):
        def amplify(file):
            layer = file["flow/transforms/000/layer_2/weight"]
            layer[...] = 30 * layer[...]
        model = flows.model(1, "--model.kind", "continuous", "--model.hidden", "16,16", "--train.learning_rate", 0.05)
        path = self.copy(model, "spoilt.h5")
        with flows.edited_model(path) as file:
            amplify(file)
        run = self.run_program("flow_check", "spoilt.h5", flows.data(1))
        self.assertEqual(run.returncode, 4)
        self.assertRegex(run.stderr, r"a determinant is ≤ 0 at \d+ of 40 rows")

    def test_biases_that_are_not_finite(self):
        def break_bias(file):
            file["flow/transforms/001/layer_1/bias"][0] = np.nan
        self.assertFound(break_bias)

    def test_a_tolerance_that_is_not_met(self):
        run = self.run_program("flow_check", flows.model(2), "--tolerance", 1e-18)
        self.assertEqual(run.returncode, 4)
        self.assertRegex(run.stderr, r"flow_check: \S+.h5 fails: the round trip by newton is off by .*; the round")

    def test_files_that_do_not_fit_their_architecture(self):
        def lose(file):
            del file["flow/transforms/001/layer_1/bias"]

        def shorten(file):
            del file["flow/transforms/001/layer_1/bias"]
            file["flow/transforms/001/layer_1/bias"] = np.zeros(7, np.float32)

        def transpose(file):
            weight = file["flow/transforms/001/layer_0/weight"][()].T
            del file["flow/transforms/001/layer_0/weight"]
            file["flow/transforms/001/layer_0/weight"] = weight

        def text(file):
            del file["standardization/mean"]
            file["standardization/mean"] = ["a", "b"]

        def not_finite(file):
            file["flow/transforms/001/layer_1/weight"][0, 0] = np.nan

        def later(file):
            file.attrs["format_version"] = 3

        block = "flow/transforms/001"

        def change_attribute(group, name, value):
            return lambda file: file[group].attrs.__setitem__(name, value)

        def lose_attribute(group, name):
            return lambda file: file[group].attrs.__delitem__(name)

        for change, message in [
                (lose, "no 'bias' in it"),
                (shorten, "layer_1/bias has shape (7) where the model's architecture wants (8)"),
                (transpose, "layer_0/weight has shape (8, 2) where the model's architecture wants (2, 8)"),
                (text, "standardization/mean: holds text elements, not numbers"),
                (later, "has format version 3; this program reads up to 2"),
                (not_finite, "NaN or infinity"),
                (lambda file: file["standardization/factor"].__setitem__(0, 0.0), "column 0 has mean"),
                (change_attribute(block, "activation", "tanhh"), "must be one of lipswish"),
                (change_attribute(block, "lipschitz", 1.5), "lipschitz = 1.5: must be more than 0 and less than 1"),
                (change_attribute(block, "hidden", np.array([8.0])), "layer_1/weight has shape (8, 8) where"),
                (lose_attribute(block, "hidden"), "layer_0/weight has shape (2, 8) where"),
                (change_attribute(block, "kind", "residal"), "'residal' is unknown (did you mean 'residual'?)"),
                (change_attribute(block, "kind", "coupling"), "no attribute"),
                (change_attribute("flow", "length", 6), "no '005' in it"),
                (change_attribute("flow", "shape", np.array([1.0, 1.0, 0.0])), "is not height, width and channels"),
                (change_attribute("flow", "shape", np.array([1.0, 1.0, 3.0])), "where the model's architecture wants"),
                (change_attribute("flow", "context", 1), "no 'context' in it"),
                (change_attribute("flow/base", "kind", "norml"), "must be one of standard_normal")]:
            model = self.spoil(change)
            run = self.run_program("flow_check", model)
            self.assertFailure(run, 3, "flow_check: ", "spoilt.h5", message)

    def test_data_that_does_not_fit(self):
        for data, code, message in [(flows.data(5), 3, "has 5 columns; the model has 2"),
                                    ("absent.h5", 5, "absent.h5: no such file"),
                                    (f"{flows.data(2)}:/tset", 3, "no 'tset' in it (did you mean 'test'?)")]:
            run = self.run_program("flow_check", flows.model(2), data, ranks=2)
            self.assertEqual(run.returncode, code)
            self.assertIn(message, run.stderr)
            self.assertEqual(run.stderr.count("flow_check: "), 1)


cases.main()
