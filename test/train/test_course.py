"""The course of a training run: flow_train against a reference in numpy that knows the configuration and the data.

Everything that a run leaves is compared: the history, the weights that are kept, log-densities. The reference is in
reference/. Its twins, each with one small mistake, must not agree.
"""

import concurrent.futures
import functools
import tomllib
from unittest import mock

import h5py
import numpy as np

import cases
from apps import flows
from reference import course, networks, streams
from reference.flow import Flow
from reference.log_dets import NotAContraction

# Errors are relative to 1 + |value|.
TOLERANCE = 1e-10
# After a second try, singular vectors are those of a power iteration that ends when σ no longer changes in its last
# bits. Its error is then of the order of √ε.
AFTER_SECOND_TRY = 1e-7

BASE = {"train.steps": 30, "train.batch": 16, "train.warmup": 5, "train.learning_rate": 0.02,
        "model.precision": "double", "output.every": 1}
SMALL = {"model.blocks": 2, "model.hidden": [4]}
NICE = {"model.kind": "nice", **SMALL}
REALNVP = {"model.kind": "realnvp", **SMALL}
PLANAR = {"model.kind": "planar", "model.blocks": 2}
RESIDUAL = {"model.kind": "residual", "log_det.train": "exact", **SMALL}

# The identity. A chain that has it takes values as they are.
RAW = {"kind": "elementwise", "function": "affine"}


@functools.cache
def plain(d=2, train=1200):
    x = flows.rows(d, train + 400)
    return {"train": x[:train], "validation": x[train : train + 300], "test": x[train + 300 :]}


def weighted(zero=0.2):
    """Rows with weights, of which this share is 0."""
    data, generator = dict(plain()), np.random.default_rng(5)
    for split in ["train", "validation", "test"]:
        count = len(data[split])
        data[f"weight/{split}"] = generator.gamma(2, size=count) * (generator.uniform(size=count) >= zero)
    return data


def conditional(width=2):
    """Rows that depend on the first of two numbers, or on one. The second is the same for all rows."""
    data = dict(plain())
    for split in ["train", "validation", "test"]:
        context = np.random.default_rng(len(data[split])).normal(size=(len(data[split]), 1))
        data[split] = data[split] + context
        data[f"context/{split}"] = np.hstack([2 * context + 5, np.full_like(context, 3)])[:, :width]
    return data


def integers(levels=8):
    return {split: np.clip(np.floor(x), 0, levels - 1) for split, x in plain().items()}


def few(*, train, validation=True):
    data = plain()
    return {"train": data["train"][:train], **({"validation": data["validation"]} if validation else {})}


def stretched(seed, d):
    """Training rows with a deviation of 10, on which a large learning rate soon makes weights of a large norm."""
    return {"train": 10 * np.random.default_rng([seed, d]).normal(size=(200, d))}


class Run:
    """A run of flow_train on some data, and of flow_density on its test rows."""

    def __init__(self, test, name, settings, data, ranks=0):
        self.settings, self.data = BASE | settings, data
        flows.write_h5(test.folder / f"{name}.data.h5", data)
        config = test.write(f"{name}.toml", flows.toml(self.settings))
        run = test.run_program("flow_train", config, "--data", f"{name}.data.h5", "-o", f"{name}.h5",
                               ranks=ranks)
        test.assertSuccess(run)
        _, self.history = flows.read_history(test.folder / f"{name}.csv")
        arrays = flows.read_h5(test.folder / f"{name}.h5")
        self.weights = {key.removeprefix("flow/"): array for key, array in arrays.items() if key.startswith("flow/")}
        with h5py.File(test.folder / f"{name}.h5") as file:
            # Values of keys that the settings leave out are the defaults.
            self.config = tomllib.loads(file["provenance"].attrs["configuration"].decode())
            self.best_step = int(file["provenance"].attrs["best_step"])
        self.log_prob = None
        if "test" in data:
            density = f"{name}.density.h5"
            test.assertSuccess(test.run_program("flow_density", f"{name}.h5", f"{name}.data.h5", "-o", density))
            self.log_prob = flows.read_h5(test.folder / density)["log_prob"]

    def configuration(self, **changes):
        """The tables of the run's configuration, with other values of some keys."""
        tables = {name: dict(table) for name, table in self.config.items()}
        for key, value in (self.settings | changes).items():
            table, name = key.split(".")
            tables[table][name] = value
        return tables

    def reference(self, **changes):
        return course.Trainer(self.configuration(**changes), self.data).run()


class CourseTest(flows.FlowTest):
    def runs(self, subjects):
        """Runs by name. subjects: settings, data and perhaps ranks by name.

        Programs wait a lot when they start: some run at once.
        """
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            futures = {name: pool.submit(Run, self, name, *subject) for name, subject in subjects.items()}
            return {name: future.result() for name, future in futures.items()}

    def assertCourse(self, run, reference, tolerance=TOLERANCE):
        self.assertEqual(run.history["step"], [str(row["step"]) for row in reference.history])
        for name in ["train_nll", "validation_nll", "learning_rate", "gradient_norm"]:
            expected = [row[name] for row in reference.history]
            self.assertEqual([text == "" for text in run.history[name]], [value is None for value in expected], name)
            self.assertNear([float(text) for text in run.history[name] if text],
                            [value for value in expected if value is not None], tolerance)
        self.assertEqual(run.weights.keys(), reference.weights.keys())
        for name, weights in reference.weights.items():
            self.assertNear(run.weights[name], weights, tolerance)
        self.assertEqual(run.best_step, reference.best_step)
        if run.log_prob is not None:
            self.assertNear(run.log_prob, reference.log_prob, tolerance)

    def assertCourses(self, subjects, tolerance=TOLERANCE):
        for name, run in self.runs(subjects).items():
            with self.subTest(name):
                self.assertCourse(run, run.reference(), tolerance)

    def assertOther(self, run, reference, tolerance=TOLERANCE):
        """The twin of assertCourse()."""
        with self.assertRaises(AssertionError):
            self.assertCourse(run, reference, tolerance)


class Reference(CourseTest):
    def test_optimizers(self):
        moments = {"train.beta1": 0.8, "train.beta2": 0.95, "train.weight_decay": 0.05}
        self.assertCourses({name: (NICE | moments | {"train.optimizer": name}, plain())
                            for name in ["adam", "adamw", "adamax"]})

    def test_learning_rates(self):
        step = {"train.schedule": "step", "train.average": 0.5}
        self.assertCourses({
            "constant": (NICE | {"train.schedule": "constant"}, plain()),
            "cosine_without_warmup": (NICE | {"train.warmup": 0}, plain()),
            "thirds": (NICE | step, plain()),
            "steps": (NICE | step | {"train.step_every": 4, "train.step_factor": 0.5}, plain()),
            "warmup_alone": (NICE | {"train.warmup": 100}, plain())})

    def test_averages_and_clipping(self):
        self.assertCourses({
            "no_average": (REALNVP | {"train.average": 0.0}, plain()),
            "short_average": (REALNVP | {"train.average": 0.6}, plain()),
            "clipped": (RESIDUAL | {"train.clip": 0.3, "train.beta1": 0.5}, plain())})

    def test_validation_and_history(self):
        worse = NICE | {"train.learning_rate": 0.5, "train.average": 0.3, "train.validate_every": 2}
        self.assertCourses({
            "rows_of_several_steps": (NICE | {"output.every": 7, "train.validate_every": 5}, plain()),
            "patience": (worse | {"train.patience": 2}, plain()),
            "no_validation": (NICE | {"output.every": 4}, few(train=100, validation=False)),
            "best_is_not_last": (worse, plain())})

    def test_rows(self):
        self.assertCourses({
            "weighted": (RESIDUAL, weighted()),
            # Some batches have no weight at all.
            "weights_of_zero": (NICE | {"train.batch": 3}, weighted(zero=0.8)),
            "conditional": (REALNVP, conditional()),
            # A workspace that holds some rows of a batch, not all. There is no constant context: its weighted mean has
            # an error of rounding, which Adam would blow up.
            "in_chunks": (REALNVP | {"train.workspace": 0.004}, weighted() | conditional(1)),
            "conditional_residual": (RESIDUAL | {"data.standardize": "unit"}, conditional()),
            "whitened": (PLANAR | {"data.standardize": "whiten"}, weighted()),
            "several_epochs_in_a_batch": (NICE | {"train.batch": 33}, few(train=14)),
            "more_initial_rows": (REALNVP | {"train.batch": 1100, "train.steps": 10}, weighted()),
            "another_seed": (REALNVP | {"train.seed": 2**40 + 3}, plain(3)),
            "reproducible": (REALNVP | {"train.reproducible": True}, plain())})

    def test_ranks(self):
        self.assertCourses({"shares": (REALNVP | {"train.batch": 17}, weighted(), 3),
                            "reproducible_shares": (RESIDUAL | {"train.reproducible": True}, plain(), 2)})

    def test_initial_rows_in_chunks(self):
        # A workspace that holds some hundred rows. The noise of dequantization differs from row to row all the same.
        small = {"model.levels": 8, "data.standardize": "none", "train.workspace": 0.012}
        subjects = {"realnvp": (REALNVP | small, integers()), "planar": (PLANAR | small, integers())}
        for name, run in self.runs(subjects).items():
            self.assertCourse(run, run.reference())
            # The twin: noise that begins anew after 256 rows.
            with mock.patch.object(Flow, "start_from_data", start_in_chunks(256)):
                self.assertOther(run, run.reference())

    def test_chains_and_base_densities(self):
        def chain(*tables):
            return {"model.kind": "chain", "model.chain": list(tables), "log_det.train": "exact"}

        residuals = [{"kind": "residual", "hidden": hidden, "activation": activation, "lipschitz": 0.7}
                     for hidden, activation in [([4], "tanh"), ([3, 2], "elu"), ([4], "softplus"), ([3], "sine")]]
        coupling = {"kind": "coupling", "mask": "odd", "map": "affine", "hidden": [3], "scale_limit": 1.0}
        self.assertCourses({
            "activations": (chain(*residuals), plain()),
            "linear_block": (chain({"kind": "residual", "hidden": []}), plain(3)),
            # Where there are other transforms, places in the chain are what initial weights are drawn for.
            "mixed": (chain({"kind": "actnorm"}, residuals[0], coupling, {"kind": "planar"}, {"kind": "scaling"},
                            residuals[1]), plain(3)),
            "normal": (PLANAR | {"base.kind": "normal"}, plain()),
            "mixture": (NICE | {"base.kind": "mixture", "base.components": 3}, plain())})

    def test_stochastic_log_dets(self):
        subjects = {"series": (RESIDUAL | {"log_det.train": "series:3,probes=2", "train.seed": 3}, plain(3)),
                    # A workspace that holds some rows of a batch, not all.
                    "in_chunks": (RESIDUAL | {"log_det.train": "series:3", "train.workspace": 0.012}, plain(3)),
                    "roulette": (RESIDUAL | {"log_det.train": "roulette:p=0.5"}, plain(3)),
                    "krylov": (RESIDUAL | {"log_det.train": "krylov:2", "model.lipschitz": 0.8}, plain()),
                    "evaluation": (RESIDUAL | {"log_det.evaluate": "roulette:p=0.4"}, plain())}
        self.assertCourses(subjects)

    def test_a_second_try_takes_norms_by_svd(self):
        fast = {"train.schedule": "constant", "train.warmup": 0, "train.average": 0.0, "train.steps": 20,
                "data.standardize": "none", "model.kind": "chain", "log_det.train": "exact", "train.learning_rate": 0.3}
        linear = fast | {"train.beta1": 0.5, "train.beta2": 0.5, "train.seed": 71,
                         "model.chain": [RAW, {"kind": "residual", "hidden": []}]}
        hidden = fast | {"train.beta1": 0.0, "train.beta2": 0.99, "train.seed": 71,
                         "model.chain": [RAW, {"kind": "residual", "hidden": [4]}]}
        subjects = {"linear": (linear, stretched(184, 2)), "hidden": (hidden, stretched(192, 3))}
        for name, run in self.runs(subjects).items():
            with self.subTest(name):
                reference = run.reference()
                self.assertEqual(reference.repeated, 1)
                self.assertCourse(run, reference, AFTER_SECOND_TRY)
                # The twin: a power iteration that goes on instead leaves a block that is no contraction.
                with mock.patch.object(networks.Layer, "prepare", prepare_without_svd):
                    self.assertRaises(NotAContraction, run.reference)


def start_in_chunks(size):
    """start_from_data() of a flow whose draws begin anew after `size` rows."""
    def start(flow, p, x, context):
        draws = streams.Draws(0, 0, [row % size for row in range(len(x))])
        for transform in flow.transforms:
            transform.start_from_data(p, x)
            x, _ = transform.forward(p, x, context, draws, "exact")

    return start


prepare_layer = networks.Layer.prepare


def prepare_without_svd(layer, p, svd):
    """By SVD only before there is a power iteration that could go on."""
    prepare_layer(layer, p, svd=svd and layer.power.sigma == 0)


class Twins(CourseTest):
    """A reference with a mistake is noticed, so that a library with this mistake would be noticed, too."""

    def setUp(self):
        super().setUp()
        settings = RESIDUAL | {"train.clip": 0.5, "train.average": 0.6, "train.weight_decay": 0.01,
                               "log_det.train": "series:3", "train.schedule": "step"}
        self.run_of_all = self.runs({"all": (settings, plain())})["all"]

    def test_other_values_of_keys(self):
        self.assertCourse(self.run_of_all, self.run_of_all.reference())
        for key, value in {"train.optimizer": "adamw", "train.schedule": "constant", "train.step_factor": 0.2,
                           "train.step_every": 5, "train.weight_decay": 0.0, "train.beta1": 0.91, "train.beta2": 0.98,
                           "train.average": 0.0, "train.clip": 0.0, "train.seed": 2, "train.warmup": 6,
                           "train.batch": 17, "model.lipschitz": 0.98}.items():
            with self.subTest(key):
                self.assertOther(self.run_of_all, self.run_of_all.reference(**{key: value}))

    def test_other_courses(self):
        def constant_norm(layer, p):
            return p[layer.weight] * (layer.bound / layer.power.sigma if layer.shrunk else 1)

        def without_step(seed, step, samples):
            return streams.Draws(seed, 0, samples)

        def average_before_the_step(trainer, average, step):
            before, trainer.before = getattr(trainer, "before", average), trainer.p
            decay = min(trainer.options["average"], (1 + step) / (10 + step))
            return {name: decay * average[name] + (1 - decay) * value for name, value in before.items()}

        def without_ramp(trainer, average, step):
            decay = trainer.options["average"]
            return {name: decay * average[name] + (1 - decay) * value for name, value in trainer.p.items()}

        rate = course.learning_rate
        for mistake, (owner, name, replacement) in {
                "the gradient of the spectral norm is left out": (networks.Layer, "effective", constant_norm),
                "draws are the same in every step": (course, "Draws", without_step),
                "the rate is that of the next step": (course, "learning_rate", lambda o, step: rate(o, step + 1)),
                "the average is updated before the step": (course.Trainer, "update_average", average_before_the_step),
                "the average has no ramp": (course.Trainer, "update_average", without_ramp),
                "initialization takes other rows": (streams.BatchOrder, "first", lambda order, count: np.arange(count)),
        }.items():
            with self.subTest(mistake), mock.patch.object(owner, name, replacement):
                self.assertOther(self.run_of_all, self.run_of_all.reference())

        # Batches in the order of the rows, and initial weights of another seed.
        with mock.patch.object(streams, "permutation", lambda seed, purpose, step, n: np.arange(n)):
            self.assertOther(self.run_of_all, self.run_of_all.reference())
        stream = streams.Stream

        def weights_of_another_seed(seed, purpose, *rest):
            return stream(seed + (purpose == streams.PARAMETERS), purpose, *rest)

        with mock.patch.object(streams, "Stream", weights_of_another_seed):
            self.assertOther(self.run_of_all, self.run_of_all.reference())


cases.main()
