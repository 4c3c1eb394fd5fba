#!/usr/bin/python3
"""Evaluates log p of rows from a model file alone, by the schema in data/README.md, with h5py and numpy.

  examples/model_density.py MODEL.h5 DATA.h5:PATH [--compare DENSITY.h5]

Prints the mean NLL in nats; with --compare also the largest difference to the /log_prob that flow_density wrote for the
same rows, and fails where it is beyond 1e-10 relative to 1 + |log p|.
"""

import argparse
import sys

import h5py
import numpy as np


def logistic(a):
    return 0.5 * (1 + np.tanh(0.5 * a))


# Value and derivative of each activation; beta is lipswish's slope.
def lipswish(a, beta):
    s = logistic(beta * a)
    return a * s / 1.1, (s + beta * a * s * (1 - s)) / 1.1


ACTIVATIONS = {
    "lipswish": lipswish,
    "tanh": lambda a, _: (np.tanh(a), 1 - np.tanh(a) ** 2),
    "elu": lambda a, _: (np.where(a > 0, a, np.expm1(np.minimum(a, 0))), np.exp(np.minimum(a, 0))),
    "softplus": lambda a, _: (np.logaddexp(0, a), logistic(a)),
    "relu": lambda a, _: (np.maximum(a, 0), (a > 0).astype(float)),
    "sine": lambda a, _: (np.sin(a), np.cos(a)),
}


def double(dataset):
    return np.asarray(dataset, dtype=np.float64)


def residual(group, x):
    """z = x + g(x) and log|det(I + J)|, rows of x one by one; tangents[i, j] is the derivative along x_j."""
    n, d = x.shape
    activation = ACTIVATIONS[group.attrs["activation"]]
    h, tangents = x, np.broadcast_to(np.eye(d), (n, d, d))
    layers = int(group.attrs["layers"])
    for l in range(layers):
        layer = group[f"layer_{l}"]
        weight = double(layer["weight"])  # (in, out)
        a, tangents = h @ weight + double(layer["bias"]), tangents @ weight
        if l + 1 == layers:
            h = a
            continue
        beta = np.exp(double(layer["log_beta"])[0]) if "log_beta" in layer else None
        h, slope = activation(a, beta)
        tangents = tangents * slope[:, None, :]
    return x + h, np.linalg.slogdet(np.eye(d) + tangents)[1]


def actnorm(group, x):
    log_scale = double(group["log_scale"])
    return np.exp(log_scale) * (x - double(group["shift"])), log_scale.sum()


TRANSFORMS = {"residual": residual, "actnorm": actnorm}


def log_prob(model, x):
    """log p of the rows of x (n, d) in nats, in the units of the data."""
    standardization = model["standardization"]
    factor = double(standardization["factor"])  # lower triangular
    z = np.linalg.solve(factor, (x - double(standardization["mean"])).T).T
    total = np.full(len(x), -np.log(np.diag(factor)).sum())
    transforms = model["flow/transforms"]
    for name in sorted(transforms):
        z, log_det = TRANSFORMS[transforms[name].attrs["kind"]](transforms[name], z)
        total += log_det
    return total - 0.5 * (z**2).sum(axis=1) - 0.5 * z.shape[1] * np.log(2 * np.pi)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("data", help="DATA.h5:PATH, an array (N, d)")
    parser.add_argument("--compare", help="what flow_density wrote for the same rows")
    options = parser.parse_args()
    file, _, path = options.data.rpartition(":")
    with h5py.File(options.model) as model, h5py.File(file) as data:
        rows = data[path]
        values = np.concatenate([log_prob(model, double(rows[i : i + 1000])) for i in range(0, len(rows), 1000)])
    print(f"mean NLL {-values.mean():.10f} nats, {len(values)} rows")
    if options.compare:
        with h5py.File(options.compare) as result:
            worst = np.max(np.abs(values - result["log_prob"][:]) / (1 + np.abs(values)))
        print(f"largest relative difference to {options.compare}: {worst:.2e}")
        return 0 if worst <= 1e-10 else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
