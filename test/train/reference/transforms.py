"""Transforms and base densities of small flows, written for clarity, with parameters that may be complex.

Rows x are (…, n, d), parameters are (…, own shape): axes in front are copies of the parameters, each with one number
moved a little along the imaginary axis. So all functions are analytic: no absolute values, no comparisons. Whatever a
derivative holds constant is computed from real parts.

A transform has the names and initial values of its parameters, takes its start from data, and gives z and
log|det ∂z/∂x| of rows. Arrays have the shapes that they have in a model file: a weight is (in, out), and h · weight is
its product.
"""

import numpy as np

from reference import streams
from reference.log_dets import LOG_DETS
from reference.networks import Network, along, softplus


class Transform:
    """A transform without parameters that only the data can give, and without networks."""

    network = None

    def __init__(self, name, place, d, options, seed, key, context):
        self.name, self.place, self.d, self.options, self.seed, self.key = name, place, d, options, seed, key

    def initial(self):
        return {}

    def start_from_data(self, p, x):
        """Overwrites the parameters in p that take their start from rows x."""

    def prepare(self, p, svd):
        if self.network:
            self.network.prepare(p, svd)

    def effective(self, p):
        return self.network.effective(p) if self.network else {}


class ActNorm(Transform):
    def initial(self):
        return {f"{self.name}/log_scale": np.zeros(self.d), f"{self.name}/shift": np.zeros(self.d)}

    def start_from_data(self, p, x):
        p[f"{self.name}/shift"] = x.mean(axis=0)
        constant = (x == x[0]).all(axis=0)
        variance = np.where(constant, 1, ((x - x.mean(axis=0)) ** 2).mean(axis=0))
        p[f"{self.name}/log_scale"] = -0.5 * np.log(variance)

    def forward(self, p, x, context, draws, method):
        log_scale, shift = p[f"{self.name}/log_scale"], p[f"{self.name}/shift"]
        return along(np.exp(log_scale)) * (x - along(shift)), log_scale.sum(axis=-1)[..., None]


class Scaling(Transform):
    def initial(self):
        return {f"{self.name}/log_scale": np.zeros(self.d)}

    def forward(self, p, x, context, draws, method):
        log_scale = p[f"{self.name}/log_scale"]
        return along(np.exp(log_scale)) * x, log_scale.sum(axis=-1)[..., None]


class Elementwise(Transform):
    """The function affine with its default shift and scale, which is the identity."""

    def forward(self, p, x, context, draws, method):
        assert self.options["function"] == "affine"
        return x, np.zeros(x.shape[:-1])


class Dequantize(Transform):
    def forward(self, p, x, context, draws, method):
        levels = self.options["levels"]
        columns = [draws.streams(streams.DEQUANTIZE_DRAW, self.place, i) for i in range(self.d)]
        noise = np.array([[stream.uniform() for stream in column] for column in columns]).T
        return (x + noise) / levels, -self.d * np.log(levels)


class Planar(Transform):
    def initial(self):
        w = streams.Stream(self.seed, streams.PARAMETERS, 0, self.key).normals(self.d) / np.sqrt(self.d)
        # softplus(wᵀu) = 1, where the transform is the identity.
        return {f"{self.name}/u": np.log(np.expm1(1)) * w / (w @ w), f"{self.name}/w": w, f"{self.name}/b": np.zeros(1)}

    def forward(self, p, x, context, draws, method):
        u, w, b = (p[f"{self.name}/{part}"] for part in "uwb")
        product = (u * w).sum(axis=-1, keepdims=True)
        u = u + (softplus(product) - 1 - product) * w / (w * w).sum(axis=-1, keepdims=True)
        t = np.tanh((x * along(w)).sum(axis=-1) + b)
        return x + t[..., None] * along(u), np.log(1 + (1 - t * t) * (u * w).sum(axis=-1, keepdims=True))


class Coupling(Transform):
    """mask even or odd; map additive or affine."""

    def __init__(self, name, place, d, options, seed, key, context):
        super().__init__(name, place, d, options, seed, key, context)
        first = 0 if options["mask"] == "even" else 1
        self.passive, self.active = np.arange(first, d, 2), np.arange(1 - first, d, 2)
        self.per_value = {"additive": 1, "affine": 2}[options["map"]]
        self.network = Network(name, len(self.passive), self.per_value * len(self.active), options, seed, key,
                               context=context)

    def initial(self):
        return self.network.initial()

    def forward(self, p, x, context, draws, method):
        theta, _ = self.network.forward(p, x[..., self.passive], context, jacobian=False)
        z = np.array(np.broadcast_to(x, theta.shape[:-1] + x.shape[-1:]), dtype=theta.dtype)
        if self.per_value == 1:
            z[..., self.active] += theta
            return z, 0.0
        limit = self.options["scale_limit"]
        log_scale = limit * np.tanh(theta[..., 1::2] / limit)
        z[..., self.active] = z[..., self.active] * np.exp(log_scale) + theta[..., 0::2]
        return z, log_scale.sum(axis=-1)


class Residual(Transform):
    """z = x + g(x; context). method: of the log-det."""

    def __init__(self, name, place, d, options, seed, key, context):
        super().__init__(name, place, d, options, seed, key, context)
        self.network = Network(name, d, d, options, seed, key, options["lipschitz"], context)

    def initial(self):
        return self.network.initial()

    def forward(self, p, x, context, draws, method):
        g, jacobian = self.network.forward(p, x, context, jacobian=True)
        kind, _, rest = method.partition(":")
        return x + g, LOG_DETS[kind](jacobian, rest, draws, self.place)


TRANSFORMS = {"actnorm": ActNorm, "scaling": Scaling, "dequantize": Dequantize, "elementwise": Elementwise, "planar": Planar,
              "coupling": Coupling, "residual": Residual}


# Base densities: initial parameters and log p₀(z) of latents z (…, n, d).

def normal(z, mean, log_scale):
    y = (z - mean) * np.exp(-log_scale)
    return (-0.5 * y * y - log_scale - 0.5 * np.log(2 * np.pi)).sum(axis=-1)


class StandardNormal:
    def __init__(self, d, options, seed):
        self.d, self.options, self.seed = d, options, seed

    def initial(self):
        return {}

    def log_prob(self, p, z):
        return normal(z, 0.0, 0.0)


class Normal(StandardNormal):
    def initial(self):
        return {"base/mean": np.zeros(self.d), "base/log_scale": np.zeros(self.d)}

    def log_prob(self, p, z):
        return normal(z, along(p["base/mean"]), along(p["base/log_scale"]))


class Mixture(StandardNormal):
    def initial(self):
        k = self.options["components"]
        mean = np.sqrt(0.5) * streams.Stream(self.seed, streams.PARAMETERS, 1).normals(k, self.d)
        return {"base/logits": np.zeros(k), "base/mean": mean,
                "base/log_scale": np.full((k, self.d), 0.5 * np.log(0.5))}

    def log_prob(self, p, z):
        def component(name):
            return p[name][..., None, :, :]

        logits = along(p["base/logits"])
        parts = logits + normal(z[..., None, :], component("base/mean"), component("base/log_scale"))
        return np.log(np.exp(parts).sum(axis=-1)) - np.log(np.exp(logits).sum(axis=-1))


BASES = {"standard_normal": StandardNormal, "normal": Normal, "mixture": Mixture}
