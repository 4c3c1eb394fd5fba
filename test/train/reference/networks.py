"""Dense networks with normalized weights, and their Jacobians. Shapes are those of transforms.py."""

import numpy as np

from reference import streams


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
                             streams.Stream(seed, streams.POWER_START, 0, key, l)) for l in range(depth)]

    def initial(self):
        stream, parameters = streams.Stream(self.seed, streams.PARAMETERS, 0, self.key), {}
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
