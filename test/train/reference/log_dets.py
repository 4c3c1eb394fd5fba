"""Log-determinants of I + J, exact and estimated. jacobian: (…, n, d, d), row j along x_j, so v · jacobian is J v."""

import numpy as np

from reference import streams


class NotAContraction(Exception):
    """det(I + J) ≤ 0."""


def exact(jacobian, arguments, draws, place):
    determinant = np.linalg.det(np.eye(jacobian.shape[-1]) + jacobian)
    if not (determinant.real > 0).all():
        raise NotAContraction
    return np.log(determinant)


def probes_of(jacobian, count, draws, place):
    """(count, n, d)"""
    d = jacobian.shape[-1]
    return np.array([[s.signs(d) for s in draws.streams(streams.PROBE, place, m)] for m in range(count)])


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
    uniform = np.array([s.uniform() for s in draws.streams(streams.ROULETTE, place)])
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
