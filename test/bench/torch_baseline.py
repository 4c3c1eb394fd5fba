#!/usr/bin/python3
"""The cases of bench in PyTorch, as fast as PyTorch can be made for them, from the same weights, inputs and draws.

  bench --save train.exact.d2 d2.h5
  test/bench/torch_baseline.py d2.h5 [--threads 2] [--seconds 1] [--variant NAME] [--csv FILE]

Several ways are written out for each case, each timed in a process of its own, after it has been held against the
results of ours that the file has (log p, and the gradient or the images) to rounding. "fused" is a step whose reverse
through activations (of couplings and continuous flows, all of it) is written by hand, the others leave it to autograd or functorch. What all
of them have:
parameters of all blocks in one flat tensor, so that the optimizer is a handful of in-place operations and equal layers
of all blocks are normalized together, by one warm-started power iteration a step; weights transposed as products want
them; gradients set to none, not zeroed; threads that do not spin; an allocator that keeps its memory.
"""

import argparse
import copy
import os
import pathlib
import subprocess
import sys
import tempfile
import time


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", help="what `bench --save CASE FILE` wrote")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=1, help="time for the repeats")
    parser.add_argument("--variant", help="this one alone; else all, each in its own process")
    parser.add_argument("--limit", type=float, default=float("inf"), help="ms beyond which a single run is enough")
    parser.add_argument("--csv", help="file to which results are appended")
    return parser.parse_args()


def with_environment(threads):
    """Starts again with what the libraries read when they are loaded."""
    wanted = {"OMP_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "passive",
              "MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**40), "MALLOC_TOP_PAD_": str(2**26)}
    if any(os.environ.get(key) != value for key, value in wanted.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **wanted})


if __name__ == "__main__":
    ARGUMENTS = parse_arguments()
    with_environment(ARGUMENTS.threads)

import h5py
import numpy as np
import torch

import torch_continuous
import torch_coupling

TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-10}  # of the largest element
INVERSE_TOLERANCE = {torch.float32: 1e-3, torch.float64: 1e-8}
CHUNKS = (256, 1024, 4096)  # rows of an evaluation that are worked at a time


class Case:
    """The case that a file holds."""

    def __init__(self, path):
        with h5py.File(path) as file:
            self.attributes = {key: value.decode() if isinstance(value, bytes) else value
                               for key, value in file.attrs.items()}
            self.name, self.work, self.kind, self.flow = (
                self.attributes[key] for key in ("case", "work", "kind", "flow"))
            self.dtype = torch.float32 if self.attributes["precision"] == "float" else torch.float64
            self.bounds = file["bounds"][:] if "bounds" in file else None
            self.input = self.tensor(file["input"])
            self.log_prob = file["log_prob"][:]
            self.parameters = self.arrays(file["parameters/transforms"])
            self.gradient = self.arrays(file["gradient/transforms"]) if "gradient" in file else None
            self.image = self.tensor(file["image"]) if "image" in file else None
            if self.kind == "roulette":
                self.probes, self.terms = self.tensor(file["probes"]), file["terms"][:].tolist()
            if self.work == "match":
                self.latents, self.times = self.tensor(file["latents"]), torch.tensor(file["times"][:])
            if "tableau_a" in file:
                self.tableau = [torch.tensor(file[f"tableau_{name}"][:]) for name in "abc"]
        self.n, self.d = self.input.shape

    def tensor(self, dataset):
        return torch.tensor(np.asarray(dataset), dtype=self.dtype)

    def arrays(self, transforms):
        if self.flow == "realnvp":
            return [self.tensor(array) for array in torch_coupling.arrays(transforms)]
        if self.flow == "continuous":
            return [self.tensor(array) for array in torch_continuous.arrays(transforms)]
        return self.by_layer(transforms)

    def draw_pairs(self):
        """Latents and stratified times of another step of flow matching."""
        self.latents = torch.randn(self.n, self.d, dtype=self.dtype)
        self.times = (torch.randperm(self.n) + torch.rand(self.n, dtype=torch.float64)) / self.n

    def matching_points(self):
        """Points of the paths (n, d), their τ(t) (n, 5) and velocities (n, d)."""
        velocity = self.input - self.latents
        features = torch_continuous.time_features(self.times).to(self.dtype)
        return torch.addcmul(self.latents, self.times[:, None].to(self.dtype), velocity), features, velocity

    def by_layer(self, transforms):
        """Arrays of a layer, those of all blocks stacked: [weight (B, in, out), bias (B, out), log_beta (B, 1)]."""
        blocks = [transforms[name] for name in sorted(transforms)]
        arrays = []
        for layer in sorted(blocks[0]):
            for name in ("weight", "bias", "log_beta"):
                if name in blocks[0][layer]:
                    arrays.append(self.tensor(np.stack([block[layer][name][()] for block in blocks])))
        return arrays


class Parameters:
    """All parameters in one flat leaf, and what a step makes of them."""

    def __init__(self, case):
        self.shapes = [array.shape for array in case.parameters]
        self.sizes = [array.numel() for array in case.parameters]
        self.flat = torch.cat([array.flatten() for array in case.parameters]).requires_grad_(case.gradient is not None)
        self.normalizes = bool(case.attributes["normalizes"])
        self.bounds = case.bounds
        self.vectors = None

    def arrays(self, flat=None):
        """Parts of a flat tensor, by default of the parameters."""
        parts = (self.flat if flat is None else flat).split(self.sizes)
        return [part.view(shape) for part, shape in zip(parts, self.shapes)]

    def power_iteration(self, arrays, times=1):
        """Left and right singular vectors of the weights of each layer, of all blocks at once."""
        weights = [array.detach() for array in arrays if array.dim() == 3]
        if self.vectors is None:
            generator = torch.Generator().manual_seed(1)
            self.vectors = [torch.randn(w.shape[0], w.shape[2], 1, generator=generator).to(w) for w in weights]
        pairs = []
        for i, w in enumerate(weights):
            out = self.vectors[i]
            for _ in range(times):
                into = torch.bmm(w, out)
                into /= into.norm(dim=1, keepdim=True)
                out = torch.bmm(w.transpose(1, 2), into)
                out /= out.norm(dim=1, keepdim=True)
            self.vectors[i] = out
            pairs.append((into, out))
        return pairs

    def blocks(self):
        """Effective arrays of each block: [(weight (in, out), bias, beta or None), …]."""
        arrays = self.arrays()
        pairs = iter(self.power_iteration(arrays)) if self.normalizes else None
        layers, bound = [], iter(self.bounds)
        for array in arrays:
            if array.dim() == 3:
                if pairs is not None:
                    into, out = next(pairs)
                    sigma = torch.bmm(into.transpose(1, 2), torch.bmm(array, out))
                    array = array * torch.clamp(float(next(bound)) / sigma, max=1)
                layers.append([array.unbind(0)])
            else:
                layers[-1].append((array.exp() if len(layers[-1]) == 2 else array).unbind(0))
        return [[tuple(part[b] for part in layer) for layer in layers] for b in range(self.shapes[0][0])]


def derivatives(a, beta, second=True):
    """φ, φ′ and φ″ of lipswish."""
    s = torch.sigmoid(a * beta)
    slope = s * (1 - s)
    t = a * beta
    value, first = (a * s).div_(1.1), torch.addcmul(s, t, slope).div_(1.1)
    if not second:
        return value, first, None
    return value, first, slope.mul_(torch.addcmul(torch.full_like(s, 2), t, 1 - 2 * s)).mul_(beta / 1.1)


class Activation(torch.autograd.Function):
    """Rows [a | T̂] of values and k tangents of each → [φ(a + b) | φ′ ∘ T̂], its reverse by closed forms. In the
    first layer T̂ (k, w) may be the same for all samples. φ′ comes out as well, for products with Jᵀ."""

    @staticmethod
    def forward(context, rows, n, shared, bias, beta):
        a = rows[:n] + bias
        value, first, second = derivatives(a, beta)
        tangents = rows[n:].view(n, -1, a.shape[1]) if shared is None else shared[None]
        k = tangents.shape[1]
        out = torch.empty(n * (1 + k), a.shape[1], dtype=a.dtype)
        out[:n] = value
        torch.mul(tangents, first[:, None], out=out[n:].view(n, k, -1))
        context.save_for_backward(a, value, first, second, tangents, beta)
        context.shared = shared is not None
        context.mark_non_differentiable(first)
        return out, first

    @staticmethod
    def backward(context, bar, _):
        a, value, first, second, tangents, beta = context.saved_tensors
        n, w = a.shape
        tau_bar = bar[n:].view(n, -1, w)
        a_bar = torch.addcmul(first * bar[:n], second, (tau_bar * tangents).sum(1))
        log_beta_bar = torch.dot(a.flatten(), a_bar.flatten()) - torch.dot(bar[:n].flatten(), value.flatten())
        bias_bar = a_bar.sum(0)
        if context.shared:
            return a_bar, None, (tau_bar * first[:, None]).sum(0), bias_bar, log_beta_bar / beta
        rows_bar = torch.empty_like(bar)
        rows_bar[:n] = a_bar
        torch.mul(tau_bar, first[:, None], out=rows_bar[n:].view(n, -1, w))
        return rows_bar, None, None, bias_bar, log_beta_bar / beta


def log_det_of(jacobian):
    """log|det(I + J)| of a batch; in closed form in the plane."""
    if jacobian.shape[-1] == 2:
        return torch.log(torch.abs((1 + jacobian[:, 0, 0]) * (1 + jacobian[:, 1, 1])
                                   - jacobian[:, 0, 1] * jacobian[:, 1, 0]))
    identity = torch.eye(jacobian.shape[-1], dtype=jacobian.dtype)
    return torch.linalg.slogdet(jacobian + identity)[1]


# Blocks: (layers, x) → (g(x), what log-dets want).


def fused_tangents(layers, x):
    """g(x) and Jᵀ (n, d, d), values and tangents in one product a layer, activations with a reverse by hand."""
    n = len(x)
    weight, bias, beta = layers[0]
    rows, _ = Activation.apply(x @ weight, n, weight, bias, beta)
    for weight, bias, beta in layers[1:-1]:
        rows, _ = Activation.apply(rows @ weight, n, None, bias, beta)
    rows = rows @ layers[-1][0]
    return rows[:n] + layers[-1][1], rows[n:].view(n, x.shape[1], -1)


def plain_tangents(layers, x):
    """The same with autograd through all of it, values and tangents each on their own."""
    n, d = x.shape
    h, tangents = x, None
    for weight, bias, beta in layers[:-1]:
        a = torch.addmm(bias, h, weight)
        s = torch.sigmoid(a * beta)
        h = a * s / 1.1
        first = (s + a * beta * s * (1 - s)) / 1.1
        raw = weight[None] if tangents is None else (tangents.view(n * d, -1) @ weight).view(n, d, -1)
        tangents = raw * first[:, None]
    weight, bias = layers[-1]
    return torch.addmm(bias, h, weight), (tangents.view(n * d, -1) @ weight).view(n, d, -1)


def forward(layers, x):
    """g(x)."""
    for weight, bias, beta in layers[:-1]:
        a = torch.addmm(bias, x, weight) if x.dim() == 2 else x @ weight + bias
        x = a * torch.sigmoid(a * beta) / 1.1
    weight, bias = layers[-1]
    return torch.addmm(bias, x, weight) if x.dim() == 2 else x @ weight + bias


def functorch_tangents(transformation):
    """g(x) and J by vmap of functorch's jacrev or jacfwd."""
    import functorch

    def block(layers, x):
        jacobian = functorch.vmap(getattr(functorch, transformation)(lambda one: forward(layers, one)))(x)
        return forward(layers, x), jacobian

    return block


def evaluation_tangents(layers, x):
    """g(x) and Jᵀ without a graph, in place."""
    n, d = x.shape
    h, tangents = x, None
    for weight, bias, beta in layers[:-1]:
        h, first, _ = derivatives(torch.addmm(bias, h, weight), beta, second=False)
        if tangents is None:
            tangents = weight[None] * first[:, None]
        else:
            tangents = (tangents.view(n * d, -1) @ weight).view(n, d, -1).mul_(first[:, None])
    weight, bias = layers[-1]
    return torch.addmm(bias, h, weight), (tangents.view(n * d, -1) @ weight).view(n, d, -1)


def standard_normal(z):
    return -0.5 * (z * z).sum(1) - 0.5 * z.shape[1] * np.log(2 * np.pi)


def exact_log_prob(block):
    """(case, parameters) → (log p, what is differentiated)."""

    def log_prob(case, parameters):
        x, total = case.input, 0
        for layers in parameters.blocks():
            y, jacobian = block(layers, x)
            x = x + y
            total = total + log_det_of(jacobian)
        value = total + standard_normal(x)
        return value, value.sum()

    return log_prob


def coefficients(case, b):
    """(−1)ᵏ⁺¹ over the chance to get to term k, of block b's terms."""
    exact, p = int(case.attributes["exact_terms"]), float(case.attributes["p"])
    return [(-1) ** (k + 1) / (1 - p) ** max(0, k - exact - 1) for k in range(1, case.terms[b] + 1)]


def neumann_pair(case, b, v, product):
    """The value of the series and u = Σ cₖ (Jᵀ)ᵏ⁻¹ v by products with Jᵀ."""
    power, u, value = v, torch.zeros_like(v), 0
    for k, c in enumerate(coefficients(case, b), 1):
        u.add_(power, alpha=c)
        power = product(power)
        value = value + c / k * (v * power).sum(1)
    return value, u


def fused_neumann(case, parameters):
    """Products with Jᵀ written out; one tangent beside the values carries the gradient."""
    x, total, surrogate = case.input, 0, 0
    n = case.n
    for b, layers in enumerate(parameters.blocks()):
        v = case.probes[b]
        rows, slopes = torch.cat((x, v)), []
        for weight, bias, beta in layers[:-1]:
            rows, first = Activation.apply(rows @ weight, n, None, bias, beta)
            slopes.append(first)
        rows = rows @ layers[-1][0]
        with torch.no_grad():
            back = [layer[0].t() for layer in layers]

            def product(u):
                for weight, first in zip(back[:0:-1], reversed(slopes)):
                    u = (u @ weight).mul_(first)
                return u @ back[0]

            value, u = neumann_pair(case, b, v, product)
        x = x + rows[:n] + layers[-1][1]
        total = total + value
        surrogate = surrogate + (u * rows[n:]).sum()
    base = standard_normal(x)
    return base.detach() + total, base.sum() + surrogate


def autograd_neumann(case, parameters):
    """The customary way: products with Jᵀ by autograd, the last one with a graph."""
    x, total, surrogate = case.input, 0, 0
    for b, layers in enumerate(parameters.blocks()):
        v = case.probes[b]
        x = x if x.requires_grad else x.requires_grad_()
        y = forward(layers, x)
        value, u = neumann_pair(case, b, v, lambda w, y=y, x=x: torch.autograd.grad(y, x, w, retain_graph=True)[0])
        surrogate = surrogate + (torch.autograd.grad(y, x, u, create_graph=True)[0] * v).sum()
        total = total + value
        x = x + y
    base = standard_normal(x)
    return base.detach() + total, base.sum() + surrogate


def gradient_variants(case):
    if case.flow == "continuous":
        return torch_continuous.gradient_variants(case)
    if case.flow == "realnvp":
        return {"fused": torch_coupling.fused_log_prob, "autograd": torch_coupling.autograd_log_prob}
    if case.kind == "roulette":
        return {"fused": fused_neumann, "autograd": autograd_neumann}
    return {"fused": exact_log_prob(fused_tangents), "tangents": exact_log_prob(plain_tangents),
            "jacrev": exact_log_prob(functorch_tangents("jacrev")),
            "jacfwd": exact_log_prob(functorch_tangents("jacfwd"))}


def require_close(what, actual, expected, tolerance):
    """Like Checks::close: of the largest element; NaN fails."""
    actual, expected = np.asarray(actual, dtype=np.float64), np.asarray(expected, dtype=np.float64)
    error = np.abs(actual - expected).max() / np.abs(expected).max()
    if not error <= tolerance:
        sys.exit(f"{what}: off by {error:.2g} of the largest, more than {tolerance:.2g}")
    return error


class Gradient:
    """A training step, or log-likelihood and gradient alone."""

    def __init__(self, case, log_prob):
        self.case, self.log_prob = copy.copy(case), log_prob  # a copy, because draws replace those of the file
        self.parameters = Parameters(case)
        a = case.attributes
        if self.case.work in ("train", "match"):
            self.optimizer = torch.optim.Adam([self.parameters.flat], lr=a["learning_rate"], foreach=True,
                                              betas=(a["beta1"], a["beta2"]), eps=a["epsilon"])
            self.average, self.decay = self.parameters.flat.detach().clone(), float(a["average"])

    def gradient(self):
        log_prob, total = self.log_prob(self.case, self.parameters)
        (total * (-1 / self.case.n)).backward()
        return log_prob

    def check(self):
        case, flat = self.case, self.parameters.flat
        if self.parameters.normalizes:
            self.parameters.power_iteration(self.parameters.arrays(), 200)
        log_prob = self.gradient().detach()
        expected = torch.cat([array.flatten() for array in case.gradient])
        error = max(require_close("log p", log_prob, case.log_prob, TOLERANCE[case.dtype]),
                    require_close("gradient", flat.grad * -case.n, expected, TOLERANCE[case.dtype]))
        flat.grad = None
        return error

    def run(self):
        if self.case.work == "match":
            self.case.draw_pairs()
        self.gradient()
        if self.case.work in ("train", "match"):
            self.optimizer.step()
            self.average.lerp_(self.parameters.flat.detach(), 1 - self.decay)
        self.parameters.flat.grad = None


class Evaluation:
    """log p of rows, or samples of latents with theirs."""

    def __init__(self, case, work, chunk):
        self.case, self.work, self.chunk = case, work, chunk
        with torch.no_grad():
            self.blocks = Parameters(case).blocks()
        bounds = float(np.prod(case.bounds))
        self.margin = 1 - bounds
        rounding = 64 * torch.finfo(case.dtype).eps / self.margin
        self.tolerance = max(float(case.attributes.get("tolerance", 0)), rounding)

    def density(self, x):
        total = 0
        for layers in self.blocks:
            y, jacobian = evaluation_tangents(layers, x)
            x = x + y
            total = total + log_det_of(jacobian)
        return x, total + standard_normal(x)

    def converged(self, residual, x):
        return bool((residual.norm(dim=1) <= self.margin * self.tolerance * (1 + x.norm(dim=1))).all())

    def banach(self, layers, z):
        x = z
        while True:
            residual = forward(layers, x) + x - z
            if self.converged(residual, x):
                return x
            x = x - residual

    def newton(self, layers, z):
        x, identity = z, torch.eye(z.shape[1], dtype=z.dtype)
        while True:
            y, jacobian = evaluation_tangents(layers, x)
            residual = y + x - z
            if self.converged(residual, x):
                return x
            x = x - torch.linalg.solve((jacobian + identity).transpose(1, 2), residual)

    def sample(self, z):
        solve = self.banach if self.work == "banach" else self.newton
        x = z
        for layers in reversed(self.blocks):
            x = solve(layers, x)
        return x, self.density(x)[1]

    @torch.no_grad()
    def run(self):
        evaluate = self.density if self.work == "density" else self.sample
        results = [evaluate(part) for part in self.case.input.split(self.chunk)]
        return torch.cat([image for image, _ in results]), torch.cat([log_prob for _, log_prob in results])

    def check(self):
        tolerance = TOLERANCE if self.work == "density" else INVERSE_TOLERANCE
        image, log_prob = self.run()
        return max(require_close("images", image, self.case.image, tolerance[self.case.dtype]),
                   require_close("log p", log_prob, self.case.log_prob, tolerance[self.case.dtype]))


def chunks_of(case):
    return [chunk for chunk in CHUNKS if chunk == CHUNKS[0] or chunk < 4 * case.n]


class ContinuousEvaluation:
    """log p of rows by a continuous flow, to a tolerance."""

    def __init__(self, case, chunk):
        self.case, self.chunk = case, chunk
        self.grids = torch_continuous.NestedGrids(case, Parameters(case))

    @torch.no_grad()
    def run(self):
        results = [self.grids.density(part) for part in self.case.input.split(self.chunk)]
        return torch.cat([image for image, _ in results]), torch.cat([log_prob for _, log_prob in results])

    def check(self):
        image, log_prob = self.run()
        return max(require_close("images", image, self.case.image, TOLERANCE[self.case.dtype]),
                   require_close("log p", log_prob, self.case.log_prob, TOLERANCE[self.case.dtype]))


def variants(case):
    """Name → what makes a runner."""
    if case.gradient is not None:
        return {name: lambda f=f: Gradient(case, f) for name, f in gradient_variants(case).items()}
    if case.flow == "continuous":
        return {f"nested{chunk}": lambda c=chunk: ContinuousEvaluation(case, c) for chunk in chunks_of(case)}
    works = ("density",) if case.work == "density" else ("banach", "newton")
    return {f"{work}{chunk}": lambda w=work, c=chunk: Evaluation(case, w, c) for work in works
            for chunk in chunks_of(case)}


def seconds_of(f):
    start = time.perf_counter()
    f()
    return time.perf_counter() - start


def repeats_of(f, seconds, limit):
    """Sorted seconds of single runs, the warm-up left out: as many as bench makes."""
    f()
    times = [seconds_of(f)]
    while times[0] < limit and (sum(times) < seconds or len(times) < (5 if sum(times) < 5 * seconds else 2)):
        times.append(seconds_of(f))
    return sorted(times)


def reset_peak_memory():
    pathlib.Path("/proc/self/clear_refs").write_text("5")


def peak_memory():
    """MB since the last reset."""
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024 / 1e6
    return 0


COLUMNS = "case,precision,threads,variant,ms,median_ms,repeats,peak_mb,error"


def append(path, row):
    file = pathlib.Path(path)
    start = "" if file.exists() and file.stat().st_size else COLUMNS + "\n"
    with file.open("a") as out:
        out.write(start + row + "\n")


def run_variant(case, make, options):
    """Checks and times one variant; gives ms."""
    runner = make()
    error = runner.check()
    reset_peak_memory()
    times = repeats_of(runner.run, options.seconds, options.limit / 1e3)
    memory = peak_memory()
    best, median = 1e3 * times[0], 1e3 * times[len(times) // 2]
    print(f"{case.name:<24} torch {options.variant:<12} {options.threads} thread(s) {best:>9.4g} ms, "
          f"median {median:>9.4g}, {memory:>5.0f} MB")
    if options.csv:
        append(options.csv, f"{case.name},{case.attributes['precision']},{options.threads},{options.variant},"
                            f"{best:.6g},{median:.6g},{len(times)},{memory:.6g},{error:.3g}")


def run_all(names, options):
    """Each variant in a process of its own, so that none inherits memory; one that is far behind runs once only."""
    with tempfile.TemporaryDirectory() as folder:
        table = pathlib.Path(folder, "variants.csv")
        best = {}
        for name in names:
            kind = name == "fused"
            limit = 1.5 * best.get(kind, float("inf"))
            command = [sys.executable, __file__, options.file, "--threads", options.threads, "--seconds",
                       options.seconds, "--variant", name, "--limit", limit, "--csv", table]
            subprocess.run([str(word) for word in command], check=True)
            row = table.read_text().splitlines()[-1]
            best[kind] = min(best.get(kind, float("inf")), float(row.split(",")[4]))
            if options.csv:
                append(options.csv, row)


def main(options):
    torch.set_num_threads(options.threads)
    case = Case(options.file)
    makers = variants(case)
    if not options.variant:
        run_all(list(makers), options)
    elif options.variant in makers:
        run_variant(case, makers[options.variant], options)
    else:
        sys.exit(f"variant '{options.variant}' is unknown; there are {', '.join(makers)}")


if __name__ == "__main__":
    try:
        main(ARGUMENTS)
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)
