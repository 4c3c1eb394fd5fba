#!/usr/bin/python3
"""Trains a continuous flow on four particles with double wells (DW4), and prints NLL and effective sample size.

  examples/double_wells.py TRAIN.npy VALIDATION.npy TEST.npy [--samples 10000] [--components 60]
                           [--folder build/double_wells] [flow_train's flags]

The rows are the positions (x, y) of four particles [Köhler, Klein & Noé 2020]. The energy is the sum of
0.9 (r − 4)⁴ − 4 (r − 4)² over the six distances r, in units of kT. It does not change if the particles are shifted,
turned, reflected or exchanged. The density p(x) is that of the 6 dimensions without the center of mass, in an
orthonormal basis. The flow sees five coordinates: the distance of the first two particles, divided by √2, and two
vectors in the frame in which these two lie along the first axis. Training rows are reflected, and their particles
exchanged, at random. p(x) is the mean over the 48 reflections and exchanges, so these do not change it. The
configuration is examples/kinds/double_wells.toml. Beside the flow stands a mixture of normal densities of the same five
coordinates, by expectation maximization.

  NLL      of the test rows, in nats: of all, and of those that are no training rows. Many rows occur several times
  ESS      (Σ w)²/(n Σ w²) of samples with weights w = exp(−energy)/p
  log Z    logarithm of the mean weight
  entropy  that of the exact density exp(−energy)/Z, by weighted samples

The last line is the NLL of the exact density, with the Z of the flow's samples. Datasets, models and samples stay in the
folder.
"""

import argparse
import itertools
import pathlib

import h5py
import numpy as np

from earth import repeated
from programs import exit_with, run

CONFIGURATION = pathlib.Path(__file__).resolve().parent / "kinds/double_wells.toml"
ORDERS = np.array(list(itertools.permutations(range(4))))
# An orthonormal basis (3, 4) of the displacements of the particles that keep the center of mass.
BASIS = np.array([[1, -1, 0, 0], [1, 1, -2, 0], [1, 1, 1, -3]]) / np.sqrt([[2], [6], [12]])


def energy(x):
    """Gives the energies (n) of positions x (n, 4, 2)."""
    first, second = np.triu_indices(4, 1)
    u = np.linalg.norm(x[:, first] - x[:, second], axis=2) - 4
    return (0.9 * u**4 - 4 * u**2).sum(axis=1)


def coordinates(x):
    """Gives the five coordinates y (n, 5) of positions x (n, 4, 2)."""
    vectors = np.einsum("kp,npc->knc", BASIS, x)
    length = np.linalg.norm(vectors[0], axis=1)
    c, s = (vectors[0] / length[:, None]).T
    turned = [[c * v[:, 0] + s * v[:, 1], c * v[:, 1] - s * v[:, 0]] for v in vectors[1:]]
    return np.stack([length, *turned[0], *turned[1]], axis=1)


def positions(y):
    """Gives positions x (n, 4, 2) with the coordinates y (n, 5)."""
    first = np.stack([y[:, 0], np.zeros(len(y))], axis=1)
    return np.einsum("kp,knc->npc", BASIS, np.stack([first, y[:, 1:3], y[:, 3:]]))


def images(x):
    """Gives the 48 images (48, n, 4, 2) of positions x (n, 4, 2) by reflections and exchanges."""
    return np.array([x[:, order] * [1, sign] for order in ORDERS for sign in [1, -1]])


def log_prob(x, log_prob_of):
    """Gives the mean density of the images of positions x (n, 4, 2), from a function that gives log q (n) of coordinates
    (n, 5). In polar coordinates of the first vector, dx = length d(angle) dy, and all angles are equally likely."""
    y = np.concatenate([coordinates(image) for image in images(x)])
    values = (log_prob_of(y) - np.log(2 * np.pi * y[:, 0])).reshape(2 * len(ORDERS), len(x))
    return np.logaddexp.reduce(values, axis=0) - np.log(len(values))


class Mixture:
    """Normal densities, by expectation maximization from random rows."""

    def __init__(self, rows, components, generator, iterations=50):
        n, d = rows.shape
        self.mean = rows[generator.choice(n, components, replace=False)]
        self.factor = np.tile(np.linalg.cholesky(np.cov(rows.T) / components ** (2 / d)), (components, 1, 1))
        self.weight = np.full(components, 1 / components)
        for _ in range(iterations):
            parts = self.parts(rows)
            share = np.exp(parts - np.logaddexp.reduce(parts, axis=1, keepdims=True))
            total = share.sum(axis=0)
            self.weight, self.mean = total / n, share.T @ rows / total[:, None]
            for k in range(components):
                centered = rows - self.mean[k]
                spread = (share[:, k, None] * centered).T @ centered / total[k]
                self.factor[k] = np.linalg.cholesky(spread + 1e-6 * np.eye(d))

    def parts(self, y):
        """Gives the log-densities (n, components) of rows y, with their weights."""
        columns = []
        for weight, mean, factor in zip(self.weight, self.mean, self.factor):
            z = (y - mean) @ np.linalg.inv(factor).T
            columns.append(np.log(weight) - 0.5 * (z**2).sum(axis=1) - np.log(np.diag(factor)).sum())
        return np.stack(columns, axis=1) - 0.5 * y.shape[1] * np.log(2 * np.pi)

    def log_prob(self, y):
        return np.concatenate([np.logaddexp.reduce(self.parts(part), axis=1) for part in np.array_split(y, 50)])

    def sample(self, n, generator):
        k = generator.choice(len(self.weight), n, p=self.weight)
        return self.mean[k] + np.einsum("nij,nj->ni", self.factor[k], generator.normal(size=(n, self.mean.shape[1])))


class Flow:
    """A trained model file."""

    def __init__(self, data, options, flags):
        self.options, self.model = options, options.folder / "flow.h5"
        run("flow_train", options.programs, CONFIGURATION, "--data", data, "--restart", "never", "-o", self.model, *flags)

    def log_prob(self, y):
        rows, density = self.options.folder / "rows.h5", self.options.folder / "density.h5"
        with h5py.File(rows, "w") as file:
            file["y"] = y
        run("flow_density", self.options.programs, self.model, f"{rows}:/y", "--precision", "float", "-o", density)
        with h5py.File(density) as file:
            # Where the steps fold, the density of the map is not known. p then lacks this image, and is too small.
            return np.where(file["status"][()] == 0, file["log_prob"][()], -np.inf)

    def sample(self, n, _):
        samples = self.options.folder / "samples.h5"
        run("flow_sample", self.options.programs, self.model, "-n", n, "-o", samples)
        with h5py.File(samples) as file:
            return file["x"][()]


def results(model, test, again, options):
    """Gives (NLL, NLL of rows that are no training rows, ESS, log Z, entropy)."""
    nll = -log_prob(test, model.log_prob)
    y = model.sample(options.samples, np.random.default_rng(2))
    x = positions(y[y[:, 0] > 0])  # others have no positions, and weight 0
    energies = energy(x)
    log_weight = -energies - log_prob(x, model.log_prob)
    weight = np.exp(log_weight - log_weight.max())
    log_z = np.log(weight.sum() / len(y)) + log_weight.max()
    return (nll.mean(), nll[~again].mean(), weight.sum() ** 2 / (len(y) * (weight**2).sum()), log_z,
            log_z + (weight * energies).sum() / weight.sum())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs=3, type=pathlib.Path, help="training, validation and test rows (N, 8)")
    parser.add_argument("--samples", type=int, default=10000)
    parser.add_argument("--components", type=int, default=60, help="of the mixture of normal densities")
    parser.add_argument("--folder", type=pathlib.Path, default=pathlib.Path("build/double_wells"))
    parser.add_argument("--programs", type=pathlib.Path, help="the folder of the programs, where it is another")
    options, flags = parser.parse_known_args()
    missing = [str(path) for path in options.files if not path.exists()]
    if missing:
        parser.error(f"no such file: {', '.join(missing)}")
    options.folder.mkdir(parents=True, exist_ok=True)

    generator = np.random.default_rng(1)
    rows = [np.load(path).astype(float).reshape(-1, 4, 2) for path in options.files]
    again = repeated(rows[2], rows[0])
    data = options.folder / "double_wells.h5"
    with h5py.File(data, "w") as file:
        for name, x in [("train", np.tile(rows[0], (8, 1, 1))), ("validation", rows[1][:2000])]:
            order = ORDERS[generator.integers(len(ORDERS), size=len(x))]
            reflection = np.stack([np.ones(len(x)), generator.choice([-1, 1], size=len(x))], axis=1)
            file[name] = coordinates(np.take_along_axis(x, order[:, :, None], axis=1) * reflection[:, None])
        train = file["train"][: len(rows[0])]
    print(f"{len(again)} test rows, {again.mean():.1%} among the training rows")
    print(f"{'nats':<12}{'NLL':>10}{'NLL of others':>16}{'ESS':>10}{'log Z':>10}{'entropy':>10}")
    models = {"flow": lambda: Flow(data, options, flags),
              "mixture": lambda: Mixture(train, options.components, generator)}
    log_z = {}
    for name, make in models.items():
        nll, others, ess, log_z[name], entropy = results(make(), rows[2], again, options)
        print(f"{name:<12}{nll:>10.3f}{others:>16.3f}{ess:>10.1%}{log_z[name]:>10.3f}{entropy:>10.3f}", flush=True)
    exact = energy(rows[2]) + log_z["flow"]
    print(f"{'exact':<12}{exact.mean():>10.3f}{exact[~again].mean():>16.3f}")
    return 0


if __name__ == "__main__":
    exit_with(main)
