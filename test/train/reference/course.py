"""The course of a training run, from its configuration and data alone: history, and the weights that are kept.

Nothing here is taken from the library. Gradients are by complex steps, exact up to rounding.
"""

import dataclasses

import numpy as np

from reference.streams import BatchOrder, Draws
from reference.flow import STEP, Flow, nudged, split
from reference.log_dets import NotAContraction

INITIAL_ROWS = 1024  # from which parameters take their start, at least


# Objectives: (flow, parameters, batch) ↦ Σ w·loss and Σ w over the batch, of which training reduces the quotient.

def negative_log_likelihood(flow, p, batch):
    log_prob = flow.log_prob(p, batch.x, batch.context, batch.draws, batch.method)
    return (batch.weight * -log_prob).sum(axis=-1), batch.weight.sum()


# Optimizers: a step's change of the parameters x, from the gradient g. state: begins as {}.

def adam(state, options, rate, g, x, decoupled=False):
    decay = options["weight_decay"]
    if not decoupled:
        g = g + decay * x
    t = state["t"] = state.get("t", 0) + 1
    beta1, beta2 = options["beta1"], options["beta2"]
    m = state["m"] = beta1 * state.get("m", 0) + (1 - beta1) * g
    v = state["v"] = beta2 * state.get("v", 0) + (1 - beta2) * g * g
    step = rate * (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + 1e-8)
    return -step - (rate * decay * x if decoupled else 0)


def adamw(state, options, rate, g, x):
    return adam(state, options, rate, g, x, decoupled=True)


def adamax(state, options, rate, g, x):
    g = g + options["weight_decay"] * x
    t = state["t"] = state.get("t", 0) + 1
    m = state["m"] = options["beta1"] * state.get("m", 0) + (1 - options["beta1"]) * g
    u = state["u"] = np.maximum(options["beta2"] * state.get("u", 0 * g), abs(g))
    return -rate / (1 - options["beta1"] ** t) * m / (u + 1e-8)


OPTIMIZERS = {"adam": adam, "adamw": adamw, "adamax": adamax}


def learning_rate(options, step):
    """The rate of step 0, 1, … The warm-up ends with the run, if not before."""
    top, warmup = options["learning_rate"], min(options["warmup"], options["steps"])
    length = options["steps"] - warmup
    if step < warmup:
        return top * (step + 1) / warmup
    if options["schedule"] == "cosine":
        return top * (1 + np.cos(np.pi * (step - warmup) / length)) / 2
    if options["schedule"] == "step":
        every = options["step_every"] or -(-length // 3)
        return top * options["step_factor"] ** ((step - warmup) // every)
    assert options["schedule"] == "constant"
    return top


# Standardization.

class Standardization:
    """z = L⁻¹(x − mean), L by the weighted moments of the training rows."""

    def __init__(self, kind, x, weight, constant_columns=False):
        d = x.shape[1]
        self.mean, self.factor = np.zeros(d), np.eye(d)
        if kind == "none":
            return
        if kind == "unit":
            mean = np.average(x, axis=0, weights=weight)
            self.factor *= np.sqrt(np.average((x - mean) ** 2, axis=0, weights=weight).mean())
            self.log_det = -np.log(np.diag(self.factor)).sum()
            return
        self.mean = np.average(x, axis=0, weights=weight)
        covariance = np.cov(x.T, aweights=weight, bias=True).reshape(d, d)
        self.factor = np.linalg.cholesky(covariance) if kind == "whiten" else np.diag(np.sqrt(np.diag(covariance)))
        if constant_columns:
            constant = (x == x[0]).all(axis=0)
            self.factor[constant, constant] = 1
        self.log_det = -np.log(np.diag(self.factor)).sum()

    log_det = 0.0

    def __call__(self, x):
        return np.linalg.solve(self.factor, (x - self.mean).T).T


@dataclasses.dataclass
class Batch:
    """Rows x (n, d) with their weights (n), contexts (n, c), and what a pass over them draws."""

    x: np.ndarray
    weight: np.ndarray
    context: np.ndarray
    draws: Draws = None
    method: str = "exact"  # of log-determinants


@dataclasses.dataclass
class Course:
    """The result of a run."""

    history: list  # rows as dictionaries
    weights: dict  # normalized
    best_step: int
    repeated: int  # steps that were taken again, with norms by SVD
    log_prob: np.ndarray  # of the test rows, by the exact log-det, or None without such rows


class Trainer:
    """config: tables data, model, base, log_det, train, output. data: arrays by path of a dataset file."""

    def __init__(self, config, data, objective=negative_log_likelihood):
        self.config, self.options, self.objective = config, config["train"], objective
        kind, ones = config["data"]["standardize"], np.ones(len(data["train"]))
        weight = data.get("weight/train", ones)
        self.standardization = Standardization(kind, data["train"], weight)
        contexts = "none" if kind == "none" else "scale"
        width = data["context/train"].shape[1] if "context/train" in data else 0
        if width:
            scale_context = Standardization(contexts, data["context/train"], weight, constant_columns=True)
        self.data = {}
        for name in ["train", "validation", "test"]:
            if name not in data:
                continue
            x = data[name]
            self.data[name] = Batch(self.standardization(x), np.asarray(data.get(f"weight/{name}", np.ones(len(x)))),
                                    scale_context(data[f"context/{name}"]) if width else np.zeros((len(x), 0)))
        d = data["train"].shape[1]
        self.flow, self.order = Flow(config, d, width), BatchOrder(self.options["seed"], len(data["train"]))
        self.average = Flow(config, d, width)  # for its normalized weights
        self.p = self.flow.initial()
        self.flow.prepare(self.p, svd=True)
        rows = self.order.first(min(len(data["train"]), max(INITIAL_ROWS, self.options["batch"])))
        self.flow.start_from_data(self.p, self.data["train"].x[rows], self.data["train"].context[rows])
        self.state = {}

    def batch(self, step):
        rows, train = self.order.batch(step, self.options["batch"]), self.data["train"]
        return Batch(train.x[rows], train.weight[rows], train.context[rows],
                     Draws(self.options["seed"], step, rows), self.config["log_det"]["train"])

    def loss_and_gradient(self, batch):
        loss, weight = self.objective(self.flow, nudged(self.p), batch)
        # A batch whose weights are all 0 says nothing.
        scale = 1 / weight if weight > 0 else 0
        return loss[0].real * scale, loss.imag / STEP * scale

    def step(self, step):
        """The loss and the norm of its gradient before clipping, of a step that is taken."""
        self.flow.prepare(self.p, svd=False)
        batch = self.batch(step)
        try:
            loss, gradient = self.loss_and_gradient(batch)
        except NotAContraction:
            self.flow.prepare(self.p, svd=True)
            loss, gradient = self.loss_and_gradient(batch)
            self.repeated += 1
        norm, clip = np.linalg.norm(gradient), self.options["clip"]
        if clip and norm > clip:
            gradient = gradient * (clip / norm)
        x = np.concatenate([value.ravel() for value in self.p.values()])
        rate = learning_rate(self.options, step)
        x = x + OPTIMIZERS[self.options["optimizer"]](self.state, self.options, rate, gradient, x)
        self.p = split(x, self.p)
        return loss, norm

    def log_prob(self, p, split, method):
        """log p of the rows of a split in the data's units. They draw the same in every call."""
        self.average.prepare(p, svd=True)
        draws = Draws(0, 0, range(len(split.x)))
        return self.average.log_prob(p, split.x, split.context, draws, method) + self.standardization.log_det

    def validate(self, p):
        held = self.data["validation"]
        return np.average(-self.log_prob(p, held, self.config["log_det"]["evaluate"]), weights=held.weight)

    def update_average(self, average, step):
        """The average after a step is that before it, moved towards the weights after it."""
        decay = min(self.options["average"], (1 + step) / (10 + step))
        return {name: decay * average[name] + (1 - decay) * value for name, value in self.p.items()}

    def run(self):
        options, history, losses = self.options, [], []
        interval = options["validate_every"] or max(1, options["steps"] // 20)
        average, best, best_nll, best_step, waited = dict(self.p), None, np.inf, 0, 0
        self.repeated = 0
        for step in range(options["steps"]):
            loss, norm = self.step(step)
            losses.append(loss)
            average = self.update_average(average, step)
            done, last = step + 1, step + 1 == options["steps"]
            validation = None
            if "validation" in self.data and (done % interval == 0 or last):
                validation = self.validate(average)
                waited += 1
                if validation < best_nll:
                    best, best_nll, best_step, waited = average, validation, done, 0
            if validation is not None or last or done % self.config["output"]["every"] == 0:
                history.append({"step": done, "train_nll": np.mean(losses) - self.standardization.log_det,
                                "validation_nll": validation, "learning_rate": learning_rate(options, step),
                                "gradient_norm": norm})
                losses = []
            if options["patience"] and waited >= options["patience"]:
                break
        if best is None:
            best, best_step = average, done
        log_prob = self.log_prob(best, self.data["test"], "exact") if "test" in self.data else None
        self.average.prepare(best, svd=True)
        return Course(history, self.average.effective(best), best_step, self.repeated, log_prob)
