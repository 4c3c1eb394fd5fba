"""Which option changes what: flow_train's tables for test_options.py.

An option's entry is a change: settings of a short run in which the option matters, another value of it, and the part of
the result that must be another one. An option with two uses has two changes.

A new key, kind or family needs no entry here if another() finds a value that changes the weights of a short run.
"""

import dataclasses

import numpy as np

import flows

# Parts of what a run leaves; see observe() in test_options.py.
WEIGHTS, HISTORY, VALIDATION, FILES, MESSAGES = "weights", "history", "validation", "files", "messages"


def vectors(n=120, d=4):
    return flows.split_rows(d, n)


def integers(n=120, d=4, levels=8):
    return {split: np.clip(np.floor(x), 0, levels - 1) for split, x in vectors(n, d).items()}


# Datasets of the runs: arrays and attributes.
DATA = {
    "vectors": (vectors(), {}),
    "others": (vectors(160), {}),
    "array": ({"rows": flows.rows(4, 120)}, {}),
    "integers": (integers(), {}),
    "classes": (vectors() | {f"context/{split}": np.round(3 * rows[:, 0]) for split, rows in vectors().items()},
                {}),
    "latents": ({split: np.random.default_rng(len(x)).normal(size=x.shape) for split, x in vectors().items()}, {}),
    "unit": ({split: (x + 0.5) / 8 for split, x in integers().items()}, {}),
    "angles": ({split: np.remainder(x, 6) - 3 for split, x in vectors().items()}, {}),
    "circles": ({split: np.stack([np.cos(x[:, 0]), np.sin(x[:, 0])], axis=1) for split, x in vectors().items()}, {}),
    "images": (integers(d=16), {"image_shape": np.array([4, 4, 1])}),
}

SHORT = {"data.file": "vectors.h5", "model.blocks": 2, "model.hidden": [4], "model.precision": "double",
         "train.steps": 12, "train.batch": 32, "train.warmup": 3, "train.learning_rate": 0.02,
         "train.validate_every": 4, "output.every": 1}
RESIDUAL = SHORT | {"model.kind": "residual", "log_det.train": "exact"}
NICE = SHORT | {"model.kind": "nice"}
MAF = SHORT | {"model.kind": "maf"}
SPLINE = SHORT | {"model.kind": "spline"}
IMAGES = RESIDUAL | {"data.file": "images.h5"}
TOY = NICE | {"data.file": "", "data.rows": 200}
ARRAY = NICE | {"data.file": "array.h5:/rows"}
INTEGERS = NICE | {"data.file": "integers.h5", "data.standardize": "none"}
UNIT = NICE | {"data.file": "unit.h5", "data.standardize": "none"}
STEP = NICE | {"train.schedule": "step"}
CONTINUOUS = {key: value for key, value in SHORT.items() if key != "model.blocks"} | {"model.kind": "continuous"}
LIMIT = CONTINUOUS | {"model.density": "continuous"}
UNIFORM = NICE | {"base.kind": "uniform", "base.low": -60.0, "base.high": 60.0}


def another(value, comment):
    """Another value of a key without an entry, or None if there is no other. comment: its line of help. Empty lists and
    free texts need an entry."""
    if "one of " in comment:
        return next((name for name in comment.split("one of ")[1].split(", ") if name != value), None)
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, float):
        return value / 2 or 0.25
    if isinstance(value, list) and value:
        return [*value[:-1], another(value[-1], "")]
    raise LookupError(f"a key with the value {value!r} needs an entry in options.py: {comment}")


@dataclasses.dataclass(frozen=True)
class Change:
    settings: dict
    value: object
    part: str = WEIGHTS


OPTIONS = {
    "data.file": [Change(NICE, "others.h5")],
    "data.toy": [Change(TOY, "moons")],
    "data.rows": [Change(TOY, 300)],
    "data.fractions": [Change(ARRAY, "0.5,0.3,0.2")],
    "data.seed": [Change(TOY, 2), Change(ARRAY, 2)],
    "data.standardize": [Change(NICE, "none"), Change(NICE, "whiten")],
    "data.source": [Change(CONTINUOUS | {"objective.kind": "flow_matching"}, "latents.h5")],
    "data.periodic": [Change(RESIDUAL | {"data.file": "angles.h5"}, ["2"])],
    "data.spheres": [Change(CONTINUOUS | {"data.file": "circles.h5"}, ["1+2"])],
    "model.kind": [Change(SHORT | {"model.kind": "realnvp"}, "spline")],
    "model.blocks": [Change(NICE, 3)],
    "model.hidden": [Change(NICE, [5])],
    "model.kernels": [Change(IMAGES, [1, 3])],
    "model.activation": [Change(NICE, "tanh")],
    "model.lipschitz": [Change(RESIDUAL, 0.5)],
    "model.actnorm": [Change(RESIDUAL, False)],
    "model.map": [Change(MAF, "additive")],
    "model.scale_limit": [Change(MAF, 1.0)],
    "model.bins": [Change(SPLINE, 4)],
    "model.bound": [Change(SPLINE, 2.0)],
    "model.scales": [Change(IMAGES, 1)],
    "objective.kind": [Change(CONTINUOUS, "flow_matching")],
    "model.time": [Change(CONTINUOUS, "gates")],
    "model.solver": [Change(CONTINUOUS, "heun")],
    "model.steps": [Change(CONTINUOUS, 4)],
    "model.density": [Change(CONTINUOUS, "continuous")],
    "model.tolerance": [Change(LIMIT, 1e-13, VALIDATION)],
    "model.max_steps": [Change(LIMIT | {"model.tolerance": 1e-8}, 8, VALIDATION)],
    "train.kinetic_energy": [Change(CONTINUOUS, 0.25)],
    "train.jacobian_norm": [Change(CONTINUOUS, 0.25), Change(LIMIT, 0.25)],
    "model.levels": [Change(INTEGERS, 8), Change(INTEGERS | {"model.levels": 8}, 16)],
    "model.logit": [Change(UNIT, 0.05)],
    "model.precision": [Change(NICE, "float")],
    "base.kind": [Change(NICE, "logistic"), Change(NICE, "normal")],
    "base.components": [Change(NICE | {"base.kind": "mixture"}, 3)],
    "base.low": [Change(UNIFORM, -80.0, HISTORY)],
    "base.high": [Change(UNIFORM, 80.0, HISTORY)],
    "base.degrees_of_freedom": [Change(NICE | {"base.kind": "student_t"}, 8.0)],
    "log_det.train": [Change(RESIDUAL, "series:3")],
    "log_det.evaluate": [Change(RESIDUAL, "series:3", VALIDATION)],
    "train.steps": [Change(NICE, 13)],
    "train.batch": [Change(NICE, 33)],
    "train.optimizer": [Change(NICE, "adamax"), Change(NICE | {"train.weight_decay": 0.1}, "adamw")],
    "train.learning_rate": [Change(NICE, 0.03)],
    "train.schedule": [Change(NICE, "constant"), Change(NICE, "step")],
    "train.warmup": [Change(NICE, 4)],
    "train.step_every": [Change(STEP, 2)],
    "train.step_factor": [Change(STEP, 0.2)],
    "train.beta1": [Change(NICE, 0.8)],
    "train.beta2": [Change(NICE, 0.9)],
    "train.weight_decay": [Change(NICE, 0.1), Change(NICE | {"train.optimizer": "adamax"}, 0.1)],
    # The ramp of the decay reaches 0.5 with step 9.
    "train.average": [Change(NICE, 0.5)],
    "train.clip": [Change(NICE, 0.1)],
    "train.validate_every": [Change(NICE, 5, VALIDATION)],
    "train.patience": [Change(NICE | {"train.learning_rate": 5.0}, 1, HISTORY)],
    # Initial weights, batches, and what is drawn in a step.
    "train.seed": [Change(NICE, 2), Change(NICE | {"train.steps": 1}, 2),
                   Change(RESIDUAL | {"train.batch": 96, "train.steps": 1, "log_det.train": "series:2"}, 2)],
    "train.reproducible": [Change(NICE, True)],
    "train.workspace": [Change(NICE, 0.01, MESSAGES)],
    # What follows faults, times and checkpoints is in test_restart.py.
    "train.on_nonfinite": [], "train.nonfinite_limit": [], "train.back_factor": [], "train.max_time": [],
    "train.hang_timeout": [], "checkpoint.seconds": [], "checkpoint.restart": [],
    "checkpoint.file": [Change(NICE, "other.checkpoint.h5", FILES)],
    "checkpoint.steps": [Change(NICE, 5, FILES)],
    "output.model": [Change(NICE, "other.h5", FILES)],
    "output.history": [Change(NICE, "other.csv", FILES)],
    "output.every": [Change(NICE, 5, HISTORY)],
}

# Options of model.kind that its flows on vectors use. All others are refused.
NETWORKS = {"blocks", "hidden", "activation", "levels", "logit"}
FAMILIES = {
    "residual": NETWORKS | {"lipschitz", "actnorm"},
    "nice": NETWORKS,
    "realnvp": NETWORKS | {"actnorm", "scale_limit"},
    "glow": NETWORKS | {"actnorm", "scale_limit"},
    "spline": NETWORKS | {"actnorm", "bins", "bound"},
    "maf": NETWORKS | {"actnorm", "map", "scale_limit"},
    "iaf": NETWORKS | {"actnorm", "map", "scale_limit"},
    "continuous": {"hidden", "activation", "levels", "logit", "time", "solver", "steps", "density"},
    "planar": {"blocks", "actnorm", "levels", "logit"},
    "radial": {"blocks", "actnorm", "levels", "logit"},
    "chain": set(),
}
# Options that its flows on images use in addition.
IMAGE_FAMILIES = {kind: {"kernels", "scales"} for kind in ["residual", "realnvp", "glow", "spline"]}
VALUES = {"blocks": 3, "hidden": [5], "kernels": [1, 3], "activation": "tanh", "lipschitz": 0.5, "actnorm": False,
          "map": "additive", "scale_limit": 1.0, "bins": 4, "bound": 2.0, "scales": 1, "levels": 8, "logit": 0.05,
          "time": "gates", "solver": "heun", "steps": 4, "density": "continuous", "tolerance": 1e-3}

# Settings of a short run in which an option of flow matching matters, and another value, if another() is not right.
TRANSPORT = CONTINUOUS | {"objective.kind": "flow_matching", "objective.coupling": "optimal_transport"}
SOURCE = CONTINUOUS | {"objective.kind": "flow_matching", "data.source": "latents.h5"}
CLASSES = TRANSPORT | {"data.file": "classes.h5", "objective.coupling_context": "equal"}
OBJECTIVES = {
    "objective.likelihood_steps": Change(CONTINUOUS, 12),
    "objective.unconditional": Change(CONTINUOUS | {"objective.kind": "flow_matching", "data.file": "classes.h5"}, 0.3),
    "objective.regularization": Change(TRANSPORT | {"objective.coupling": "sinkhorn"}, 0.02),
    "objective.coupling_context": Change(CLASSES, "cost"),
    "objective.context_cost": Change(CLASSES | {"objective.coupling_context": "cost"}, 1.0),
    "objective.source_law": Change(SOURCE, "base", VALIDATION),
    "objective.coupling_batch": Change(TRANSPORT, 2),
}

# Options of base.kind. All others are refused.
BASES = {"standard_normal": set(), "normal": set(), "mixture": {"components"}, "uniform": {"low", "high"},
         "student_t": {"degrees_of_freedom"}, "logistic": set()}
BASE_VALUES = {"components": 3, "low": -60.0, "high": 60.0, "degrees_of_freedom": 8.0}


@dataclasses.dataclass(frozen=True)
class TableChange:
    """A change of one key of a table [[model.chain]] that is otherwise like `table`."""

    table: dict
    value: object
    data: str = "vectors.h5"
    part: str = WEIGHTS


COUPLING = {"hidden": [4]}
SPLINES = COUPLING | {"map": "spline"}
LEAKY = {"function": "leaky"}
MAPS = {
    "map": [TableChange(COUPLING, "additive"), TableChange(COUPLING, "spline")],
    "scale_limit": [TableChange(COUPLING, 0.5)],
    "bins": [TableChange(SPLINES, 4)],
    "bound": [TableChange(SPLINES, 2.0)],
    "min_width": [TableChange(SPLINES, 0.05)],
    "min_height": [TableChange(SPLINES, 0.05)],
    "min_derivative": [TableChange(SPLINES, 0.5)],
    "hidden": [TableChange(COUPLING, [5])],
    "activation": [TableChange(COUPLING, "tanh")],
}
# Keys of the transforms' tables, by kind.
TRANSFORMS = {
    "continuous": {
        "hidden": [TableChange(COUPLING, [5])],
        "activation": [TableChange(COUPLING, "tanh")],
        "time": [TableChange(COUPLING, "gates")],
        "solver": [TableChange(COUPLING, "heun")],
        "steps": [TableChange(COUPLING, 4)],
        "density": [TableChange(COUPLING, "continuous")],
        "tolerance": [TableChange(COUPLING | {"density": "continuous"}, 1e-13, part=VALIDATION)],
        "max_steps": [TableChange(COUPLING | {"density": "continuous", "tolerance": 1e-8}, 8, part=VALIDATION)],
    },
    "residual": {
        "hidden": [TableChange(COUPLING, [5])],
        "activation": [TableChange(COUPLING, "tanh")],
        "kernels": [TableChange(COUPLING, [3, 1], "images.h5")],
        "lipschitz": [TableChange(COUPLING, 0.5)],
    },
    "coupling": MAPS | {
        "mask": [TableChange(COUPLING, "odd"), TableChange(COUPLING, "second")],
        "kernels": [TableChange(COUPLING | {"mask": "checkerboard"}, [3, 1], "images.h5")],
    },
    "autoregressive": MAPS | {"inverse": [TableChange(COUPLING, True)]},
    "elementwise": {
        "function": [TableChange({}, "softplus")],
        "columns": [TableChange({"scale": 2.0}, [1])],
        "shift": [TableChange({}, 0.5)],
        "scale": [TableChange({}, 2.0)],
        "slope": [TableChange(LEAKY, 0.3)],
        "margin": [TableChange({"function": "logit"}, 0.05, "unit.h5")],
    },
    "dequantize": {"levels": [TableChange({"levels": 8}, 16, "integers.h5")]},
    "permutation": {
        "order": [TableChange({}, "reverse")],
        "indices": [TableChange({"order": "given", "indices": [1, 0, 2, 3]}, [3, 1, 0, 2])],
    },
    "linear": {
        "form": [TableChange({}, "householder"), TableChange({}, "dense")],
        "bias": [TableChange({}, False)],
        "reflections": [TableChange({"form": "householder"}, 2)],
        "indices": [TableChange({"indices": [1, 0, 2, 3]}, [3, 1, 0, 2])],
        "signs": [TableChange({"indices": [1, 0, 2, 3]}, [1, -1, 1, -1])],
    },
    "split": {"keep": [TableChange({}, 3)]},
}
