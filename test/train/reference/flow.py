"""A flow: a chain of transforms and a base density, built from a configuration."""

import numpy as np

from reference.streams import Draws
from reference.transforms import BASES, TRANSFORMS

# Values of keys that a table [[model.chain]] leaves out.
DEFAULTS = {"hidden": [128, 128], "activation": "lipswish", "lipschitz": 0.99, "map": "affine", "scale_limit": 3.0}


def chain_of(model):
    """The transforms of a configuration's table `model`: (kind, options) each."""
    activation = "lipswish" if model["activation"] == "auto" else model["activation"]
    network = {"hidden": model["hidden"], "activation": activation, "lipschitz": model["lipschitz"],
               "scale_limit": model["scale_limit"]}
    norm = [("actnorm", {})] if model["actnorm"] else []

    def couplings(kind, before):
        masks = ["even" if b % 2 == 0 else "odd" for b in range(model["blocks"])]
        return [step for mask in masks for step in [*before, ("coupling", network | {"mask": mask, "map": kind})]]

    levels = [("dequantize", {"levels": model["levels"]})] if model["levels"] else []
    if model["kind"] == "residual":
        return levels + model["blocks"] * [*norm, ("residual", network)] + norm
    if model["kind"] == "realnvp":
        return levels + couplings("affine", norm) + norm
    if model["kind"] == "nice":
        return levels + couplings("additive", []) + [("scaling", {})]
    if model["kind"] == "planar":
        return levels + norm + model["blocks"] * [("planar", {})] + norm
    assert model["kind"] == "chain"
    return [(table["kind"], DEFAULTS | table) for table in model["chain"]]


def keys_of(chain):
    """Each transform's initial weights are drawn for a number of its own: its place in the chain. If a chain has only
    ActNorms and residual blocks, the residual blocks alone are counted."""
    kinds = [kind for kind, _ in chain]
    if set(kinds) <= {"actnorm", "residual"}:
        return [kinds[:k].count("residual") for k in range(len(kinds))]
    return range(len(kinds))


class Flow:
    def __init__(self, config, d, context):
        chain, seed = chain_of(config["model"]), config["train"]["seed"]
        self.d = d
        self.transforms = [TRANSFORMS[kind](f"transforms/{place:03d}", place, d, options, seed, key, context)
                           for place, ((kind, options), key) in enumerate(zip(chain, keys_of(chain)))]
        self.base = BASES[config["base"]["kind"]](d, config["base"], seed)

    def initial(self):
        parameters = {}
        for part in [*self.transforms, self.base]:
            parameters |= part.initial()
        return parameters

    def prepare(self, p, svd):
        """Norms of weights: by SVD, or by the power iterations of a training step."""
        for transform in self.transforms:
            transform.prepare(p, svd)

    def start_from_data(self, p, x, context):
        """Gives each transform in turn what arrives there of rows x."""
        draws = Draws(0, 0, range(len(x)))
        for transform in self.transforms:
            transform.start_from_data(p, x)
            transform.prepare(p, svd=True)
            x, _ = transform.forward(p, x, context, draws, "exact")

    def effective(self, p):
        """Parameters with normalized weights: what a model file holds."""
        p = dict(p)
        for transform in self.transforms:
            p |= transform.effective(p)
        return p

    def log_prob(self, p, x, context, draws, method):
        """log p of rows x (n, d): (…, n) for parameters (…, own shape)."""
        total = 0
        for transform in self.transforms:
            x, log_det = transform.forward(p, x, context, draws, method)
            total = total + log_det
        return total + self.base.log_prob(p, x)


def nudged(p):
    """Copies of parameters p along a new first axis, one for each number among them, which is moved by i·step there.
    The derivative by that number is the imaginary part of what follows, divided by the step."""
    count, at, copies = sum(value.size for value in p.values()), 0, {}
    for name, value in p.items():
        copy = np.tile(value.astype(complex).ravel(), (count, 1))
        copy[np.arange(at, at + value.size), np.arange(value.size)] += 1j * STEP
        copies[name] = copy.reshape(count, *value.shape)
        at += value.size
    return copies


STEP = 1e-100  # no difference is taken, so that it may be as small as one likes


def split(gradient, p):
    """A flat gradient as arrays like those of p."""
    parts, at = {}, 0
    for name, value in p.items():
        parts[name] = gradient[at : at + value.size].reshape(value.shape)
        at += value.size
    return parts
