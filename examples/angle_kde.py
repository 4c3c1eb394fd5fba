#!/usr/bin/python3
"""Mean NLL of a dataset of angles under a kernel density estimate: what a flow on the torus has to beat.

  examples/angle_kde.py DATA.h5

The kernel is a product of von Mises densities, e^(κ cos(x − xᵢ))/(2π I₀(κ)) in each column, of all rows in /train; κ is
the one of those tried under which the rows of /validation are likeliest. Prints the NLL of /test with its standard error.
"""

import argparse
import sys

import h5py
import numpy as np


SPLITS = ["train", "validation", "test"]


def log_prob(centers, points, kappa):
    """log p of points (m, d) by kernels of concentration kappa at the centers (n, d), nats."""
    # cos(x − c) = cos x cos c + sin x sin c: a product of matrices. e^κ is taken out of I₀, which overflows.
    features = [np.concatenate([np.cos(x), np.sin(x)], axis=1) for x in (centers, points)]
    theta = np.linspace(-np.pi, np.pi, 20001)[:-1]
    log_norm = np.log(2 * np.pi * np.mean(np.exp(kappa * (np.cos(theta) - 1))))
    d = centers.shape[1]
    result = []
    for part in np.array_split(features[1], max(1, len(points) // 500)):
        exponent = kappa * (part @ features[0].T - d)
        largest = exponent.max(axis=1, keepdims=True)
        result.append(largest[:, 0] + np.log(np.exp(exponent - largest).mean(axis=1)))
    return np.concatenate(result) - d * log_norm


def read(path):
    """The rows of a dataset file for training, validation and test."""
    with h5py.File(path) as file:
        for name in SPLITS:
            if name not in file:
                raise ValueError(f"{path} has no /{name}")
        others = np.flatnonzero(np.asarray(file.attrs.get("periodic", [])) == 0)
        if len(others):
            raise ValueError(f"{path}: columns {', '.join(map(str, others))}, from 0, are no angles")
        return [np.asarray(file[name], dtype=np.float64) for name in SPLITS]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", help="dataset file of angles in radians")
    try:
        train, validation, test = read(parser.parse_args().data)
    except (OSError, ValueError) as error:
        sys.exit(f"angle_kde.py: {error}")
    tried = {kappa: log_prob(train, validation, kappa).mean() for kappa in np.geomspace(10, 1000, 17)}
    best = max(tried, key=tried.get)
    values = log_prob(train, test, best)
    print(f"von Mises kernels, kappa {best:.0f} of {min(tried):.0f} … {max(tried):.0f}: test NLL {-values.mean():.4f} "
          f"± {values.std() / np.sqrt(len(values)):.4f} nats ({len(values)} rows)")


if __name__ == "__main__":
    main()
