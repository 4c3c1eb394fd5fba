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
