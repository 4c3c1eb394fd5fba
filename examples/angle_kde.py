#!/usr/bin/python3
"""Computes the mean NLL of a dataset of angles under a kernel density estimate, which a flow on the torus has to beat.

  examples/angle_kde.py DATA.h5

Each row of /train has a kernel, a product of von Mises densities e^(κ cos(x − xᵢ))/(2π I₀(κ)) over the columns. Of
the κ that are tried, the one with the largest likelihood of the rows in /validation is used. Prints the NLL of /test
with its standard error.
"""

import argparse
import sys

import h5py
import numpy as np


SPLITS = ["train", "validation", "test"]


def log_prob(centers, points, kappa):
    """Gives log p of points (m, d), nats, for kernels of concentration kappa at the centers (n, d)."""
    # cos(x − c) = cos x cos c + sin x sin c is a product of matrices. I₀ would overflow, so e^κ is taken out of it.
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
    """Gives the rows of a dataset file for training, validation and test."""
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
