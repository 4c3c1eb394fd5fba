#!/usr/bin/python3
"""Evaluates log p of rows from a model file alone, by the schema in data/README.md, with h5py and numpy.

  examples/model_density.py MODEL.h5 DATA.h5:PATH [--context DATA.h5:PATH] [--compare DENSITY.h5]
                            [--seed SEED | --dequantized] [--guidance S]

Prints the mean NLL in nats. With --compare, it also prints the largest difference from the /log_prob that flow_density
wrote for the same rows, and fails if the difference is above 1e-10 relative to 1 + |log p|. The transforms are in
model_transforms.py.

If the model dequantizes, it adds noise v to integers x, and log p is the log-density of x + v for one draw of v. The
script draws the same noise as flow_density --seed; without --seed, it takes the seed of the file to compare with.
With --dequantized, the rows are (x + v)/levels already: values in [0, 1) with noise of one's own. log p is then the
log-density of x + v, too, and includes the −d log levels of the change of scale.

--guidance S guides the vector fields of a model that knows rows without a context, as flow_density --guidance does.
Without it, the strength is that of the file to compare with.
"""

import argparse
import math
import sys

import h5py
import numpy as np

from model_transforms import TRANSFORMS, Place, attributes, double, integers, place_after


def standardized(group, x):
    """Gives L⁻¹ (x − mean) for rows x, and the log-det −Σ ln L_jj."""
    factor = double(group["factor"])  # L, lower triangular, or its diagonal
    if factor.ndim == 1:
        return (x - double(group["mean"])) / factor, -np.log(factor).sum()
    return np.linalg.solve(factor, (x - double(group["mean"])).T).T, -np.log(np.diag(factor)).sum()


def uniform_noise(seed, k, rows, d):
    """Gives (n, d) numbers on (0, 1): the noise that transform k adds to the rows with these numbers in flow_density
    --seed."""
    def draw(row, column):
        # numpy counts up before the first draw.
        counter = (row << 128 | (k << 32 | column) << 64) - 1
        return np.random.Philox(counter=counter % 2**256, key=seed | 11 << 64).random_raw()

    words = np.array([[draw(row, column) for column in range(d)] for row in rows], dtype=np.uint64).reshape(-1, d)
    return ((words >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52


def steps(model, x, context=None, seed=None, first=0, dequantized=False, guidance=1.0):
    """Takes the rows of x (n, d), in the data's units, through one transform after the other. For each, yields its
    group, the latents after it (n, d), its log-det and the columns that are angles. Latents that a split has dropped
    come last.

    If the model dequantizes, give either seed, from which noise is drawn for rows first, first + 1, …; or dequantized,
    which says that x contains noise already. The first transform then only adds its log-det. guidance: the strength of
    guidance; with 0, contexts have no effect."""
    flow = model["flow"]
    count = int(flow.attrs["context"])
    if guidance == 0:
        context = np.zeros((len(x), count))
    if count and context is None:
        raise ValueError(f"the model is conditioned on {count} values; give their rows as context")
    u = standardized(model["context"], context)[0] if count else np.zeros((len(x), 0))
    d = len(model["standardization/mean"])
    if x.ndim != 2 or x.shape[1] != d:
        raise ValueError(f"rows are of {d} values, not an array of shape {x.shape}")
    place = Place(tuple(integers(flow.attrs["shape"])), integers(flow.attrs.get("periodic", [])), u,
                  groups(flow.attrs.get("spheres", [])),
                  optional_context=bool(flow.attrs.get("optional_context", 0)), guidance=guidance)
    if guidance != 1 and not place.optional_context:
        raise ValueError("the model knows no rows without a context; leave out the guidance")
    z, log_det = standardized(model["standardization"], x)
    if dequantized:
        if attributes(flow["transforms/000"])["kind"] != "dequantize":
            raise ValueError("the model does not begin by dequantizing; give its rows as they are")
        z = x
    angles = set(place.angles)
    yield model["standardization"], z, log_det, angles
    for k in range(int(flow.attrs["length"])):
        group, size = flow[f"transforms/{k:03d}"], place.size
        z = z.copy()
        if attributes(group)["kind"] == "dequantize":
            place.noise = None if seed is None else uniform_noise(seed, k, range(first, first + len(z)), size)
            place.dequantized = dequantized and k == 0
        z[:, :size], log_det = TRANSFORMS[attributes(group)["kind"]](group, z[:, :size], place)
        place = place_after(group, place)
        # Angles that a split drops keep their columns.
        angles = set(place.angles) | {i for i in angles if i >= place.size}
        yield group, z, log_det, angles


def groups(marks):
    """Gives the columns of each sphere, from the number of its sphere for each column."""
    marks = np.asarray(marks, dtype=int)
    return [list(np.flatnonzero(marks == k)) for k in range(1, marks.max(initial=0) + 1)]


# Base densities: each gives log p₀ of rows z (n, r) without the angles.

def normal(z, mean=0.0, log_scale=0.0):
    y = (z - mean) * np.exp(-log_scale)
    return (-0.5 * y**2 - log_scale - 0.5 * np.log(2 * np.pi)).sum(axis=-1)


def mixture(base, z):
    logits = double(base["logits"])
    parts = normal(z[:, None, :], double(base["mean"]), double(base["log_scale"]))  # (n, K)
    return np.logaddexp.reduce(parts + logits, axis=1) - np.logaddexp.reduce(logits)


def uniform(low, high, z):
    return np.where((z >= low) & (z <= high), -np.log(high - low), -np.inf).sum(axis=1)


def student_t(base, z):
    nu = np.exp(double(base["log_degrees_of_freedom"]))
    constant = [math.lgamma((v + 1) / 2) - math.lgamma(v / 2) - 0.5 * math.log(v * math.pi) for v in nu]
    return (constant - (nu + 1) / 2 * np.log1p(z**2 / nu)).sum(axis=1)


def logistic(z):
    return (-np.abs(z) - 2 * np.log1p(np.exp(-np.abs(z)))).sum(axis=1)


BASES = {
    "standard_normal": lambda base, z: normal(z),
    "normal": lambda base, z: normal(z, double(base["mean"]), double(base["log_scale"])),
    "mixture": mixture,
    "uniform": lambda base, z: uniform(base.attrs["low"], base.attrs["high"], z),
    "student_t": student_t,
    "logistic": lambda base, z: logistic(z),
}


def base_log_prob(base, z, angles, spheres):
    """Gives log p₀ of latents z (n, d), in which the angles are uniform, and the unit vectors on their spheres."""
    is_angle = np.isin(np.arange(z.shape[1]), list(angles))
    is_other = ~is_angle & ~np.isin(np.arange(z.shape[1]), sum(spheres, []))
    total = uniform(-np.pi, np.pi, z[:, is_angle]) + BASES[attributes(base)["kind"]](base, z[:, is_other])
    for columns in spheres:
        m = len(columns)
        off = np.abs(np.linalg.norm(z[:, columns], axis=1) - 1)
        log_area = math.log(2) + m / 2 * math.log(math.pi) - math.lgamma(m / 2)
        total += np.where(off <= 1e-4, -log_area, -np.inf)
    return total


def log_prob(model, x, context=None, **noise):
    """Gives log p of the rows of x (n, d), nats, in the data's units; −∞ outside the support. context: (n, c), for
    conditional models. noise: the arguments seed and first, or dequantized, of steps(), and guidance."""
    total = np.zeros(len(x))
    for _, z, log_det, angles in steps(model, x, context, **noise):
        total = np.where(total == -np.inf, total, total + log_det)  # an excluded row stays excluded, whatever its z
    spheres = groups(model["flow"].attrs.get("spheres", []))
    excluded = total == -np.inf  # z has no meaning there
    z = np.where(excluded[:, None], 0, z)
    return np.where(excluded, -np.inf, total + base_log_prob(model["flow/base"], z, angles, spheres))


def read_rows(location):
    """Gives the array at FILE.h5:PATH."""
    file, _, path = location.rpartition(":")
    if not file or not path:
        sys.exit(f"{location} names no array: FILE.h5:PATH is wanted, as {location}:/test")
    try:
        with h5py.File(file) as data:
            return double(data[path])
    except (OSError, KeyError) as error:
        sys.exit(f"{location}: {error}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("data", help="DATA.h5:PATH, an array (N, d)")
    parser.add_argument("--context", help="DATA.h5:PATH, an array (N, c), for models that are conditioned on one")
    parser.add_argument("--compare", help="what flow_density wrote for the same rows")
    noise = parser.add_mutually_exclusive_group()
    noise.add_argument("--seed", type=int, help="of the noise of a dequantization, as flow_density has it")
    noise.add_argument("--dequantized", action="store_true", help="the rows have their noise, on [0, 1)")
    parser.add_argument("--guidance", type=float, help="strength of the guidance of vector fields")
    options = parser.parse_args()
    rows = read_rows(options.data)
    context = read_rows(options.context) if options.context else None
    seed, guidance = options.seed, 1.0 if options.guidance is None else options.guidance
    if options.compare:
        with h5py.File(options.compare) as result:
            other = result["log_prob"][:]
            if seed is None and not options.dequantized and "seed" in result.attrs:
                seed = int(result.attrs["seed"])
            if options.guidance is None:
                guidance = float(result.attrs.get("guidance", 1.0))
    with h5py.File(options.model) as model:
        parts = [slice(first, first + 1000) for first in range(0, len(rows), 1000)]
        try:
            values = np.concatenate([
                log_prob(model, rows[i], None if context is None else context[i], seed=seed, first=i.start,
                         dequantized=options.dequantized, guidance=guidance) for i in parts])
        except ValueError as error:
            sys.exit(f"{options.model}: {error}")
    print(f"mean NLL {-values.mean():.10f} nats, {len(values)} rows")
    if options.compare:
        with np.errstate(invalid="ignore"):  # of −∞
            worst = np.max(np.where(values == other, 0, np.abs(values - other) / (1 + np.abs(values))))
        print(f"largest relative difference to {options.compare}: {worst:.2e}")
        return 0 if worst <= 1e-10 else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
