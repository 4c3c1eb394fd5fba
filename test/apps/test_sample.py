"""flow_sample: the way back, which flow_density confirms; the draws depend on the seed and their number only."""

import h5py
import numpy as np

import cases
import flows
from flows import FlowTest


class Samplers(FlowTest):
    """Samplers of few explicit steps, whose density flow_density confirms."""

    def continuous_model(self, density="discrete", *more):
        self.train("--model.kind", "continuous", "--model.hidden", "16,16", "--model.density", density, "--data",
                   flows.data(3), "--train.steps", 30, "--train.learning_rate", 0.02, "--restart", "never", *more,
                   "-o", f"{density}.h5")
        return f"{density}.h5"

    def test_a_sampler_has_its_own_exact_density(self):
        for density in ["discrete", "continuous"]:
            model = self.continuous_model(density)
            own = self.sample(model, "-n", 200)
            for solver, steps, stages in [("euler", 3, 1), ("rk4", 1, 4)]:
                with self.subTest(density=density, solver=solver):
                    flags = ["--steps", steps, "--solver", solver]
                    drawn = self.sample(model, "-n", 200, *flags, ranks=2)
                    self.assertTrue(np.all(drawn["status"] == 0))
                    self.assertTrue(np.all(drawn["evaluations"] == steps * stages))
                    self.assertTrue(np.all(drawn["log_prob_error"] == 0))
                    back = self.density(model, "samples.h5:x", *flags, output="back.h5")
                    self.assertNear(back["z"], drawn["z"], 1e-9)
                    self.assertNear(back["log_prob"], drawn["log_prob"], 1e-8)
                    # The twins: the samples of the model itself, and the model's density at the sampler's samples.
                    self.assertFar(own["x"], drawn["x"], 1e-4)
                    other = self.density(model, "samples.h5:x", output="other.h5")
                    self.assertFar(other["log_prob"], drawn["log_prob"], 1e-5)

    def test_the_model_gives_what_is_not_asked_for(self):
        model = self.continuous_model("discrete", "--model.solver", "heun", "--model.steps", 5)
        run = self.succeed("flow_sample", model, "-n", 5, "--steps", 2, "-o", "s.h5")
        self.assertIn("the sampler with 2 explicit steps of heun; its density is exact", run.stdout)
        run = self.succeed("flow_sample", model, "-n", 5, "--solver", "euler", "-o", "s.h5")
        self.assertIn("the sampler with 5 explicit steps of euler", run.stdout)

    def test_the_error_of_a_limit_is_within_its_tolerance(self):
        model = self.continuous_model("continuous")
        drawn = self.sample(model, "-n", 100)
        rows = {tolerance: self.density(model, "samples.h5:x", "--tolerance", tolerance, output="d.h5")
                for tolerance in [1e-3, 1e-11]}
        rough, exact = rows.values()
        self.assertTrue(np.all(rough["log_prob_error"] <= 1e-3))
        self.assertTrue(np.all(exact["log_prob_error"] <= 1e-11))
        self.assertTrue(np.all(exact["evaluations"] > rough["evaluations"]))
        self.assertLess(np.abs(rough["log_prob"] - exact["log_prob"]).max(), rough["log_prob_error"].max())
        self.assertNear(drawn["log_prob"], exact["log_prob"], 1e-5)
        table = self.density(model, "samples.h5:x", ranks=3)
        again = self.density(model, "samples.h5:x", output="again.h5")
        self.assertTrue(np.array_equal(table["evaluations"], again["evaluations"]))
        for name in ["log_prob", "log_prob_error"]:
            self.assertNear(table[name], again[name], 1e-12)

    def test_flags_without_effect_are_refused(self):
        model = self.continuous_model()
        residual = flows.model(2)
        self.sample(model, "-n", 5)
        for program, rows, tolerance in [("flow_sample", ["-n", 5], "--log_prob_tolerance"),
                                         ("flow_density", ["samples.h5:x"], "--tolerance")]:
            for said, of, *more in [("for continuous flows, and this model is", residual, "--steps", 4),
                                    ("the density of this model is that of its grid", model, tolerance, 1e-3),
                                    ("leave the tolerance out", model, "--steps", 4, tolerance, 1e-3),
                                    ("one of model, euler", model, "--solver", "eulr"),
                                    ("at least 0", model, "--steps", -1)]:
                with self.subTest(program=program, flags=more):
                    self.assertFailure(self.run_program(program, of, *rows, *more), 2, said)

    def test_a_sampler_that_folds_says_so(self):
        self.train("--model.kind", "continuous", "--model.hidden", "16,16", "--data.toy", "8gaussians", "--data.rows", 2000,
                   "--train.steps", 300, "--train.learning_rate", 0.03, "-o", "flow.h5")
        for ranks in [1, 2]:
            run = self.succeed("flow_sample", "flow.h5", "-n", 500, "--steps", 1, "--solver", "euler", "-o", "s.h5",
                               ranks=ranks)
            folded = np.count_nonzero(flows.read_h5(self.folder / "s.h5")["status"] == 3)
            self.assertGreater(folded, 0)
            self.assertIn(f"the steps fold at {folded} of 500 rows", run.stderr)


class Diffusions(FlowTest):
    """Samples by the stochastic differential equation of a flow that flow matching has trained."""

    MATCHING = ["--model.kind", "continuous", "--model.hidden", "16,16", "--objective.kind", "flow_matching",
                "--restart", "never"]

    def test_samples_have_the_law_of_the_data(self):
        """Two classes with normal densities, after an ActNorm. Any strength of noise gives their moments,
        as far as the trained field is exact."""
        generator = np.random.default_rng(4)
        kind = (np.arange(20000) % 2).astype(float)
        covariance = np.array([[1.0, 0.9], [0.9, 4.0]])
        x = generator.normal(size=(20000, 2)) @ np.linalg.cholesky(covariance).T + kind[:, None] * [4.0, -6.0]
        parts = {"train": slice(16000), "validation": slice(16000, 18000), "test": slice(18000, None)}
        self.put("data.h5", {name: x[part] for name, part in parts.items()} |
                 {f"context/{name}": kind[part] for name, part in parts.items()})
        (self.folder / "run.toml").write_text("\n".join([
            'model.kind = "chain"', *[f"[[model.chain]]\n{text}" for text in [
                'kind = "actnorm"', 'kind = "continuous"\nhidden = [32, 32]']]]) + "\n")
        self.succeed("flow_train", "run.toml", "--objective.kind", "flow_matching", "--data", "data.h5",
                     "--train.batch", 500, "--train.steps", 1500, "--train.learning_rate", 5e-3, "-o", "flow.h5")
        for eta in [0.2, 1, 4]:
            for context, mean in [(0, [0.0, 0.0]), (1, [4.0, -6.0])]:
                with self.subTest(eta=eta, context=context):
                    drawn = self.sample("flow.h5", "-n", 20000, "--sde", eta, "--context", context, ranks=2)
                    self.assertTrue(np.all(drawn["status"] == 0))
                    self.assertNear(drawn["x"].mean(axis=0), mean, 0.1)
                    self.assertNear(np.cov(drawn["x"].T), covariance, 0.1)
                    # The twin: the other class.
                    self.assertFar(drawn["x"].mean(axis=0), [4.0 - mean[0], -6.0 - mean[1]], 0.1)

    def test_a_sample_is_the_same_on_any_ranks_and_for_any_number(self):
        model = flows.model(3, *self.MATCHING)
        first = self.sample(model, "-n", 40, "--sde", 1, "--steps", 7)
        for n, ranks in [(40, 1), (40, 2), (40, 3), (40, 8), (7, 2), (300, 1)]:
            other = self.sample(model, "-n", n, "--sde", 1, "--steps", 7, ranks=ranks, output="other.h5")
            least = min(n, 40)
            self.assertNear(other["x"][:least], first["x"][:least], 1e-12)
        for more in [["--seed", 1], ["--steps", 8], ["--sde", 1.1]]:
            other = self.sample(model, "-n", 40, "--sde", 1, "--steps", 7, *more, output="other.h5")
            self.assertFar(other["x"], first["x"], 1e-3)

    def test_little_noise_is_heuns_method(self):
        model = flows.model(3, *self.MATCHING)
        heun = self.sample(model, "-n", 40, "--steps", 9, "--solver", "heun")
        drawn = self.sample(model, "-n", 40, "--steps", 9, "--sde", 1e-20, output="sde.h5")
        self.assertNear(drawn["x"], heun["x"], 1e-8)
        self.assertFar(self.sample(model, "-n", 40, "--steps", 9, "--sde", 1e-3)["x"], heun["x"], 1e-3)

    def test_the_file_has_no_density(self):
        model = flows.model(3, *self.MATCHING)
        run = self.succeed("flow_sample", model, "-n", 9, "--sde", 0.5, "-o", "s.h5", ranks=2)
        self.assertEqual(run.stdout, "samples of the stochastic differential equation with eta = 0.5, in 100 steps; "
                         "they have no density\nwrote s.h5: 9 samples of dimension 3\n")
        with h5py.File(self.folder / "s.h5") as file:
            self.assertEqual(file.attrs["sde"], 0.5)
            self.assertEqual(set(file), {"x", "status", "feature_names"})
        self.succeed("flow_sample", model, "-n", 9, "--sde", 0.5, "-o", "s.csv")
        lines = (self.folder / "s.csv").read_text().splitlines()
        self.assertEqual((len(lines), lines[0].split(",")[-1], lines[0].count(",")), (10, "status", 3))
        # The density of the model at these samples is there for the asking.
        self.assertTrue(np.all(np.isfinite(self.density(model, "s.h5:x")["log_prob"])))

    def test_paths_that_determine_no_score_are_refused(self):
        rows = flows.split_rows(2)
        self.put("z.h5", {name: np.random.default_rng(3).normal(size=x.shape) for name, x in rows.items()})
        self.put("circles.h5", {name: x / np.linalg.norm(x, axis=1, keepdims=True) for name, x in rows.items()})
        given = ["--data.source", "z.h5", "--objective.coupling", "given"]
        for more, reason in [
                (["--objective.kind", "likelihood"], 'trained with objective.kind = "likelihood"'),
                (["--objective.likelihood_steps", 5], "the last 5 steps of its training were steps of maximum like"),
                (["--objective.coupling", "optimal_transport"], 'by objective.coupling = "optimal_transport"'),
                (["--objective.coupling", "sinkhorn"], 'by objective.coupling = "sinkhorn"'),
                (given, "its paths begin at points of data.source"),
                ([*given, "--objective.source_law", "base"], "its paths begin at points of data.source"),
                (["--objective.noise", 0.1], "with objective.noise = 0.1 its paths do not begin at the latents"),
                (["--base.kind", "logistic"], 'its latents have base.kind = "logistic"'),
                (["--data", "circles.h5", "--data.periodic", "1"], "columns are angles or unit vectors"),
                (["--data", "circles.h5", "--data.spheres", "1+2"], "columns are angles or unit vectors")]:
            with self.subTest(reason):
                self.train("--data", flows.data(2), *self.MATCHING, *more, "-o", "flow.h5")
                for ranks in [1, 2]:
                    run = self.run_program("flow_sample", "flow.h5", "-n", 5, "--sde", 1, ranks=ranks)
                    self.assertFailure(run, 2, "flow.h5: the velocity does not determine the score: ")
                    self.assertIn(reason, run.stderr)
        # Bridges have noise between their ends, and they are fine.
        self.train("--data", flows.data(2), *self.MATCHING, "--objective.path", "bridge", "--objective.noise", 0.1)
        self.sample("flow.h5", "-n", 5, "--sde", 1)

    def test_older_files_and_flags_without_effect_are_refused(self):
        model = self.copy(flows.model(3, *self.MATCHING), "flow.h5")
        for flags, reason in [(["--solver", "euler"], "leave --solver and --log_prob_tolerance out"),
                              (["--log_prob_tolerance", 1e-3], "leave --solver and --log_prob_tolerance out"),
                              (["--latents", "flow.h5:/x"], "begins with draws from N(0, I), and not with --latents"),
                              (["--sde", -1], "at least 0")]:
            self.assertFailure(self.run_program("flow_sample", "flow.h5", "--sde", 1, *flags), 2, reason)
        self.assertFailure(self.run_program("flow_sample", flows.model(2), "--sde", 1), 2, "was trained with objective")
        with flows.edited_model(self.folder / "flow.h5") as file:
            del file["objective"]
        self.sample(model, "-n", 5)
        self.assertFailure(self.run_program("flow_sample", "flow.h5", "--sde", 1), 2,
                           "the file does not say how the model was trained, because an older version wrote it")


class RoundTrip(FlowTest):
    """The samples, evaluated again, have the log p and the z that they were drawn with."""

    def assertRoundTrip(self, model, d, tolerance, *arguments, **options):
        drawn = self.sample(model, "-n", 200, *arguments, **options)
        self.assertEqual(drawn["x"].shape, (200, d))
        self.assertTrue(np.all(drawn["status"] == 0))
        again = self.density(model, "samples.h5:x")
        self.assertNear(again["z"], drawn["z"], tolerance)
        self.assertNear(again["log_prob"], drawn["log_prob"], tolerance * d)

    def test_in_double(self):
        for d in [1, 2, 5, 20]:
            for method in ["newton", "anderson"]:
                model = flows.model(d, "--train.learning_rate", 0.05)
                self.assertRoundTrip(model, d, 1e-9, "--method", method)

    def test_in_single_precision(self):
        for method in ["newton", "anderson"]:
            self.assertRoundTrip(flows.model(2), 2, 2e-4, "--method", method, "--precision", "float")

    def test_with_whitening_on_several_ranks(self):
        model = flows.model(5, "--data.standardize", "whiten", "--train.learning_rate", 0.05)
        self.assertRoundTrip(model, 5, 1e-9, ranks=3)

    def test_a_model_near_its_bound(self):
        # Banach's way is long when a block's constant is near 1.
        model = flows.model(2, "--train.learning_rate", 0.2, "--train.steps", 100)
        with h5py.File(model) as file:
            self.assertGreater(file["flow/transforms/001"].attrs["certified_lipschitz"], 0.9)
        self.assertRoundTrip(model, 2, 1e-9)
        self.assertRoundTrip(model, 2, 1e-9, "--method", "anderson", "--max_iterations", 100_000)

    def test_the_tolerance_is_kept(self):
        model = flows.model(2)
        loose = self.sample(model, "-n", 100, "--method", "anderson", "--tolerance", 1e-3)
        tight = self.sample(model, "-n", 100, "--method", "anderson", output="tight.h5")
        self.assertNear(loose["x"], tight["x"], 2e-2)
        self.assertFar(loose["x"], tight["x"], 1e-7)

    def test_samples_that_do_not_converge_say_so(self):
        model = flows.model(2, "--train.learning_rate", 0.2, "--train.steps", 100)
        run = self.succeed("flow_sample", model, "-n", 50, "--method", "anderson", "--max_iterations", 1, "-o", "s.h5",
                           ranks=2)
        samples = flows.read_h5(self.folder / "s.h5")
        failed = np.count_nonzero(samples["status"])
        self.assertGreater(failed, 0)
        self.assertIn(f"warning: of 50 samples: {failed} not converged; see /status", run.stderr)
        self.assertTrue(np.all(np.isnan(samples["log_prob"][samples["status"] == 2])))
        self.assertTrue(np.all(np.isin(samples["status"], [0, 2])))


class Draws(FlowTest):
    def test_a_sample_is_the_same_on_any_ranks_and_for_any_number(self):
        model = flows.model(2)
        first = self.sample(model, "-n", 40, "--seed", 5)
        for n, ranks in [(40, 1), (40, 3), (7, 2), (3, 8), (1, 0), (1, 3), (100, 2)]:
            other = self.sample(model, "-n", n, "--seed", 5, ranks=ranks, output="other.h5")
            self.assertEqual(len(other["x"]), n)
            least = min(n, 40)
            np.testing.assert_array_equal(other["z"][:least], first["z"][:least])
            for name in ["x", "log_prob", "status"]:
                self.assertNear(other[name][:least], first[name][:least], 1e-12)

    def test_latents_may_be_given(self):
        model = flows.model(3)
        drawn = self.sample(model, "-n", 50)
        given = self.sample(model, "--latents", "samples.h5:/z", output="given.h5", ranks=3)
        self.assertNear(given["x"], drawn["x"], 1e-12)
        self.assertNear(given["log_prob"], drawn["log_prob"], 1e-12)
        with h5py.File(self.folder / "given.h5") as file:
            self.assertEqual(flows.attributes(file)["latents"], "samples.h5:/z")
            self.assertNotIn("seed", file.attrs)
        # The twin: other latents.
        self.put("other.h5", {"z": drawn["z"][::-1]})
        self.assertFar(self.sample(model, "--latents", "other.h5:/z", output="other_x.h5")["x"], drawn["x"], 0.1)
        self.put("narrow.h5", {"z": drawn["z"][:, :2]})
        self.assertFailure(self.run_program("flow_sample", model, "--latents", "narrow.h5:/z"), 3,
                           "latents of 2 columns, and the model has 3")
        for flag in ["rows", "seed"]:
            self.assertFailure(self.run_program("flow_sample", model, "--latents", "other.h5:/z", f"--{flag}", 7), 2,
                               f"--{flag} has no effect with --latents")
        self.assertFailure(self.run_program("flow_sample", model, "--latents", "other.h5:/z", "-o", "other.h5"), 2,
                           "other.h5")

    def test_another_seed_gives_other_samples(self):
        model = flows.model(2)
        first = self.sample(model, "-n", 40, "--seed", 5)
        other = self.sample(model, "-n", 40, "--seed", 6, output="other.h5")
        self.assertFalse(np.any(first["z"] == other["z"]))

    def test_latents_are_standard_normal_and_samples_like_the_data(self):
        drawn = self.sample(flows.model(2, "--train.steps", 150), "-n", 20000)
        self.assertNear(drawn["z"].mean(axis=0), [0, 0], 5 / np.sqrt(20000))
        self.assertNear(np.cov(drawn["z"].T), np.eye(2), 5 / np.sqrt(10000))
        x = flows.rows(2)
        for i in range(2):
            self.assertNear((drawn["x"][:, i].mean() - x[:, i].mean()) / x[:, i].std(), 0, 0.25)
            self.assertNear(drawn["x"][:, i].std() / x[:, i].std(), 1, 0.25)

    def test_the_file(self):
        run = self.succeed("flow_sample", flows.model(5), "-n", 9, "--seed", 3, "-o", "s.h5", ranks=2)
        self.assertEqual(run.stdout, "wrote s.h5: 9 samples of dimension 5\n")
        with h5py.File(self.folder / "s.h5") as file:
            self.assertEqual((flows.text(file.attrs["format"]), file.attrs["format_version"], file.attrs["seed"]),
                             ("pushforward-samples", 2, 3))
            self.assertEqual({name: o.shape for name, o in file.items()},
                             {"x": (9, 5), "z": (9, 5), "log_prob": (9,), "status": (9,), "feature_names": (5, 2)})

    def test_dry_run_and_print_config_write_nothing(self):
        run = self.succeed("flow_sample", flows.model(5), "-n", 9, "--dry-run", ranks=2)
        self.assertEqual(run.stdout, "would draw 9 samples of dimension 5 into samples.h5\n")
        first = self.succeed("flow_sample", "-n", 9, "--method", "anderson", "--tolerance", 1e-7, "--print-config")
        self.assertEqual(self.files(), [])
        self.write("run.toml", first.stdout)
        self.assertEqual(self.succeed("flow_sample", "--config", "run.toml", "--print-config").stdout, first.stdout)


cases.main()
