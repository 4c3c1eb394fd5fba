"""Transforms and base densities of small flows, written for clarity, with parameters that may be complex.

Rows x are (…, n, d), parameters are (…, own shape): axes in front are copies of the parameters, each with one number
moved a little along the imaginary axis. So all functions are analytic: no absolute values, no comparisons. What a
derivative holds constant is computed from real parts.

A transform has the names and initial values of its parameters, takes its start from data, and gives z and log|det ∂z/∂x|
of rows. Arrays have the shapes that they have in a model file: a weight is (in, out), and h · weight is its product.
"""

import numpy as np

from reference import draws as random
from reference.draws import Stream


def along(vector):
    """A vector of parameters (…, d), to go with rows (…, n, d)."""
    return vector[..., None, :]


def softplus(t):
    return np.log1p(np.exp(t))


def logistic(t):
    return 1 / (1 + np.exp(-t))


def lipswish(a, beta):
    s = logistic(beta * a)
    return a * s / 1.1, (s + beta * a * s * (1 - s)) / 1.1


def tanh(a, _):
    t = np.tanh(a)
    return t, 1 - t * t


def elu(a, _):
    positive = a.real > 0
    e = np.exp(np.where(positive, 0, a))
    return np.where(positive, a, e - 1), np.where(positive, 1, e)


# Value and slope. beta: of lipswish alone.
ACTIVATIONS = {"lipswish": lipswish, "tanh": tanh, "elu": elu, "softplus": lambda a, _: (softplus(a), logistic(a)),
               "sine": lambda a, _: (np.sin(a), np.cos(a))}


class PowerIteration:
    """The largest singular value of a matrix W (out, in), from below, with vectors that are kept from call to call."""

    def __init__(self, out, inn, stream):
        self.u, self.v, self.sigma = stream.normals(out), stream.normals(inn), 0.0
        self.u /= np.linalg.norm(self.u)
        self.v /= np.linalg.norm(self.v)

    def update(self, w, tolerance, iterations):
        for _ in range(iterations):
            v = w.T @ self.u
            if not np.linalg.norm(v) > 0:
                self.sigma = 0.0
                return
            v /= np.linalg.norm(v)
            u = w @ v
            sigma = np.linalg.norm(u)
            if not sigma > 0:
                self.sigma = 0.0
                return
            self.u, self.v = u / sigma, v
            settled = abs(sigma - self.sigma) <= tolerance * sigma
            self.sigma = sigma
            if settled:
                return


class Layer:
    """h · Ŵ + b, Ŵ = W · min(1, c/σ(W)). bound: c, or None for weights that are not normalized."""

    def __init__(self, name, inn, out, bound, start):
        self.weight, self.bias, self.inn, self.out, self.bound = f"{name}/weight", f"{name}/bias", inn, out, bound
        self.power, self.shrunk = PowerIteration(out, inn, start), False

    def initial(self, stream, zero):
        scale = 0.0 if zero else 1 / np.sqrt(self.inn)
        return {self.weight: scale * stream.normals(self.inn, self.out),
                self.bias: scale * (2 * stream.uniforms(self.out) - 1)}

    def prepare(self, p, svd):
        """Decides whether the weight is to be shrunk: by its norm, or in a training step by a power iteration."""
        if self.bound is None:
            return
        w = p[self.weight].T
        if not svd:
            self.power.update(w, 1e-4, 100)
            self.shrunk = self.power.sigma > self.bound
            return
        norm = np.linalg.norm(w, 2)
        self.shrunk = norm > self.bound
        if self.shrunk:
            self.power.update(w, 4 * np.finfo(float).eps, 1000)
            self.power.sigma = norm

    def effective(self, p):
        """Ŵ. Its derivative takes σ = uᵀWv with constant u and v."""
        w = p[self.weight]
        if not self.shrunk:
            return w
        along_vectors = ((w @ self.power.u) @ self.power.v)[..., None, None]
        sigma = self.power.sigma + (along_vectors - along_vectors.real)
        return w * (self.bound / sigma)


class Network:
    """Dense layers with an activation between them. context: width of what it is conditioned on."""

    def __init__(self, name, inn, out, options, seed, key, bound=None, context=0):
        widths = [inn, *options["hidden"], out]
        self.name, self.seed, self.key, self.context = name, seed, key, context
        self.activation = options["activation"]
        depth = len(widths) - 1
        self.layers = [Layer(f"{name}/layer_{l}", widths[l], widths[l + 1], bound and bound ** (1 / depth),
                             Stream(seed, random.POWER_START, 0, key, l)) for l in range(depth)]

    def initial(self):
        stream, parameters = Stream(self.seed, random.PARAMETERS, 0, self.key), {}
        for layer in self.layers:
            last = layer is self.layers[-1]
            parameters |= layer.initial(stream, zero=last)
            if not last and self.activation == "lipswish":
                parameters[layer.weight.replace("weight", "log_beta")] = np.zeros(1)
        if self.context:
            scale = 0.0 if len(self.layers) == 1 else 1 / np.sqrt(self.context)
            parameters[f"{self.name}/layer_0/context"] = scale * stream.normals(self.context, self.layers[0].out)
        return parameters

    def prepare(self, p, svd):
        for layer in self.layers:
            layer.prepare(p, svd)

    def effective(self, p):
        return {layer.weight: layer.effective(p) for layer in self.layers}

    def forward(self, p, x, context, jacobian):
        """g(x; context) and its Jacobian (…, n, d, out), row j along x_j, or None."""
        h, tangents = x, np.eye(x.shape[-1]) if jacobian else None
        for l, layer in enumerate(self.layers):
            weight = layer.effective(p)
            h = h @ weight + along(p[layer.bias])
            if l == 0 and self.context:
                h = h + context @ p[f"{self.name}/layer_0/context"]
            if jacobian:
                tangents = tangents @ (weight if l == 0 else weight[..., None, :, :])
                if l == 0:
                    tangents = tangents[..., None, :, :]
            if l + 1 < len(self.layers):
                beta = p.get(layer.weight.replace("weight", "log_beta"))
                h, slope = ACTIVATIONS[self.activation](h, None if beta is None else np.exp(along(beta)))
                tangents = tangents * slope[..., None, :] if jacobian else None
        if jacobian:
            tangents = np.broadcast_to(tangents, h.shape[:-1] + tangents.shape[-2:])
        return h, tangents


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


class Dequantize(Transform):
    def forward(self, p, x, context, draws, method):
        levels = self.options["levels"]
        noise = np.array([[s.uniform() for s in streams] for streams in
                          zip(*[draws.streams(random.DEQUANTIZE_DRAW, self.place, i) for i in range(self.d)])])
        return (x + noise) / levels, -self.d * np.log(levels)


class Planar(Transform):
    def initial(self):
        w = Stream(self.seed, random.PARAMETERS, 0, self.key).normals(self.d) / np.sqrt(self.d)
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


TRANSFORMS = {"actnorm": ActNorm, "scaling": Scaling, "dequantize": Dequantize, "planar": Planar,
              "coupling": Coupling, "residual": Residual}


# Log-determinants of I + J. jacobian: (…, n, d, d), row j along x_j, so v ↦ v · jacobian is J v.

class NotAContraction(Exception):
    """det(I + J) ≤ 0."""


def exact(jacobian, arguments, draws, place):
    determinant = np.linalg.det(np.eye(jacobian.shape[-1]) + jacobian)
    if not (determinant.real > 0).all():
        raise NotAContraction
    return np.log(determinant)


def probes_of(jacobian, count, draws, place):
    """(count, n, d)"""
    return np.array([[s.signs(jacobian.shape[-1]) for s in draws.streams(random.PROBE, place, m)] for m in range(count)])


def product(v, jacobian):
    """J v of vectors v (…, n, d)."""
    return (v[..., None, :] @ jacobian)[..., 0, :]


def series(jacobian, arguments, draws, place):
    """Σₖ (−1)ᵏ⁺¹/k vᵀJᵏv, k ≤ N, the mean over probes."""
    terms, _, probes = arguments.partition(",probes=")
    total = 0
    probes = probes_of(jacobian, int(probes or 1), draws, place)
    for v in probes:
        power = v
        for k in range(1, int(terms) + 1):
            power = product(power, jacobian)
            total = total + (-1) ** (k + 1) / k * (v * power).sum(axis=-1)
    return total / len(probes)


def with_pair(value, u, jacobian, v):
    """A value whose derivative is that of uᵀJv with constant u and v."""
    moved = (u * product(v, jacobian - jacobian.real)).sum(axis=-1)
    return value + moved


def roulette(jacobian, arguments, draws, place):
    """A series whose length is 2 and a geometric number N more; its terms k > 2 have weight 1/P(N ≥ k − 2)."""
    p = float(arguments.removeprefix("p="))
    [v], real = probes_of(jacobian, 1, draws, place), jacobian.real
    uniform = np.array([s.uniform() for s in draws.streams(random.ROULETTE, place)])
    lengths = 1 + np.floor(np.log(uniform) / np.log1p(-p))
    value, u, power = 0, 0, v  # power: (Jᵀ)ᵏv
    for k in range(1, int(lengths.max()) + 3):
        weight = np.ones(len(v)) if k <= 2 else np.where(lengths >= k - 2, (1 - p) ** (3.0 - k), 0)
        weight = (-1) ** (k + 1) * weight
        u = u + weight[:, None] * power
        power = product(power, np.swapaxes(real, -1, -2))
        value = value + weight / k * (v * power).sum(axis=-1)
    return with_pair(value, u, jacobian, v)


def krylov(jacobian, arguments, draws, place):
    """vᵀ log(I + J) v where there are as many Arnoldi steps as dimensions; its gradient by u = (I + J)⁻ᵀ v."""
    d = jacobian.shape[-1]
    assert int(arguments) == d
    [v], real = probes_of(jacobian, 1, draws, place), jacobian.real
    value, power = 0, v
    for k in range(1, 200):
        power = product(power, real)
        value = value + (-1) ** (k + 1) / k * (v * power).sum(axis=-1)
    u = np.linalg.solve(np.eye(d) + real, np.broadcast_to(v, real.shape[:-1])[..., None])[..., 0]
    return with_pair(value, u, jacobian, v)


LOG_DETS = {"exact": exact, "series": series, "roulette": roulette, "krylov": krylov}


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
        mean = np.sqrt(0.5) * Stream(self.seed, random.PARAMETERS, 1).normals(k, self.d)
        return {"base/logits": np.zeros(k), "base/mean": mean, "base/log_scale": np.full((k, self.d), 0.5 * np.log(0.5))}

    def log_prob(self, p, z):
        def component(name):
            return p[name][..., None, :, :]

        logits = along(p["base/logits"])
        parts = logits + normal(z[..., None, :], component("base/mean"), component("base/log_scale"))
        return np.log(np.exp(parts).sum(axis=-1)) - np.log(np.exp(logits).sum(axis=-1))


BASES = {"standard_normal": StandardNormal, "normal": Normal, "mixture": Mixture}
