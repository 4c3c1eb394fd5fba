#!/usr/bin/python3
"""How training scales: measured on one and two ranks here, and by a model (scaling_model.py) on up to 16,384.

  scaling.py --bench PROGRAM                          measures all that the model wants, and one and two ranks
  scaling.py --t0 5e-3 --t1 1e-3 --inside 2e-6,8      the model alone

What is given is not measured.
"""

import argparse
import csv
import pathlib
import re
import subprocess
import sys
import tempfile

import scaling_model as model

ROWS = [2, 8, 32, 128, 512, 1024]  # of a batch on one rank, to which t0 + n·t1 is fitted
ALL_REDUCES = ["1e1", "1e5", "5e6"]  # cases of bench, floats
ROUNDS = 2
MS, GIGA, FLOAT = 1e-3, 1e9, 4


def parameters(shape, blocks):
    """The number of parameters of a flow of residual blocks alone, with lipswish: weights, biases, log β of each hidden
    layer."""
    widths = [int(width) for width in shape.split("-")]
    layers = zip(widths, widths[1:])
    return blocks * (sum(out * (before + 1) for before, out in layers) + len(widths) - 2)


def fit_line(x, y):
    """(a, b) ≥ 0 of y = a + b·x, least squares of relative errors."""
    weights = [1 / value ** 2 for value in y]
    total = sum(weights)
    mean_x = sum(w * a for w, a in zip(weights, x)) / total
    mean_y = sum(w * b for w, b in zip(weights, y)) / total
    b = (sum(w * (s - mean_x) * (t - mean_y) for w, s, t in zip(weights, x, y))
         / sum(w * (s - mean_x) ** 2 for w, s in zip(weights, x)))
    a = mean_y - b * mean_x
    if a < 0:
        return 0.0, sum(w * s * t for w, s, t in zip(weights, x, y)) / sum(w * s * s for w, s in zip(weights, x))
    return a, b


class Bench:
    """The program bench: best times of all rounds."""

    def __init__(self, program, seconds, tiny):
        self.program = program
        self.more = ["--seconds", str(seconds), *(["--tiny"] if tiny else [])]
        self.rounds = 1 if tiny else ROUNDS

    def run(self, arguments, ranks):
        """(seconds of the first result, text) of one run."""
        with tempfile.TemporaryDirectory(prefix="pushforward-scaling-") as folder:
            path = pathlib.Path(folder) / "a.csv"
            words = [self.program, *arguments, "--csv", str(path), *self.more]
            if ranks > 1:
                words = ["mpirun", "-n", str(ranks), *words]
            print(" ".join(arguments), f"on {ranks}", file=sys.stderr)
            run = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True)
            if run.returncode != 0:
                raise SystemExit(f"{' '.join(words)}: {run.stderr}")
            with open(path, newline="") as file:
                return float(next(csv.DictReader(file))["ms"]) * MS, run.stdout

    def seconds(self, arguments, ranks=1):
        return min(self.run(arguments, ranks)[0] for _ in range(self.rounds))

    def reverse_share(self, arguments):
        """The share of the phase "reverse" in a step, products alone."""
        _, text = self.run([*arguments, "--phases"], 1)
        return float(re.search(r"^ +reverse +\S+ +(\S+) %", text, re.M)[1]) / 100


class Measured:
    """The figures that the model needs, and further measurements to be printed with them."""

    def __init__(self, options):
        self.t0, self.t1, self.reverse_share, self.inside = options.t0, options.t1, options.reverse, options.inside
        self.by_rows, self.by_floats, self.by_ranks = {}, {}, {}
        if not options.bench:
            return
        bench = Bench(options.bench, options.seconds, options.tiny)
        step = lambda n: ["--shape", options.shape, "--blocks", str(options.blocks), "--method", options.method,
                          "--rows", str(n)]
        if self.t0 is None or self.t1 is None:
            self.by_rows = {n: bench.seconds(step(n)) for n in ROWS}
            t0, t1 = fit_line(list(self.by_rows), list(self.by_rows.values()))
            self.t0 = t0 if self.t0 is None else self.t0
            self.t1 = t1 if self.t1 is None else self.t1
        if self.reverse_share is None:
            self.reverse_share = bench.reverse_share(step(options.rows))
        if self.inside is None:
            self.by_floats = {int(float(n)): bench.seconds([f"comm.all_reduce.{n}"], 2) for n in ALL_REDUCES}
            # A ring of two: 2α + size·β.
            twice, beta = fit_line([FLOAT * n for n in self.by_floats], list(self.by_floats.values()))
            self.inside = model.Link(twice / 2, beta)
        # One rank and two in turn, so that what disturbs the machine meets both.
        for _ in range(bench.rounds):
            for ranks in (1, 2):
                for n in {options.batch, options.rows * ranks}:
                    seconds, _ = bench.run(step(n), ranks)
                    self.by_ranks[ranks, n] = min(seconds, self.by_ranks.get((ranks, n), seconds))

    def require_all(self, parser):
        for name, value in (("--t0", self.t0), ("--t1", self.t1), ("--inside", self.inside)):
            if value is None:
                parser.error(f"{name}: must be given where there is no --bench")
        self.reverse_share = self.reverse_share or 0.0


def measured_lines(measured, options):
    """The lines about what was measured."""
    if measured.by_rows:
        yield "measured on one rank, ms a step"
        yield f"{'rows':>8}{'measured':>10}{'t0 + n·t1':>11}"
        for n, seconds in measured.by_rows.items():
            yield f"{n:>8}{seconds / MS:>10.4g}{(measured.t0 + n * measured.t1) / MS:>11.4g}"
        yield ""
    if measured.by_floats:
        yield "measured on two ranks, ms an all-reduce"
        yield f"{'floats':>8}{'measured':>10}{'2α + size·β':>13}"
        for n, seconds in measured.by_floats.items():
            line = 2 * measured.inside.alpha + FLOAT * n * measured.inside.beta
            yield f"{n:>8}{seconds / MS:>10.4g}{line / MS:>13.4g}"
        yield ""
    if measured.by_ranks:
        yield "measured scaling, ms a step"
        yield f"{'':<8}{'rows':>8}{'1 rank':>9}{'2 ranks':>9}{'efficiency':>12}"
        one, two = (measured.by_ranks[ranks, options.batch] for ranks in (1, 2))
        yield f"{'strong':<8}{options.batch:>8}{one / MS:>9.4g}{two / MS:>9.4g}{one / two / 2:>12.3f}"
        one, two = (measured.by_ranks[ranks, options.rows * ranks] for ranks in (1, 2))
        rows = f"{options.rows}·p"
        yield f"{'weak':<8}{rows:>8}{one / MS:>9.4g}{two / MS:>9.4g}{one / two:>12.3f}"
        yield ""


def assumptions(step, cluster, options):
    inside, between = cluster.inside, cluster.between
    yield f"a step of {options.blocks} blocks {options.shape}, {options.method}:"
    yield f"  t0 = {step.t0 / MS:.4g} ms, t1 = {step.t1 / MS:.4g} ms a row, " \
          f"{100 * step.reverse_share:.0f} % of it the reverse pass; {step.size / FLOAT:.0f} floats to reduce"
    yield f"within a node ({cluster.ranks_per_node} ranks): α = {1e6 * inside.alpha:.3g} µs, " \
          f"β = 1/({1 / inside.beta / GIGA:.3g} GB/s); between: α = {1e6 * between.alpha:.3g} µs, " \
          f"β = 1/({1 / between.beta / GIGA:.3g} GB/s)"
    yield "assumed: a full node's ranks compute and copy as fast as those measured; none waits for another; one"
    yield "  port a node; no congestion; sums cost nothing beside the transport, compressing nothing at all"
    yield ""


def efficiency_table(title, step, cluster, counts, efficiency):
    """One column for each all-reduce, in per cent. efficiency(reduction, p)."""
    yield title
    yield f"{'ranks':>8}" + "".join(f"{name:>14}" for name in model.ALL_REDUCES)
    for p in counts:
        reductions = [reduce(cluster, p, step.size) for reduce in model.ALL_REDUCES.values()]
        yield f"{p:>8}" + "".join(f"{100 * efficiency(reduction, p):>12.1f} %" for reduction in reductions)
    ends = [model.first_below(lambda p: efficiency(reduce(cluster, p, step.size), p), counts)
            for reduce in model.ALL_REDUCES.values()]
    yield f"{'< 50 %':>8}" + "".join(f"{f'from {end}' if end else 'nowhere':>14}" for end in ends)
    yield ""


def remedy_lines(title, step, cluster, p, n, strong_scaling):
    reduction = model.fastest(cluster, p, step.size)
    total = step.local(n) + reduction
    yield f"{title}: {p} ranks, {n} row(s) each; of a step of {total / MS:.4g} ms are t0 {100 * step.t0 / total:.1f} %, " \
          f"all-reduce {100 * reduction / total:.1f} %"
    for name, efficiency in model.remedies(step, cluster, p, n, strong_scaling).items():
        yield f"  {name:<28}{100 * efficiency:>6.1f} %"
    yield ""


def report(step, cluster, options):
    """The model's lines."""
    counts = [1 << i for i in range(options.most_ranks.bit_length())]
    yield from assumptions(step, cluster, options)
    strong = lambda reduction, p: model.strong(step, reduction, p, options.batch)
    weak = lambda reduction, p: model.weak(step, reduction, options.rows)
    yield from efficiency_table(f"predicted, strong: a batch of {options.batch} rows", step, cluster, counts, strong)
    yield from efficiency_table(f"predicted, weak: {options.rows} rows a rank", step, cluster, counts, weak)
    yield "flat: one root. tree: binomial. node+…: reduce-scatter in nodes, then between these."
    yield ""
    yield "what then: efficiency by the fastest all-reduce"
    best = lambda efficiency: model.first_below(lambda p: efficiency(model.fastest(cluster, p, step.size), p), counts)
    p = best(strong) or counts[-1]
    yield from remedy_lines("strong", step, cluster, p, -(-options.batch // p), True)
    p = best(weak) or counts[-1]
    yield from remedy_lines("weak", step, cluster, p, options.rows, False)


def link(text):
    """"α in s,GB/s"."""
    alpha, rate = (float(word) for word in text.split(","))
    return model.Link(alpha, 1 / (rate * GIGA))


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bench", help="the program, which measures what is not given")
    parser.add_argument("--shape", default="43-128-128-43", help="widths of a block (%(default)s)")
    parser.add_argument("--blocks", type=int, default=10, help="(%(default)s)")
    parser.add_argument("--method", default="exact", help="estimator of log-dets (%(default)s)")
    parser.add_argument("--batch", type=int, default=1024, help="rows of all ranks, strong scaling (%(default)s)")
    parser.add_argument("--rows", type=int, default=512, help="rows of a rank, weak scaling (%(default)s)")
    parser.add_argument("--t0", type=float, help="s: a step's time that does not depend on its rows")
    parser.add_argument("--t1", type=float, help="s a row")
    parser.add_argument("--reverse", type=float, help="share of a row's time that is the reverse pass")
    parser.add_argument("--inside", type=link, metavar="ALPHA,GBYTE", help="messages in a node: s, GB/s")
    # An MPI latency test on InfiniBand shows 1 to 2 µs; 12.5 GB/s are 100 Gbit/s at full line rate.
    parser.add_argument("--between", type=link, metavar="ALPHA,GBYTE", default="2e-6,12.5",
                        help="between nodes (%(default)s: InfiniBand of 100 Gbit/s)")
    parser.add_argument("--ranks-per-node", type=int, default=64, help="(%(default)s)")
    parser.add_argument("--most-ranks", type=int, default=16384, help="(%(default)s)")
    parser.add_argument("--seconds", type=float, default=0.5, help="time for the repeats of a measurement (%(default)s)")
    parser.add_argument("--tiny", action="store_true", help="measure smallest sizes: whether it works")
    return parser


def main():
    parser = arguments()
    options = parser.parse_args()
    measured = Measured(options)
    measured.require_all(parser)
    step = model.Step(measured.t0, measured.t1, FLOAT * parameters(options.shape, options.blocks),
                      measured.reverse_share)
    cluster = model.Cluster(measured.inside, options.between, options.ranks_per_node)
    print(*measured_lines(measured, options), *report(step, cluster, options), sep="\n")


if __name__ == "__main__":
    main()
