"""Flow matching: paths, couplings and sources, in runs of flow_train."""

import subprocess
import sys

import numpy as np

import cases
import flows
from flows import CourseTest

CONTINUOUS = ["--model.kind", "continuous", "--model.hidden", "32,32", "--objective.kind", "flow_matching",
              "--train.batch", 200, "--train.steps", 600, "--train.learning_rate", 5e-3, "--restart", "never"]


class Matching(CourseTest):
    def test_on_any_number_of_ranks(self):
        """To rounding, also where the run goes over to likelihood; and to the bit with --reproducible."""
        flags = ["--model.kind", "continuous", "--objective.kind", "flow_matching", "--data", flows.data(3),
                 "--train.batch", 61]
        self.put("integers.h5", {split: np.clip(np.floor(4 + 2 * x), 0, 15) for split, x in flows.split_rows(3).items()})
        for more in [["--objective.noise", 0.1], ["--objective.coupling", "optimal_transport",
                                                  "--objective.likelihood_steps", 3],
                     ["--objective.coupling", "sinkhorn"], ["--objective.path", "bridge", "--objective.noise", 0.3],
                     ["--model.levels", 16, "--data.standardize", "none", "--data", "integers.h5", "--objective.coupling",
                      "sinkhorn"],
                     ["--objective.path", "variance_preserving", "--objective.coupling", "optimal_transport",
                      "--objective.coupling_batch", 2]]:
            with self.subTest(more):
                self.assertSameOnRanks(*flags, *more, steps=6)
                weights = []
                for ranks in [1, 3, 8]:
                    self.train(*flags, *more, "--reproducible", "--restart", "never", "-o", "flow.h5", ranks=ranks)
                    arrays = flows.read_h5(self.folder / "flow.h5")
                    weights.append({name: a for name, a in arrays.items() if name.startswith("flow/")})
                for other in weights[1:]:
                    self.assertEqual(other.keys(), weights[0].keys())
                    for name, values in other.items():
                        self.assertTrue(np.array_equal(values, weights[0][name]), name)

    def test_a_density_is_learned(self):
        """A normal density with a strong correlation, whose entropy is known."""
        generator = np.random.default_rng(4)
        z = generator.normal(size=(30000, 2))
        x = np.stack([z[:, 0], 0.9 * z[:, 0] + np.sqrt(1 - 0.81) * z[:, 1]], axis=1)
        self.put("data.h5", {"train": x[:20000], "validation": x[20000:22000], "test": x[22000:]})
        truth = np.log(2 * np.pi) + 0.5 * (z[22000:] ** 2).sum(axis=1) + 0.5 * np.log(1 - 0.81)
        excess = {}
        for name, more in {"short": ["--train.steps", 30], "matching": [],
                           "transport": ["--objective.coupling", "optimal_transport"],
                           "diffusion": ["--objective.path", "variance_preserving"],
                           "bridge": ["--objective.path", "bridge", "--objective.noise", 0.5],
                           "likelihood": ["--objective.likelihood_steps", 150]}.items():
            self.succeed("flow_train", "--model.kind", "continuous", "--model.hidden", "32,32", "--objective.kind",
                         "flow_matching", "--data", "data.h5", "--train.batch", 250, "--train.steps", 600,
                         "--train.learning_rate", 5e-3, "--restart", "never", *more, "-o", "flow.h5")
            excess[name] = (-self.density("flow.h5", "data.h5")["log_prob"] - truth).mean()
        self.assertGreater(excess["short"], 0.1)
        for name in ["matching", "transport", "diffusion", "bridge"]:
            self.assertLess(excess[name], 0.05, name)
        self.assertLess(excess["likelihood"], 0.01)
        self.assertGreater(min(excess.values()), -0.01)  # nothing is below the entropy

    def test_a_conditional_density_is_learned(self):
        """Two normal densities far apart, one for each class: their mean entropy is known. Latents that go to the nearest
        row, whatever its class is, would make every class half as wide."""
        generator = np.random.default_rng(5)
        kind = (np.arange(30000) % 3 == 0).astype(float)
        z = generator.normal(size=(30000, 2))
        x = z * [1.0, 0.5] + kind[:, None] * [4.0, 0.0]
        parts = {"train": slice(20000), "validation": slice(20000, 22000), "test": slice(22000, None)}
        self.put("data.h5", {name: x[part] for name, part in parts.items()} |
                 {f"context/{name}": kind[part] for name, part in parts.items()})
        truth = np.log(2 * np.pi) + 0.5 * (z[22000:] ** 2).sum(axis=1) + np.log(0.5)
        for more in [["equal"], ["cost"], ["cost", "--objective.context_cost", 1e-6]]:
            self.succeed("flow_train", "--model.kind", "continuous", "--model.hidden", "32,32", "--objective.kind",
                         "flow_matching", "--objective.coupling", "optimal_transport", "--data", "data.h5",
                         "--train.batch", 200, "--train.steps", 600, "--train.learning_rate", 5e-3, "--restart",
                         "never", "--objective.coupling_context", *more, "-o", "flow.h5")
            excess = (-self.density("flow.h5", "data.h5")["log_prob"] - truth).mean()
            if len(more) == 1:
                self.assertLess(excess, 0.05, more)
            else:  # the twin
                self.assertGreater(excess, 0.2)

    def test_integers_are_learned(self):
        """Integers with a known law, which are dequantized: their entropy is nearly reached after a logit and
        an ActNorm."""
        generator = np.random.default_rng(4)
        x = np.minimum(generator.geometric(0.4, size=(30000, 2)), 8) - 1
        law = np.bincount(x.ravel(), minlength=8) / x.size
        self.put("data.h5", {"train": x[:20000], "validation": x[20000:22000], "test": x[22000:]})
        (self.folder / "run.toml").write_text("\n".join([
            'model.kind = "chain"', *[f"[[model.chain]]\n{text}" for text in [
                'kind = "dequantize"\nlevels = 8', 'kind = "elementwise"\nfunction = "logit"\nmargin = 0.05',
                'kind = "actnorm"', 'kind = "continuous"\nhidden = [32, 32]']]]) + "\n")
        nll = {}
        for steps in [20, 600]:
            self.succeed("flow_train", "run.toml", *CONTINUOUS[4:], "--data", "data.h5", "--train.steps", steps)
            nll[steps] = -self.density("flow.h5", "data.h5")["log_prob"].mean()
        entropy = -2 * (law * np.log(law)).sum()
        self.assertLess(nll[600], entropy + 0.13)
        self.assertGreater(nll[600], entropy - 0.02)
        self.assertGreater(nll[20], entropy + 0.13)

    def history(self, name="flow.csv"):
        """The columns of a history that are numbers in every row of a validation."""
        header, columns = flows.read_history(self.folder / name)
        rows = [i for i, text in enumerate(columns["validation_loss"]) if text]
        return header, {key: np.array([float(texts[i]) for i in rows]) for key, texts in columns.items()}

    def test_a_flow_is_rectified(self):
        """Latents and the samples that a model made of them: the new paths do not cross, so that they are straight, and
        the density stays what it was."""
        self.succeed("flow_train", *CONTINUOUS, "--data.rows", 20000, "--data.toy", "8gaussians", "-o", "first.h5")
        samples = self.sample("first.h5", "-n", 20000)
        given = ["--data", "samples.h5:/x", "--data.source", "samples.h5:/z", "--objective.coupling", "given"]
        run = self.succeed("flow_train", *CONTINUOUS, *given, "--objective.source_law", "base")
        self.assertIn("paths begin at 16000 points of samples.h5:/z", run.stderr)
        header, rectified = self.history()
        self.assertEqual(header[3:5], ["validation_nll", "validation_loss"])
        crossed = self.history("first.csv")[1]
        self.assertLess(rectified["validation_loss"][-1], 0.3 * crossed["validation_loss"][-1])
        nll = [-self.density(model, "samples.h5:/x")["log_prob"].mean() for model in ["first.h5", "flow.h5"]]
        self.assertLess(abs(nll[1] - nll[0]), 0.1)
        run = self.succeed("flow_density", "flow.h5", "samples.h5:/x")
        self.assertNotIn("means nothing", run.stderr)
        # The twin: pairs that do not belong together.
        self.put("mixed.h5", {"x": samples["x"], "z": samples["z"][::-1]})
        self.succeed("flow_train", *CONTINUOUS, *given, "--data", "mixed.h5:/x", "--data.source", "mixed.h5:/z",
                     "-o", "mixed.h5.flow")
        self.assertGreater(self.history("mixed.h5.csv")[1]["validation_loss"][-1], crossed["validation_loss"][-1] / 2)

    def test_a_map_from_one_dataset_to_another(self):
        """Rows that are mapped get the law of the source, drawn at random or by optimal transport."""
        generator = np.random.default_rng(7)
        source = generator.normal(size=(20000, 2)) @ [[0.3, 0.2], [0.0, 0.5]] + [1.0, -2.0]
        self.put("source.h5", {"x": source})
        for coupling in ["independent", "optimal_transport"]:
            run = self.succeed("flow_train", *CONTINUOUS, "--data.toy", "moons", "--data.rows", 20000, "--data.source",
                               "source.h5:/x", "--objective.coupling", coupling)
            self.assertIn("its log p means nothing", run.stderr)
            self.assertRegex(run.stdout, r"\Avalidation loss +[\d.]+, after step \d+\n")
            self.assertRegex(run.stdout, r"\ntest loss +[\d.]+ \(2000 rows\)\n")
            header, columns = self.history()
            self.assertEqual(header[:5], ["step", "seconds", "train_loss", "validation_loss", "learning_rate"])
            self.assertLess(columns["validation_loss"][-1], columns["validation_loss"][0])
            self.succeed("flow_data", "make", "moons", "--rows", 50000, "--seed", 9, "-o", "moons.h5")
            z = self.density("flow.h5", "moons.h5")["z"]
            for program, *more in [("flow_density", "moons.h5"), ("flow_sample", "-n", 5)]:
                run = self.succeed(program, "flow.h5", *more, "-o", "out.h5")
                self.assertIn("warning: flow.h5 maps points of a source to rows: log p means nothing", run.stderr)
            self.assertNear(z.mean(axis=0), [1.0, -2.0], 0.05)
            self.assertNear(np.cov(z.T), np.cov(source.T), 0.05)
            self.assertFar(np.cov(z.T), np.eye(2), 0.2)
            # Points of the source become rows: with moments of the moons, which come back to where they were.
            self.put("points.h5", {"x": source[:5000]})
            mapped = self.sample("flow.h5", "--latents", "points.h5:/x")["x"]
            moons = flows.read_h5(self.folder / "moons.h5")["test"]
            self.assertNear(mapped.mean(axis=0), moons.mean(axis=0), 0.1)
            self.assertNear(np.cov(mapped.T), np.cov(moons.T), 0.1)
            self.assertNear(self.density("flow.h5", "samples.h5:/x")["z"], source[:5000], 1e-6)

    def test_sources_on_any_number_of_ranks(self):
        self.put("z.h5", {name: np.random.default_rng(3).normal(size=x.shape) for name, x in flows.split_rows(3).items()})
        flags = ["--model.kind", "continuous", "--objective.kind", "flow_matching", "--data", flows.data(3),
                 "--data.source", "z.h5", "--train.batch", 61]
        for more in [["--objective.coupling", "given", "--objective.likelihood_steps", 2], ["--objective.coupling",
                                                                                         "sinkhorn"]]:
            self.assertSameOnRanks(*flags, *more, "--objective.source_law", "base", steps=6)

    def test_sources_that_are_refused(self):
        flags = ["--model.kind", "continuous", "--objective.kind", "flow_matching", "--objective.coupling", "given"]
        x = flows.split_rows(2)
        self.put("data.h5", x | {"all": np.concatenate(list(x.values()))})
        self.put("few.h5", x | {"test": x["test"][1:]})
        for source, message in [
                ("few.h5", "there are 40 test rows, and data.source has 39 points for them"),
                ("data.h5:/all", "are not divided alike into training, validation and test rows"),
                (flows.data(3), "the source has 3 columns, and the rows of data.h5 have 2"),
                ("missing.h5", "missing.h5")]:
            run = self.run_program("flow_train", *flows.small(*flags, "--data", "data.h5", "--data.source", source))
            self.assertNotEqual(run.returncode, 0)
            self.assertIn(message, run.stderr)
        run = self.run_program("flow_train", *flows.small("--data", "data.h5", "--data.source", "few.h5"))
        self.assertFailure(run, 2, 'data.source = "few.h5" has no effect with objective.kind = "likelihood"')

    def test_a_source_that_has_changed(self):
        x = flows.split_rows(2)
        self.put("data.h5", x)
        self.put("z.h5", x)
        flags = ["--model.kind", "continuous", "--objective.kind", "flow_matching", "--objective.coupling", "given",
                 "--data", "data.h5", "--data.source", "z.h5", "--restart", "auto"]
        self.train(*flags)
        self.assertIn("continued", self.train(*flags).stderr)
        x["train"][7, 1] += 1e-9
        self.put("z.h5", x)
        self.assertFailure(self.run_program("flow_train", *flows.small(*flags)), 3,
                           "the checkpoint of a run with other points at which paths begin")


class Guidance(CourseTest):
    """Fields that are trained with and without contexts, and guided."""

    UNCONDITIONAL = ["--model.kind", "continuous", "--objective.kind", "flow_matching", "--objective.unconditional", 0.2]

    def put_classes(self, n=20000):
        """Two classes with normal densities, of which one is twice as frequent."""
        generator = np.random.default_rng(5)
        kind = (np.arange(n) % 3 == 0).astype(float)
        x = generator.normal(size=(n, 2)) * [1.0, 0.5] + kind[:, None] * [4.0, 0.0]
        parts = {"train": slice(n * 8 // 10), "validation": slice(n * 8 // 10, n * 9 // 10),
                 "test": slice(n * 9 // 10, None)}
        self.put("data.h5", {name: x[part] for name, part in parts.items()} |
                 {f"context/{name}": kind[part, None] for name, part in parts.items()})
        return x[parts["test"]], kind[parts["test"]]

    def test_conditional_unconditional_and_guided_densities(self):
        x, kind = self.put_classes()
        self.succeed("flow_train", *CONTINUOUS, "--data", "data.h5", "--objective.unconditional", 0.2,
                     "--train.steps", 1200)

        def normal(mean):
            return np.exp(-0.5 * ((x - mean) / [1.0, 0.5]) ** 2).prod(axis=1) / np.pi

        truth = {0: np.log(2 / 3 * normal([0.0, 0.0]) + 1 / 3 * normal([4.0, 0.0])),
                 1: np.log(np.where(kind == 1, normal([4.0, 0.0]), normal([0.0, 0.0])))}
        log_prob = {}
        for scale in [0, 1, 2]:
            log_prob[scale] = self.density("flow.h5", "data.h5", "--guidance", scale, ranks=2)["log_prob"]
        for scale in [0, 1]:
            self.assertLess((truth[scale] - log_prob[scale]).mean(), 0.1)
            self.assertGreater((truth[scale] - log_prob[scale]).mean(), -0.01)
        self.assertGreater((truth[1] - log_prob[0]).mean(), 0.2)  # the twin
        # Without a context, contexts have no effect; with strength 1, there is the plain model.
        rows = flows.read_h5(self.folder / "data.h5")
        self.put("swapped.h5", {name: 1 - a if name.startswith("context") else a for name, a in rows.items()})
        other = self.density("flow.h5", "swapped.h5", "--guidance", 0, output="other.h5")
        self.assertTrue(np.array_equal(other["log_prob"], log_prob[0]))
        self.assertFar(self.density("flow.h5", "swapped.h5", output="other.h5")["log_prob"], log_prob[1], 1)
        self.assertTrue(np.array_equal(self.density("flow.h5", "data.h5")["log_prob"], log_prob[1]))
        # The density of a guided field integrates to 1, and samples have it.
        for flags in [["--context", 1, "--guidance", 2], ["--guidance", 0],
                      ["--context", 0, "--guidance", 1.5, "--steps", 6, "--solver", "heun"]]:
            run = self.succeed("flow_density", "flow.h5", "--grid=-8:12:201,-6:6:201", *flags, "-o", "grid.h5")
            mass = float(run.stdout.split("sum of p dx dy = ")[1].split()[0])
            self.assertLess(abs(mass - 1), 1e-3, flags)
            drawn = self.sample("flow.h5", "-n", 200, *flags)
            back = self.density("flow.h5", "samples.h5:x", *flags, output="back.h5")
            self.assertNear(back["log_prob"], drawn["log_prob"], 1e-6)
        # Guidance goes away from the other class.
        means = [self.sample("flow.h5", "-n", 2000, "--context", 1, "--guidance", s)["x"][:, 0].mean() for s in [1, 2]]
        self.assertGreater(means[1], means[0] + 0.1)
        # The stochastic differential equation has the marginals of the paths, which a guided field has not.
        drawn = self.sample("flow.h5", "-n", 20000, "--guidance", 0, "--sde", 1)["x"]
        self.assertNear(drawn.mean(axis=0), [4 / 3, 0], 0.1)
        self.assertNear(drawn[:, 0].std(), np.sqrt(1 + 16 * 2 / 9), 0.1)
        self.assertFailure(self.run_program("flow_sample", "flow.h5", "--context", 1, "--guidance", 2, "--sde", 1), 2,
                           "a field with --guidance 2 has others")

    def test_a_reader_of_the_file_agrees(self):
        self.put_classes(400)
        for density, strengths in [(["discrete"], [None, 0, 2.5]), (["continuous", "--model.tolerance", 1e-11], [2.5])]:
            self.train(*self.UNCONDITIONAL, "--model.time", "gates", "--data", "data.h5", "--restart", "never",
                       "--model.density", *density, "-o", "flow.h5")
            for strength in strengths:
                self.density("flow.h5", "data.h5", *([] if strength is None else ["--guidance", strength]))
                for said, code in [([], 0), (["--guidance", "1.7"], 1)]:
                    run = subprocess.run([sys.executable, flows.SOURCE / "examples" / "model_density.py", "flow.h5",
                                          "data.h5:test", "--context", "data.h5:context/test", "--compare",
                                          "density.h5", *said], cwd=self.folder, text=True, capture_output=True)
                    self.assertEqual(run.returncode, code, run.stdout + run.stderr)

    def test_on_any_number_of_ranks(self):
        self.put_classes(400)
        self.assertSameOnRanks(*self.UNCONDITIONAL, "--data", "data.h5", "--train.batch", 61, steps=6)

    def test_what_is_refused(self):
        self.put_classes(400)
        for flags, message in [
                ([*self.UNCONDITIONAL, "--data", flows.data(2)], "unconditional = 0.2: these rows have no contexts"),
                ([*self.UNCONDITIONAL, "--data", "data.h5", "--objective.unconditional", 1], "less than 1"),
                (["--objective.unconditional", 0.1], "objective.unconditional")]:
            self.assertFailure(self.run_program("flow_train", *flows.small(*flags)), 2, message)
        self.train(*self.UNCONDITIONAL[:4], "--data", "data.h5", "-o", "plain.h5")
        self.train(*self.UNCONDITIONAL, "--data", "data.h5", "-o", "guided.h5")
        for model, flags, message in [
                ("plain.h5", ["--guidance", 2], "by objective.unconditional"),
                (flows.model(2), ["--guidance", 2], "no transform of this model integrates an equation"),
                ("guided.h5", ["--guidance", 0, "--context", 1], "--context '1' has no effect with --guidance 0"),
                ("guided.h5", ["--guidance", "inf"], "must be finite")]:
            for program, more in [("flow_sample", []), ("flow_density", ["data.h5"])]:
                self.assertFailure(self.run_program(program, model, *more, *flags, ranks=2), 2, message)


cases.main()
