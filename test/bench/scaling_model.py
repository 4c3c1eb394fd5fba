"""A model of data-parallel training on many ranks: seconds of a step and efficiency.

A rank's own work on n rows takes t0 + n·t1: t0 is what every rank does whatever its rows (spectral norms, optimizer,
average). A message of b bytes takes α + b·β; sums cost nothing more. Ranks fill nodes of `ranks_per_node`; within a node
α and β are those of its memory, between nodes those of the network, of which a node has one port: its ranks share it.
All ranks are equally fast and wait for nobody.
"""

import dataclasses
import math


@dataclasses.dataclass(frozen=True)
class Link:
    alpha: float  # s
    beta: float  # s/byte

    def send(self, size):
        return self.alpha + size * self.beta


@dataclasses.dataclass(frozen=True)
class Cluster:
    inside: Link
    between: Link
    ranks_per_node: int

    def split(self, p):
        """Ranks on a full node, nodes."""
        q = min(p, self.ranks_per_node)
        return q, math.ceil(p / q)


def levels(p):
    """⌈log₂ p⌉."""
    return (p - 1).bit_length()


# All-reduce of `size` bytes over p ranks, seconds.

def flat(cluster, p, size):
    """One root takes the messages of all others in turn, and sends them the sum in turn."""
    q, _ = cluster.split(p)
    return 2 * ((q - 1) * cluster.inside.send(size) + (p - q) * cluster.between.send(size))


def tree(cluster, p, size):
    """Reduction and broadcast along a binomial tree, first within nodes."""
    q, m = cluster.split(p)
    return 2 * (levels(q) * cluster.inside.send(size) + levels(m) * cluster.between.send(size))


def ring(cluster, p, size):
    """2(p − 1) messages of size/p around one ring of all ranks: the slowest link sets the pace."""
    _, m = cluster.split(p)
    links = [cluster.inside] if m == 1 else [cluster.inside, cluster.between]
    return 2 * (p - 1) * max(link.send(size / p) for link in links)


def within_nodes(cluster, p, size):
    """The first and the last part of a hierarchical one: reduce-scatter and all-gather by rings in each node. Between,
    each rank reduces its slice with its like on the other nodes: a port carries `size` in all."""
    q, _ = cluster.split(p)
    return 2 * (q - 1) * cluster.inside.send(size / q)


def hierarchical_ring(cluster, p, size):
    _, m = cluster.split(p)
    return within_nodes(cluster, p, size) + 2 * (m - 1) * cluster.between.send(size / m)


def hierarchical_tree(cluster, p, size):
    _, m = cluster.split(p)
    return within_nodes(cluster, p, size) + 2 * levels(m) * cluster.between.send(size)


def hierarchical_halving(cluster, p, size):
    """Recursive halving and doubling between nodes: as few messages as a tree, as few bytes as a ring."""
    _, m = cluster.split(p)
    return (within_nodes(cluster, p, size) + 2 * levels(m) * cluster.between.alpha
            + 2 * (m - 1) / m * size * cluster.between.beta)


ALL_REDUCES = {"flat": flat, "tree": tree, "ring": ring, "node+ring": hierarchical_ring,
               "node+tree": hierarchical_tree, "node+halving": hierarchical_halving}


def fastest(cluster, p, size):
    return min(reduce(cluster, p, size) for reduce in ALL_REDUCES.values())


# Only the greatest `share` of a gradient's elements in magnitude is sent: numbers of 4 bytes and indices of 4. Sums
# within nodes are of all elements.

def sparse_gathered(cluster, p, size, share):
    """Every node's own selection goes to all others."""
    _, m = cluster.split(p)
    return within_nodes(cluster, p, size) + (m - 1) * cluster.between.send(2 * share * size)


def sparse_merged(cluster, p, size, share):
    """Two selections become one of the same length at each level of a binomial tree [gTop-k: Shi et al. 2019]."""
    _, m = cluster.split(p)
    return within_nodes(cluster, p, size) + 2 * levels(m) * cluster.between.send(2 * share * size)


@dataclasses.dataclass(frozen=True)
class Step:
    t0: float  # s
    t1: float  # s a row
    size: float  # bytes of the gradient
    reverse_share: float = 0  # of n·t1: the reverse pass, beside which buckets could be reduced

    def local(self, n):
        return self.t0 + n * self.t1


def strong(step, reduction, p, batch):
    """Efficiency of p ranks on a batch that stays: the slowest has ⌈batch/p⌉ rows. reduction: seconds."""
    return step.local(batch) / (p * (step.local(math.ceil(batch / p)) + reduction))


def weak(step, reduction, n):
    """Efficiency of ranks with n rows each."""
    return step.local(n) / (step.local(n) + reduction)


def first_below(efficiency, counts, limit=0.5):
    """The first of the counts with less efficiency than the limit, or none."""
    return next((p for p in counts if efficiency(p) < limit), None)


def remedies(step, cluster, p, n, strong_scaling):
    """{remedy: efficiency} on p ranks with n rows each, as it would be; of the all-reduces, the fastest."""
    plain = fastest(cluster, p, step.size)

    def efficiency(reduction, rows=n, own=step.t0):
        ideal = step.local(p * rows) / p if strong_scaling else step.local(rows)
        return ideal / (own + rows * step.t1 + reduction)

    found = {
        "as it is": efficiency(plain),
        "4 times the rows a rank": efficiency(plain, 4 * n),
        "16 times the rows a rank": efficiency(plain, 16 * n),
        "half the bytes": efficiency(fastest(cluster, p, step.size / 2)),
        "top 1 %, gathered": efficiency(sparse_gathered(cluster, p, step.size, 0.01)),
        "top 1 %, merged by a tree": efficiency(sparse_merged(cluster, p, step.size, 0.01)),
        "all-reduce every 4 steps": efficiency(plain / 4),
        "all-reduce every 16 steps": efficiency(plain / 16),
        "all overlapped that can be": efficiency(max(plain - step.reverse_share * n * step.t1, 0)),
    }
    if strong_scaling:
        found["t0 shared out over ranks"] = efficiency(plain, own=step.t0 / p)
    return found
