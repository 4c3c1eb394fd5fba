"""flow_train: its course on any number of ranks, what it writes, how it is ended."""

import math
import os
import pathlib
import re
import signal
import subprocess
import time

import h5py
import numpy as np

import cases
import flows
from flows import COLUMNS, SMALL, CourseTest, FlowTest
from harness import TIME_LIMIT, command


class Course(CourseTest):
    """The trajectory is that of the global batch, whoever works it."""

    def test_a_batch_that_does_not_divide(self):
        first = self.assertSameOnRanks("--data", flows.data(2), "--train.batch", 61)
        # The twin: another batch is another course.
        other, _ = self.course("--data", flows.data(2), "--train.steps", 50, *flows.TWICE, "--train.batch", 62, ranks=1)
        with self.assertRaises(AssertionError):
            self.assertSameCourse(other, first, 1e-4)

    def test_fewer_rows_than_ranks(self):
        self.assertSameOnRanks("--data", flows.data(2), "--train.batch", 5)

    def test_fewer_training_rows_than_ranks_weighted(self):
        x = flows.rows(3, 8)
        self.put("few.h5", {"train": x[:4], "validation": x[4:], "weight/train": [1.0, 0, 2.5, 0.5],
                            "weight/validation": [1.0, 2, 3, 0]})
        self.assertSameOnRanks("--data", "few.h5", "--train.batch", 3, "--data.standardize", "none", steps=10)

    def assertSameBits(self, precision):
        arguments = ["--data", flows.data(2), "--train.batch", 61, "--reproducible", "--output.every", 1,
                     "--model.precision", precision]
        first, first_model = self.course(*arguments, ranks=1)
        weights = flows.read_h5(first_model)
        for ranks in [2, 8]:
            other, other_model = self.course(*arguments, ranks=ranks)
            for name in COLUMNS:
                if name != "seconds":
                    self.assertEqual(other[name], first[name], name)
            others = flows.read_h5(other_model)
            self.assertEqual(others.keys(), weights.keys())
            for name in weights:
                if name != "history/seconds":
                    self.assertEqual(others[name].tobytes(), weights[name].tobytes(), name)
        # The twin: another seed.
        other, _ = self.course(*arguments, "--seed", 2, ranks=2)
        self.assertNotEqual(other["train_nll"], first["train_nll"])

    def test_a_row_that_fails_in_any_part_of_a_batch_is_named(self):
        """Each of the 16 rows is in the one batch, and in another of the eight parts that make up its sum."""
        self.write("chain.toml", '[model]\nkind = "chain"\n\n[[model.chain]]\nkind = "residual"\nhidden = [4]\n\n'
                                 '[[model.chain]]\nkind = "elementwise"\nfunction = "exp"\n')
        rows = np.random.default_rng(1).normal(size=(16, 2))
        arguments = ["chain.toml", "--data", "data.h5", "--data.standardize", "none", "--train.batch", 16,
                     "--train.steps", 1, "--reproducible", "-o", "flow.h5"]
        self.put("data.h5", {"train": rows})
        self.succeed("flow_train", *arguments)
        for row in range(16):
            spoilt = rows.copy()
            spoilt[row, 1] = 200  # exp(200) is beyond float
            self.put("data.h5", {"train": spoilt})
            for ranks in [0, 3] if row in (0, 9) else [0]:
                run = self.run_program("flow_train", *arguments, ranks=ranks)
                self.assertEqual(run.returncode, 4, run.stderr)
                self.assertIn(f"step 1: the base density (standard_normal), training row {row}: values are not finite",
                              run.stderr)

    def test_reproducible_is_bit_for_bit_in_float(self):
        self.assertSameBits("float")

    def test_reproducible_is_bit_for_bit_in_double(self):
        self.assertSameBits("double")

    def test_the_first_step_sees_a_gaussian(self):
        # Blocks begin as identities and ActNorm takes the mean and deviation of all (few) rows: the NLL of a batch of
        # all rows is that of the Gaussian with their moments.
        x = flows.split_rows(5)["train"]
        gaussian = 5 / 2 * (1 + math.log(2 * math.pi))
        for standardize, log_det in [("none", np.log(x.std(axis=0)).sum()), ("scale", np.log(x.std(axis=0)).sum()),
                                     ("whiten", np.linalg.slogdet(np.cov(x.T, bias=True))[1] / 2)]:
            columns, _ = self.course("--data", flows.data(5), "--train.batch", len(x), "--train.steps", 1,
                                     "--data.standardize", standardize, *flows.TWICE, ranks=2)
            self.assertNear(float(columns["train_nll"][0]), gaussian + log_det, 1e-10)

    def test_weights_count_like_repeated_rows(self):
        splits = flows.split_rows(2, 100)
        weight = np.arange(len(splits["train"])) % 3
        held = np.arange(len(splits["validation"])) % 4
        self.put("weighted.h5", {**splits, "weight/train": weight.astype(float), "weight/validation": held})
        self.put("repeated.h5", {"train": np.repeat(splits["train"], weight, axis=0),
                                 "validation": np.repeat(splits["validation"], held, axis=0)})
        # Not standardized: a gradient that is 0 but for rounding would be Adam's to blow up.
        arguments = [*flows.TWICE, "--model.actnorm", "false", "--data.standardize", "none"]
        repeated, _ = self.course("--data", "repeated.h5", *arguments, "--train.batch", weight.sum(), ranks=1)
        weighted, _ = self.course("--data", "weighted.h5", *arguments, "--train.batch", len(weight), ranks=3)
        self.assertSameCourse(weighted, repeated)

    def test_training_lowers_the_validation_nll(self):
        columns, _ = self.course("--data.toy", "moons", "--data.rows", 5000, "--train.steps", 150, ranks=2)
        nll = [float(text) for text in columns["validation_nll"] if text]
        self.assertLess(nll[-1], nll[0] - 0.2)
        self.assertGreater(nll[-1], 2.394)  # the entropy


class LogDets(FlowTest):
    """log_det.evaluate: the estimator of validation and test."""

    def model_of(self, *arguments, ranks=0, name="flow"):
        """Validation NLLs of a run, the printed test NLL and error, the model's log_det attributes, the messages."""
        run = self.train("--data", flows.data(8), *flows.TWICE, "--train.validate_every", 10, *arguments, "-o", f"{name}.h5",
                         ranks=ranks)
        _, columns = flows.read_history(self.folder / f"{name}.csv")
        test = re.search(r"test NLL +(\S+) ± (\S+) nats", run.stdout)
        with h5py.File(self.folder / f"{name}.h5") as file:
            provenance = [flows.text(file["provenance"].attrs[f"log_det_{use}"]) for use in ["train", "evaluate"]]
        validation = np.array([float(text) for text in columns["validation_nll"] if text])
        return validation, float(test[1]), provenance, run.stderr

    def test_stochastic_validation_and_test(self):
        method = "trace+krylov:6"
        exact, *_ = self.model_of("--log_det.train", "exact", name="exact")
        first, test, provenance, messages = self.model_of("--log_det.evaluate", method, "--log_det.train", "exact")
        self.assertEqual(provenance, ["exact", method])
        self.assertIn(f"log-det    evaluation: {method}\n", messages)
        self.assertEqual(len(first), 3)
        # The same training, another estimate of its validation: one probe a row.
        self.assertNear(first, exact, 0.02)
        self.assertFar(first, exact, 1e-9)
        for ranks in [1, 2, 3]:
            other, other_test, provenance, _ = self.model_of("--log_det.evaluate", method, "--log_det.train", "exact",
                                                             ranks=ranks, name=f"on{ranks}")
            self.assertNear(other, first, 1e-9)
            self.assertAlmostEqual(other_test, test, delta=2e-4)
            self.assertEqual(provenance, ["exact", method])
        # The test NLL is that of the model up to the deviation of one probe, which repeats measure.
        model = "flow.h5"
        rows = self.density(model, flows.data(8), output="exact_density.h5")
        repeated = self.density(model, flows.data(8), "--method", method)
        variance = repeated["log_prob_std_error"] ** 2 * repeated["repeats"]
        self.assertAlmostEqual(test, -rows["log_prob"].mean(),
                               delta=4 * math.sqrt(variance.sum()) / len(variance) + 1e-4)

    def test_auto_is_resolved(self):
        validation, _, provenance, messages = self.model_of("--log_det.evaluate", "auto", "--log_det.train", "auto",
                                                            ranks=2)
        exact, *_ = self.model_of("--log_det.train", "exact", name="exact")
        self.assertEqual(provenance, ["exact", "exact"])
        self.assertIn("log-det    evaluation: auto: exact, since", messages)
        self.assertNear(validation, exact, 1e-9)

    def test_methods_that_cannot_be_are_refused_before_there_is_a_file(self):
        for key in ["train", "evaluate"]:
            for method, message in [("krylov:9", "9 Arnoldi steps for dimension 8"), ("krilov", "did you mean 'krylov'"),
                                    ("series:0", "between 1 and 1000000"), ("roulette:p=2", "less than 1")]:
                for ranks in [0, 2]:
                    run = self.run_program("flow_train", *SMALL, "--data", flows.data(8), f"--log_det.{key}", method,
                                           ranks=ranks)
                    self.assertFailure(run, 2, message)
                    self.assertEqual(run.stderr.count("flow_train: "), 1)
        self.assertEqual(self.files(), [])

    def test_roulettes_beyond_their_cliff_are_warned_of(self):
        *_, messages = self.model_of("--log_det.evaluate", "roulette:p=0.5")
        self.assertEqual(messages.count("warning: log-det method roulette:p=0.5,exact=2: the variance is infinite"), 1)

    def test_sampling_and_checks_stay_exact(self):
        self.model_of("--log_det.evaluate", "trace+krylov:6", "--log_det.train", "trace+krylov:3")
        x = self.sample("flow.h5", "-n", 20)
        rows = self.density("flow.h5", "samples.h5:/x")
        self.assertNear(x["log_prob"], rows["log_prob"], 1e-8)
        self.assertIn("all checks hold", self.succeed("flow_check", "flow.h5").stdout)


class ModelFile(FlowTest):
    """The schema of data/README.md."""

    def test_everything_is_there(self):
        run = self.train("--data", flows.data(2), "--model.precision", "double", "--output.history", "course.csv")
        self.assertEqual(self.files(), ["course.csv", "flow.checkpoint.h5", "flow.h5"])
        self.assertIn("model          flow.h5, history course.csv", run.stdout)
        with h5py.File(self.folder / "flow.h5") as file:
            self.assertEqual(sorted(file), ["feature_names", "flow", "history", "objective", "provenance", "standardization"])
            self.assertEqual(flows.text(file["objective"].attrs["kind"]), "likelihood")
            self.assertEqual(flows.attributes(file) | {"creator": "", "created": ""},
                             {"format": "pushforward-model", "format_version": 2, "creator": "", "created": ""})
            base = flows.attributes(file["flow/base"])
            self.assertEqual({key: base[key] for key in ["kind", "components", "low", "high", "degrees_of_freedom"]},
                             {"kind": "standard_normal", "components": 10, "low": -1, "high": 1,
                              "degrees_of_freedom": 5})
            self.assertEqual(flows.texts(file["feature_names"]), ["x1", "x2"])
            self.check_standardization(file["standardization"])
            self.check_flow(file["flow"])
            self.check_history(file["history"])
            self.assertEqual(sorted(file["provenance"].attrs),
                             ["best_step", "blas", "configuration", "input", "input_sha256", "log_det_evaluate",
                              "log_det_train", "ranks", "seed", "steps", "version"])
            self.assertEqual(flows.text(file["provenance"].attrs["steps"]), "30")
            self.assertEqual(flows.text(file["provenance"].attrs["log_det_evaluate"]), "exact")
            self.assertEqual(flows.text(file["provenance"].attrs["log_det_train"]), "exact")

    def check_standardization(self, group):
        x = flows.split_rows(2)["train"]
        self.assertEqual(sorted(group), ["factor", "mean"])
        self.assertEqual(flows.text(group.attrs["kind"]), "scale")
        self.assertNear(group["mean"], x.mean(axis=0), 1e-12)
        self.assertNear(group["factor"], x.std(axis=0), 1e-12)
        self.assertNear(group.attrs["log_det"], -np.log(x.std(axis=0)).sum(), 1e-12)

    def check_flow(self, group):
        attributes = flows.attributes(group)
        self.assertEqual(list(attributes.pop("shape")), [1, 1, 2])
        self.assertEqual(list(attributes.pop("periodic", [])), [])
        parameters = attributes.pop("parameters")
        self.assertEqual(attributes, {"dimension": 2, "context": 0, "optional_context": 0, "length": 5,
                                      "precision": "double"})
        stored = 0
        transforms = group["transforms"]
        self.assertEqual(list(transforms), ["000", "001", "002", "003", "004"])
        for name, transform in transforms.items():
            if flows.text(transform.attrs["kind"]) == "actnorm":
                self.assertEqual(int(name) % 2, 0)
                shapes = {"log_scale": (2,), "shift": (2,)}
            else:
                self.assertEqual(flows.text(transform.attrs["kind"]), "residual")
                self.assertEqual(transform.attrs["layers"], 3)
                self.assertEqual(list(transform.attrs["hidden"]), [8, 8])
                self.assertEqual(list(transform.attrs.get("kernels", [])), [])
                self.assertEqual(flows.text(transform.attrs["activation"]), "lipswish")
                self.check_certificate(transform)
                shapes = {f"layer_{l}/{array}": shape for l, (m, n) in enumerate([(2, 8), (8, 8), (8, 2)])
                          for array, shape in [("weight", (m, n)), ("bias", (n,)), ("log_beta", (1,))]
                          if l < 2 or array != "log_beta"}
            found = {}
            transform.visititems(lambda path, o: found.update({path: o.shape}) if hasattr(o, "shape") else None)
            self.assertEqual(found, shapes)
            stored += sum(math.prod(shape) for shape in shapes.values())
        self.assertEqual(stored, parameters)

    def check_certificate(self, block):
        norms = [np.linalg.norm(block[f"layer_{l}/weight"][()], 2) for l in range(3)]
        self.assertNear(block.attrs["layer_norms"], norms, 1e-12)
        self.assertNear(block.attrs["certified_lipschitz"], np.prod(norms), 1e-12)
        self.assertEqual(block.attrs["lipschitz"], 0.99)
        self.assertLessEqual(np.prod(norms), 0.99 * (1 + 1e-9))

    def check_history(self, group):
        header, columns = flows.read_history(self.folder / "course.csv")
        self.assertEqual(sorted(group), sorted(header))
        for name in ["step", "train_nll", "validation_nll", "learning_rate", "gradient_norm"]:
            np.testing.assert_array_equal(group[name], [float(text or "nan") for text in columns[name]])

    def test_arrays_have_the_precision_of_the_network(self):
        for precision, kind in [("float", np.float32), ("double", np.float64)]:
            with h5py.File(flows.model(2, "--model.precision", precision)) as file:
                self.assertEqual(file["flow/transforms/001/layer_0/weight"].dtype, kind)
                self.assertEqual(file["standardization/factor"].dtype, np.float64)
                self.assertEqual(flows.text(file["flow"].attrs["precision"]), precision)

    def test_a_weight_beyond_its_bound_is_scaled_to_it(self):
        # A high rate drives the norms to the bound, which the effective weights keep.
        self.train("--data", flows.data(2), "--train.learning_rate", 0.3, "--model.lipschitz", 0.5,
                   "--model.precision", "double", "--train.steps", 60, "--model.activation", "tanh")
        with h5py.File(self.folder / "flow.h5") as file:
            products = []
            for block in [file["flow/transforms/001"], file["flow/transforms/003"]]:
                products.append(math.prod(np.linalg.norm(block[f"layer_{l}/weight"][()], 2) for l in range(3)))
        self.assertLessEqual(max(products), 0.5 * (1 + 1e-9))
        self.assertGreater(max(products), 0.45)

    def test_the_stored_configuration_makes_the_same_model(self):
        first = flows.model(2, "--reproducible")
        with h5py.File(first) as file:
            self.write("again.toml", flows.text(file["provenance"].attrs["configuration"]))
        self.succeed("flow_train", "again.toml", "-o", "again.h5", ranks=2)
        before, after = flows.read_h5(first), flows.read_h5(self.folder / "again.h5")
        for name in before:
            if not name.startswith("history/"):
                self.assertEqual(after[name].tobytes(), before[name].tobytes(), name)

    def test_a_model_that_is_there_is_replaced_and_its_history_kept(self):
        self.write("flow.h5", "an older model")
        self.write("flow.csv", "an older history")
        self.train("--data", flows.data(1))
        self.assertEqual(self.files(), ["flow.checkpoint.h5", "flow.csv", "flow.csv.old", "flow.h5"])
        self.assertEqual((self.folder / "flow.csv.old").read_text(), "an older history")
        flows.read_h5(self.folder / "flow.h5")


class Report(FlowTest):
    def test_results_on_one_stream_and_messages_on_the_other_from_one_rank(self):
        run = self.train("--data.toy", "moons", "--data.rows", 1000, ranks=3)
        self.assertRegex(run.stdout, r"\Avalidation NLL -?[\d.]+ nats, after step \d+\n"
                                     r"model          flow.h5, history flow.csv\n"
                                     r"test NLL +[\d.]+ ± [\d.]+ nats \(100 rows\), [\d.]+ bits/dim, "
                                     r"\+[\d.]+ from the entropy 2.3939\n +[\d.]+ nats on standardized columns\n\Z")
        for phase in ["data", "model", "run", "trained", "forward", "tangents", "LU", "reverse", "activations",
                      "spectral norm", "optimizer", "all-reduce", "input/output"]:
            self.assertEqual(len(re.findall(f"^{phase} ", run.stderr, re.MULTILINE)), 1, phase)

    def test_the_test_nll_is_that_of_the_file(self):
        run = self.train("--data", flows.data(2), "--model.precision", "double")
        values = self.density("flow.h5", flows.data(2))["log_prob"]
        found = re.search(r"test NLL +(\S+) ± (\S+) nats \(40 rows\)", run.stdout)
        self.assertAlmostEqual(float(found[1]), -values.mean(), delta=6e-5)
        self.assertAlmostEqual(float(found[2]), values.std(ddof=1) / math.sqrt(len(values)), delta=6e-5)

    def test_relu_and_missing_validation_are_warned_of(self):
        self.put("train_only.h5", {"train": flows.rows(2, 50)})
        run = self.train("--data", "train_only.h5", "--model.activation", "relu")
        self.assertIn("warning: relu has no second derivative", run.stderr)
        self.assertIn("warning: no validation rows", run.stderr)

    def test_dry_run_writes_nothing(self):
        for ranks in [0, 2]:
            run = self.succeed("flow_train", "--data", flows.data(2), "--dry-run", ranks=ranks)
            self.assertIn("320 rows for training, 40 for validation, 40 for test", run.stderr)
            self.assertEqual(self.files(), [])

    def test_the_configurations_of_the_examples_are_accepted_whole(self):
        files = sorted((flows.SOURCE / "examples").glob("*.toml"))
        self.assertTrue(files)
        for file in files:
            self.succeed("flow_train", file, "--data", flows.data(5), "--dry-run")
        self.assertEqual(self.files(), [])

    def test_the_printed_configuration_prints_itself(self):
        first = self.succeed("flow_train", *SMALL, "--data", "a.h5", "--reproducible", "--print-config")
        self.write("run.toml", first.stdout)
        self.assertEqual(self.succeed("flow_train", "run.toml", "--print-config").stdout, first.stdout)
        self.assertIn("steps = 30", first.stdout)
        self.assertEqual(self.files(), ["run.toml"])


class Ends(FlowTest):
    """A run that ends before its last step."""

    def start(self, *arguments, ranks=0):
        """Begins a run without end; gives its process once it trains."""
        process = subprocess.Popen(command("flow_train", "--data", flows.data(2), *SMALL, "--train.steps", 100_000_000,
                                           "--output.every", 10, *arguments, ranks=ranks), cwd=self.folder, text=True,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(process.kill)
        history = self.folder / "flow.csv"
        self.wait_until(lambda: history.exists() and history.read_text().count("\n") > 2)
        return process

    def wait_until(self, happened):
        end = time.monotonic() + TIME_LIMIT
        while not happened():
            self.assertLess(time.monotonic(), end)
            time.sleep(0.05)

    def assertEndedWell(self, process):
        stdout, stderr = process.communicate(timeout=TIME_LIMIT)
        self.assertEqual(process.returncode, 7, stderr)
        self.assertIn("stopped by request", stderr)
        self.assertIn("model          flow.h5", stdout)
        self.assertEqual(self.files(), ["flow.checkpoint.h5", "flow.csv", "flow.h5"])
        _, columns = flows.read_history(self.folder / "flow.csv")
        with h5py.File(self.folder / "flow.h5") as file:
            np.testing.assert_array_equal(file["history/step"], list(map(int, columns["step"])))
            self.assertGreaterEqual(int(file["provenance"].attrs["steps"]), int(columns["step"][-1]))
        self.density("flow.h5", flows.data(2))

    def test_signals(self):
        for number in [signal.SIGTERM, signal.SIGINT, signal.SIGUSR2]:
            process = self.start()
            process.send_signal(number)
            self.assertEndedWell(process)
            for name in self.files():
                (self.folder / name).unlink()

    def test_a_signal_to_one_rank_ends_all(self):
        process = self.start(ranks=2)
        ranks = [int(pid) for task in pathlib.Path(f"/proc/{process.pid}/task").iterdir()
                 for pid in (task / "children").read_text().split()]
        self.assertEqual(len(ranks), 2)
        os.kill(max(ranks), signal.SIGTERM)
        self.assertEndedWell(process)

    def test_a_signal_that_mpirun_hands_on(self):
        process = self.start("--reproducible", ranks=3)
        process.send_signal(signal.SIGUSR2)
        self.assertEndedWell(process)

    def test_patience(self):
        run = self.train("--data", flows.data(2), "--train.steps", 5000, "--train.patience", 2,
                         "--train.validate_every", 1, "--train.learning_rate", 0.2, "--train.average", 0,
                         "--output.every", 1, ranks=2)
        self.assertIn("ended because validation no longer improves", run.stderr)
        _, columns = flows.read_history(self.folder / "flow.csv")
        nll = [float(text) for text in columns["validation_nll"]]
        best = int(re.search(r"after step (\d+)", run.stdout)[1])
        self.assertEqual(best, 1 + np.argmin(nll))
        self.assertEqual(len(nll), best + 2)
        # The model is the best one: it has the validation NLL that the history says.
        values = self.density("flow.h5", flows.data(2), "--split", "validation")["log_prob"]
        self.assertNear(-values.mean(), min(nll), 1e-5)

    def test_divergence_is_a_numerical_failure(self):
        # The latter's latents are numbers, of which the base density is none.
        for ranks, kind, rate in [(0, "residual", 1e30), (3, "residual", 1e30), (0, "nice", 1e10)]:
            run = self.run_program("flow_train", *SMALL, "--data", flows.data(2), "--train.learning_rate", rate,
                                   "--model.kind", kind, "--train.warmup", 0, "--train.validate_every", 30, ranks=ranks)
            self.assertFailure(run, 4, "training failed: step ", "values are not finite",
                               "try a smaller train.learning_rate")
            self.assertEqual(run.stderr.count("flow_train: "), 1)
            self.assertNotIn("flow.h5", self.files())


cases.main()
