"""Functions of single values, from the section "Model" of data/README.md: the functions of elementwise transforms,
and the scalar maps of couplings and autoregressive transforms.

Each gives its value and the logarithm of its slope. All arguments are arrays of the same shape; θ has one more axis.
"""

import numpy as np


def logistic(a):
    return 0.5 * (1 + np.tanh(0.5 * a))


def softplus(a):
    return np.logaddexp(0, a)


def wrap(angle):
    """Takes angles to [−π, π). An angle that is there already does not change."""
    inside = (angle >= -np.pi) & (angle < np.pi)
    return np.where(inside, angle, np.remainder(angle + np.pi, 2 * np.pi) - np.pi)


# Functions of elementwise transforms: f(u) and log f′(u) for u in the domain of f. o: the attributes; leaky uses the
# slope, sigmoid and logit use the margin.
def leaky(u, o):
    return np.where(u < 0, o["slope"] * u, u), np.where(u < 0, np.log(o["slope"]), 0)


def inverse_softplus(u, _):
    log_slope = -np.log(-np.expm1(-u))  # the slope is 1/(1 − e⁻ᵘ)
    return u - log_slope, log_slope


def sigmoid(u, o):
    width = 1 - 2 * o["margin"]
    return (logistic(u) - o["margin"]) / width, -softplus(u) - softplus(-u) - np.log(width)


def logit(u, o):
    width = 1 - 2 * o["margin"]
    y, rest = o["margin"] + width * u, o["margin"] + width * (1 - u)
    return np.log(y) - np.log(rest), np.log(width) - np.log(y) - np.log(rest)


FUNCTIONS = {
    "affine": lambda u, _: (u, np.zeros_like(u)),
    "leaky": leaky,
    "cube": lambda u, _: (u**3, np.log(3 * u**2)),
    "cube_root": lambda u, _: (np.cbrt(u), -np.log(3 * np.cbrt(u) ** 2)),
    "exp": lambda u, _: (np.exp(u), u),
    "log": lambda u, _: (np.log(u), -np.log(u)),
    "softplus": lambda u, _: (softplus(u), -softplus(-u)),
    "inverse_softplus": inverse_softplus,
    "tanh": lambda u, _: (np.tanh(u), 2 * (np.log(2) - np.logaddexp(u, -u))),
    "atanh": lambda u, _: (np.arctanh(u), -np.log1p(-u) - np.log1p(u)),
    "sigmoid": sigmoid,
    "logit": logit,
}


def domain(function, margin):
    """Gives the open interval on which a function is defined."""
    beyond = margin / (1 - 2 * margin)
    return {"log": (0, np.inf), "inverse_softplus": (0, np.inf), "atanh": (-1, 1),
            "logit": (-beyond, 1 + beyond)}.get(function, (-np.inf, np.inf))


# Scalar maps z = τ(x; θ) of n values, with their inverses. x: (n); theta: (n, m); o: the attributes of the transform.
def additive(x, theta, _, inverse):
    return x - theta[:, 0] if inverse else x + theta[:, 0], np.zeros_like(x)


def rotation(x, theta, o, inverse):
    z, log_slope = additive(x, theta, o, inverse)
    return wrap(z), log_slope


def affine(x, theta, o, inverse):
    s = o["scale_limit"] * np.tanh(theta[:, 1] / o["scale_limit"])
    return ((x - theta[:, 0]) * np.exp(-s), -s) if inverse else (x * np.exp(s) + theta[:, 0], s)


def knots(raw, least, bound):
    """Gives (n, K + 1) places of knots on [−bound, bound], from raw (n, K)."""
    share = np.exp(raw - raw.max(axis=1, keepdims=True))
    share /= share.sum(axis=1, keepdims=True)
    lengths = 2 * bound * (least + (1 - raw.shape[1] * least) * share)
    at = np.concatenate([np.zeros((len(raw), 1)), np.cumsum(lengths, axis=1)], axis=1) - bound
    at[:, -1] = bound
    return at


def rational_quadratic(x, widths, heights, slopes, inverse):
    """Evaluates the spline through knots (widths, heights), each (n, K + 1), with these slopes at the knots."""
    of = heights if inverse else widths
    k = np.clip((of[:, 1:-1] <= x[:, None]).sum(axis=1), 0, of.shape[1] - 2)
    row = np.arange(len(x))
    x_k, y_k, left, right = widths[row, k], heights[row, k], slopes[row, k], slopes[row, k + 1]
    w, h = widths[row, k + 1] - x_k, heights[row, k + 1] - y_k
    s = h / w
    if inverse:  # the root in [0, 1] of a quadratic in u
        y = x - y_k
        bend = y * (left + right - 2 * s)
        a, b, c = h * (s - left) + bend, h * left - bend, -s * y
        u = 2 * c / (-b - np.sqrt(b * b - 4 * a * c))
    else:
        u = (x - x_k) / w
    v = 1 - u
    denominator = s * (u**2 + v**2) + (left + right) * u * v
    log_slope = np.log(s**2 * (right * u**2 + 2 * s * u * v + left * v**2) / denominator**2)
    if inverse:
        return x_k + w * u, -log_slope
    return y_k + h * (s * u**2 + left * u * v) / denominator, log_slope


def slopes_of(raw, o):
    return o["min_derivative"] + softplus(raw + np.log(np.expm1(1 - o["min_derivative"])))


def spline(x, theta, o, inverse):
    bins, bound = int(o["bins"]), o["bound"]
    widths = knots(theta[:, :bins], o["min_width"], bound)
    heights = knots(theta[:, bins : 2 * bins], o["min_height"], bound)
    ends = np.ones((len(x), 1))
    slopes = np.concatenate([ends, slopes_of(theta[:, 2 * bins : 3 * bins - 1], o), ends], axis=1)
    inside = np.abs(x) < bound
    z, log_slope = rational_quadratic(np.where(inside, x, 0), widths, heights, slopes, inverse)
    return np.where(inside, z, x), np.where(inside, log_slope, 0)


def circular_spline(x, theta, o, inverse):
    bins = int(o["bins"])
    widths = knots(theta[:, :bins], o["min_width"], np.pi)
    heights = knots(theta[:, bins : 2 * bins], o["min_height"], np.pi)
    slopes = slopes_of(theta[:, 2 * bins : 3 * bins], o)
    slopes = np.concatenate([slopes, slopes[:, :1]], axis=1)
    shift = theta[:, 3 * bins]
    at = wrap(x if inverse else x + shift)
    z, log_slope = rational_quadratic(at, widths, heights, slopes, inverse)
    return wrap(z - shift if inverse else z), log_slope


def map_of(o, is_angle):
    """Gives the scalar map of a value and the number of its parameters. o: the attributes of the transform."""
    bins = int(o["bins"])
    maps = {"spline": (circular_spline, 3 * bins + 1), "additive": (rotation, 1)} if is_angle else {
        "spline": (spline, 3 * bins - 1), "additive": (additive, 1), "affine": (affine, 2)}
    return maps[o["map"]]
