"""The random numbers of a run, as functions of seed, purpose, step, sample and probe: Philox4x64-10 of numpy."""

import math

import numpy as np

# Numbers of purposes, as part of the key. A model file can be reproduced only as long as they stay.
PARAMETERS, BATCHES, POWER_START, PROBE, ROULETTE, DEQUANTIZE_DRAW = 1, 2, 7, 9, 10, 11


class Stream:
    """Uniform numbers, normal numbers and signs, one after the other."""

    def __init__(self, seed, purpose, step=0, sample=0, probe=0):
        counter = probe << 64 | sample << 128 | step << 192
        # numpy increments the counter before its first block.
        self.philox = np.random.Philox(counter=(counter - 1) % 2**256, key=seed | purpose << 64)
        self.spare = None

    def bits(self):
        return int(self.philox.random_raw())

    def uniform(self):
        """A number on the open interval (0, 1)."""
        return ((self.bits() >> 12) + 0.5) * 2.0**-52

    def normal(self):
        """A standard normal number, by Box and Muller, who give two at a time."""
        if self.spare is not None:
            number, self.spare = self.spare, None
            return number
        radius = math.sqrt(-2 * math.log(self.uniform()))
        angle = 2 * math.pi * self.uniform()
        self.spare = radius * math.sin(angle)
        return radius * math.cos(angle)

    def normals(self, *shape):
        return np.array([self.normal() for _ in range(math.prod(shape))]).reshape(shape)

    def uniforms(self, *shape):
        return np.array([self.uniform() for _ in range(math.prod(shape))]).reshape(shape)

    def signs(self, d):
        """d numbers, each −1 or +1."""
        return np.array([1.0 if self.bits() >> 63 else -1.0 for _ in range(d)])


def permutation(seed, purpose, step, n):
    """A permutation of 0 … n − 1: six Feistel rounds on the next power of four, again while the result is n or more."""
    half = 1
    while 4**half < n:
        half += 1
    stream, mask = Stream(seed, purpose, step), 2**half - 1
    keys = [stream.bits() for _ in range(6)]

    def finalized(x):  # of SplitMix64
        x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        x = (x ^ x >> 27) * 0x94D049BB133111EB % 2**64
        return x ^ x >> 31

    def image(i):
        left, right = i >> half, i & mask
        for key in keys:
            left, right = right, left ^ finalized((right + key) % 2**64) & mask
        i = left << half | right
        return i if i < n else image(i)

    return np.array([image(i) for i in range(n)])


class BatchOrder:
    """A walk through the training rows, in another order in every epoch. Batches run on across the ends of epochs."""

    def __init__(self, seed, rows):
        self.seed, self.rows, self.epochs = seed, rows, {}

    def at(self, position):
        epoch = position // self.rows
        if epoch not in self.epochs:
            self.epochs[epoch] = permutation(self.seed, BATCHES, epoch, self.rows)
        return self.epochs[epoch][position % self.rows]

    def first(self, count):
        """The first `count` rows of the walk."""
        return np.array([self.at(i) for i in range(count)])

    def batch(self, step, size):
        return np.array([self.at(step * size + i) for i in range(size)])


class Draws:
    """The draws of a pass over some rows. samples: the number of each row. Transforms have numbers, too."""

    def __init__(self, seed, step, samples):
        self.seed, self.step, self.samples = seed, step, [int(sample) for sample in samples]

    def streams(self, purpose, transform, probe=0):
        """A stream for each row."""
        return [Stream(self.seed, purpose, self.step, sample, transform << 32 | probe) for sample in self.samples]
