"""Continuous flows in PyTorch, for torch_baseline.py: likelihood on a grid of rk4, flow matching, and log p to a
tolerance on nested grids, of vector fields with two hidden layers, silu. The time is the same for all samples of a grid,
so it is in the bias of the first layer, for all stages at once. The divergence has the closed form d₂ᵀMd₁ with
M = W₂ ∘ (W₁W₃)ᵀ, and a discrete density takes its tangents as further rows of the products.
"""

import numpy as np
import torch
from torch.nn.functional import silu


def arrays(transforms):
    """[W₁ (d, h), b₁, U (5, h), W₂, b₂, W₃, b₃]"""
    field = transforms["000"]
    return [field[layer][name][()] for layer in sorted(field) for name in ("weight", "bias", "context")
            if name in field[layer]]


def time_features(t):
    """(times, 5)"""
    angle = np.pi * t
    return torch.stack((2 * t - 1, torch.cos(angle), torch.sin(angle), torch.cos(2 * angle), torch.sin(2 * angle)), 1)


def standard_normal(z):
    return -0.5 * (z * z).sum(1) - 0.5 * z.shape[1] * np.log(2 * np.pi)


def log_abs_det(a):
    """log|det| of a batch; in closed form in the plane."""
    if a.shape[-1] == 2:
        return torch.log(torch.abs(a[:, 0, 0] * a[:, 1, 1] - a[:, 0, 1] * a[:, 1, 0]))
    return torch.linalg.slogdet(a)[1]


def inverse_transpose(a):
    if a.shape[-1] != 2:
        return torch.linalg.inv(a).transpose(1, 2)
    adjugate = torch.stack((a[:, 1, 1], -a[:, 1, 0], -a[:, 0, 1], a[:, 0, 0]), 1)
    return (adjugate / (a[:, 0, 0] * a[:, 1, 1] - a[:, 0, 1] * a[:, 1, 0])[:, None]).view(-1, 2, 2)


class Grid:
    """The stages of rk4 from t = 1 to t = 0: weights of a stage, its part in the next, and its place among times."""

    def __init__(self, case):
        self.steps = int(case.attributes["steps"])
        self.h = -1 / self.steps
        self.weights = [self.h / 6, self.h / 3, self.h / 3, self.h / 6]
        self.parts = [self.h / 2, self.h / 2, self.h]
        self.places = [0, 1, 1, 2]  # in halves of a step
        self.times = torch.linspace(1, 0, 2 * self.steps + 1, dtype=torch.float64)
        self.features = time_features(self.times).to(case.dtype)


def start_rows(case):
    """x, with the identity below it for each sample of a discrete density."""
    x = case.input
    if case.kind != "discrete":
        return x, None
    identity = torch.eye(case.d, dtype=case.dtype).repeat(case.n, 1)
    return torch.cat((x, identity)), identity


# Autograd through all of it.


def autograd_layer(rows, n, bias):
    """[a | T] before bias → [h | τ] and φ′."""
    a = rows[:n] + bias
    s = torch.sigmoid(a)
    h = a * s
    slope = s + h * (1 - s)
    if len(rows) == n:
        return h, slope
    tangents = rows[n:].view(n, -1, a.shape[1]) * slope[:, None]
    return torch.cat((h, tangents.view(-1, a.shape[1]))), slope


def autograd_log_prob(case, parameters):
    w1, b1, u, w2, b2, w3, b3 = parameters.arrays()
    grid, n, d = Grid(case), case.n, case.d
    biases = (torch.addmm(b1, grid.features, u)).unbind(0)
    coupling = w2 * (w3 @ w1).t() if case.kind == "continuous" else None
    _, identity = start_rows(case)
    x, total = case.input, 0

    def evaluate(rows, bias):
        rows, slope1 = autograd_layer(rows @ w1, n, bias)
        rows, slope2 = autograd_layer(rows @ w2, n, b2)
        trace = None if coupling is None else ((slope1 @ coupling) * slope2).sum(1)
        rows = rows @ w3
        return (torch.cat((rows[:n] + b3, rows[n:])) if len(rows) > n else rows + b3), trace

    for step in range(grid.steps):
        rows = at = x if identity is None else torch.cat((x, identity))
        sum_rows = rows
        for stage in range(4):
            rate, trace = evaluate(at, biases[2 * step + grid.places[stage]])
            sum_rows = torch.add(sum_rows, rate, alpha=grid.weights[stage])
            if trace is not None:
                total = total + grid.weights[stage] * trace
            if stage < 3:
                at = torch.add(rows, rate, alpha=grid.parts[stage])
        x = sum_rows[:n]
        if identity is not None:
            total = total + log_abs_det(sum_rows[n:].view(n, d, d))
    value = total + standard_normal(x)
    return value, value.sum()


def autograd_matching(case, parameters):
    w1, b1, u, w2, b2, w3, b3 = parameters.arrays()
    x, features, velocity = case.matching_points()
    h = silu(torch.addmm(torch.addmm(b1, features, u), x, w1))
    v = torch.addmm(b3, silu(torch.addmm(b2, h, w2)), w3)
    value = -((v - velocity) ** 2).sum(1)
    return value, value.sum()


# The reverse by hand.


class Layers:
    """The field with its gradient, which all evaluations add to."""

    def __init__(self, parameters, traces):
        self.w1, self.b1, self.u, self.w2, self.b2, self.w3, self.b3 = (a.detach() for a in parameters.arrays())
        self.back = [w.t() for w in (self.w1, self.w2, self.w3)]
        self.inner = (self.w3 @ self.w1).t() if traces else None
        self.coupling = self.w2 * self.inner if traces else None
        self.gradient = torch.zeros_like(parameters.flat)
        slots = parameters.arrays(self.gradient)
        self.w1_bar, self.b1_bar, self.u_bar, self.w2_bar, self.b2_bar, self.w3_bar, self.b3_bar = slots
        self.coupling_bar = torch.zeros_like(self.w2) if traces else None

    @staticmethod
    def activate(rows, n):
        """[a | T] → [h | τ], in memory of its own; what the reverse needs."""
        a = rows[:n]
        s = torch.sigmoid(a)
        h, rest = a * s, 1 - s
        slope = torch.addcmul(s, h, rest)
        second = rest.mul_(torch.addcmul(s + slope, s, h, value=-1))
        if len(rows) == n:
            return h, (slope, second, None)
        out = torch.empty_like(rows)
        out[:n] = h
        tangents = rows[n:].view(n, -1, a.shape[1])
        torch.mul(tangents, slope[:, None], out=out[n:].view_as(tangents))
        return out, (slope, second, tangents)

    @staticmethod
    def reverse_activation(bar, n, kept, slope_bar=None):
        """[h̄ | τ̄] → [ā | T̄] in place."""
        slope, second, tangents = kept
        if tangents is not None:
            tau_bar = bar[n:].view_as(tangents)
            slope_bar = (tau_bar * tangents).sum(1)
            tau_bar.mul_(slope[:, None])
        values = bar[:n].mul_(slope)
        if slope_bar is not None:
            values.addcmul_(second, slope_bar)
        return bar

    def evaluate(self, rows, n, bias):
        """v and the tangents; tr J; what reverse() needs."""
        rows1 = rows @ self.w1 if len(rows) > n else torch.addmm(bias, rows, self.w1)
        if len(rows) > n:
            rows1[:n] += bias
        h1, kept1 = self.activate(rows1, n)
        rows2 = h1 @ self.w2 if len(rows) > n else torch.addmm(self.b2, h1, self.w2)
        if len(rows) > n:
            rows2[:n] += self.b2
        h2, kept2 = self.activate(rows2, n)
        out = h2 @ self.w3
        out[:n] += self.b3
        image = trace = None
        if self.coupling is not None:
            image = kept1[0] @ self.coupling
            trace = (image * kept2[0]).sum(1)
        return out, trace, (rows, h1, kept1, h2, kept2, image)

    def reverse(self, bar, n, weight, tape):
        """The cotangent of the rows; that of the bias of the first layer. weight: of the trace."""
        rows, h1, kept1, h2, kept2, image = tape
        self.w3_bar.addmm_(h2.t(), bar)
        self.b3_bar.add_(bar[:n].sum(0))
        slope_bars = [None, None]
        if image is not None:
            slope_bars = [(kept2[0] * weight) @ self.coupling.t(), image.mul_(weight)]
            self.coupling_bar.addmm_(kept1[0].t(), kept2[0], alpha=weight)
        bar = self.reverse_activation(bar @ self.back[2], n, kept2, slope_bars[1])
        self.w2_bar.addmm_(h1.t(), bar)
        self.b2_bar.add_(bar[:n].sum(0))
        bar = self.reverse_activation(bar @ self.back[1], n, kept1, slope_bars[0])
        self.w1_bar.addmm_(rows.t(), bar)
        return bar @ self.back[0], bar[:n].sum(0)

    def finish(self, features, bias_bars):
        self.u_bar.addmm_(features.t(), bias_bars)
        self.b1_bar.add_(bias_bars.sum(0))
        if self.coupling_bar is not None:
            self.w2_bar.addcmul_(self.coupling_bar, self.inner)
            inner_bar = (self.coupling_bar * self.w2).t()
            self.w3_bar.addmm_(inner_bar, self.w1.t())
            self.w1_bar.addmm_(self.w3.t(), inner_bar)


class Integration(torch.autograd.Function):
    """(all parameters, flat) → log p."""

    @staticmethod
    def forward(context, flat, case, parameters):
        grid, n, d = Grid(case), case.n, case.d
        field = Layers(parameters, case.kind == "continuous")
        biases = torch.addmm(field.b1, grid.features, field.u)
        start, identity = start_rows(case)
        tape, total = [], torch.zeros(n, dtype=case.dtype)
        for step in range(grid.steps):
            at, end, stages = start, start.clone(), []
            for stage in range(4):
                rate, trace, kept = field.evaluate(at, n, biases[2 * step + grid.places[stage]])
                stages.append(kept)
                end.add_(rate, alpha=grid.weights[stage])
                if trace is not None:
                    total.add_(trace, alpha=grid.weights[stage])
                if stage < 3:
                    at = torch.add(start, rate, alpha=grid.parts[stage])
            jacobian = None
            if identity is not None:
                jacobian = end[n:].view(n, d, d)
                total.add_(log_abs_det(jacobian))
                start = torch.cat((end[:n], identity))
            else:
                start = end
            tape.append((stages, jacobian))
        z = start[:n]
        context.tape = (grid, field, tape, z, n)
        return total + standard_normal(z)

    @staticmethod
    def backward(context, weights):
        grid, field, tape, z, n = context.tape
        weight = float(weights[0])  # all are the same
        x_bar = z * -weight
        bias_bars = torch.zeros(2 * grid.steps + 1, field.w1.shape[1], dtype=z.dtype)
        for step in reversed(range(grid.steps)):
            stages, jacobian = tape[step]
            end_bar = x_bar
            if jacobian is not None:
                end_bar = torch.cat((x_bar, inverse_transpose(jacobian).reshape(-1, z.shape[1]).mul_(weight)))
            x_bar = x_bar.clone()
            later = None
            for stage in reversed(range(4)):
                seed = end_bar * grid.weights[stage]
                if later is not None:
                    seed.add_(later, alpha=grid.parts[stage])
                later, bias_bar = field.reverse(seed, n, weight * grid.weights[stage], stages[stage])
                bias_bars[2 * step + grid.places[stage]] += bias_bar
                x_bar.add_(later[:n])
        field.finish(grid.features, bias_bars)
        return field.gradient, None, None


class MatchingLoss(torch.autograd.Function):
    """(all parameters, flat) → minus the losses."""

    @staticmethod
    def forward(context, flat, case, parameters):
        x, features, velocity = case.matching_points()
        field = Layers(parameters, False)
        v, _, kept = field.evaluate(x, case.n, torch.addmm(field.b1, features, field.u))
        off = v.sub_(velocity)
        context.tape = (field, features, off, kept, case.n)
        return -(off * off).sum(1)

    @staticmethod
    def backward(context, weights):
        field, features, off, kept, n = context.tape
        rows, h1, kept1, h2, kept2, _ = kept
        bar = off.mul_(-2 * float(weights[0]))
        field.w3_bar.addmm_(h2.t(), bar)
        torch.sum(bar, 0, out=field.b3_bar)
        bar = field.reverse_activation(bar @ field.back[2], n, kept2)
        field.w2_bar.addmm_(h1.t(), bar)
        torch.sum(bar, 0, out=field.b2_bar)
        bar = field.reverse_activation(bar @ field.back[1], n, kept1)
        field.w1_bar.addmm_(rows.t(), bar)
        field.u_bar.addmm_(features.t(), bar)
        torch.sum(bar, 0, out=field.b1_bar)
        return field.gradient, None, None


def by_hand(function):
    def log_prob(case, parameters):
        value = function.apply(parameters.flat, case, parameters)
        return value, value.sum()

    return log_prob


def gradient_variants(case):
    if case.work == "match":
        return {"fused": by_hand(MatchingLoss), "autograd": autograd_matching}
    return {"fused": by_hand(Integration), "autograd": autograd_log_prob}


class NestedGrids:
    """log p of rows, each on 1, 2, 4, … steps until two of them differ by the tolerance, as the library has it."""

    def __init__(self, case, parameters):
        self.w1, self.b1, self.u, self.w2, self.b2, self.w3, self.b3 = (a.detach() for a in parameters.arrays())
        self.coupling = self.w2 * (self.w3 @ self.w1).t()
        self.tolerance = float(case.attributes["tolerance"])
        self.a, self.b, self.c = case.tableau
        self.biases = {}

    def bias_table(self, steps):
        """Biases of the first layer in all stages of a grid."""
        if steps not in self.biases:
            times = 1 - (torch.arange(steps, dtype=torch.float64)[:, None] + self.c[None]).flatten() / steps
            self.biases[steps] = torch.addmm(self.b1, time_features(times).to(self.b1), self.u)
        return self.biases[steps]

    @staticmethod
    def activate(a):
        s = torch.sigmoid(a)
        h = a.mul_(s)
        return h, torch.addcmul(s, h, 1 - s)

    def integrate(self, x, steps):
        h, biases, stages = -1 / steps, self.bias_table(steps), len(self.b)
        rates = torch.empty(stages, x.numel(), dtype=x.dtype)
        total = torch.zeros(len(x), dtype=torch.float64)
        for step in range(steps):
            start = x.reshape(-1)
            for i in range(stages):
                at = x if i == 0 else torch.addmv(start, rates[:i].t(), self.a[i, :i], alpha=h).view_as(x)
                h1, slope1 = self.activate(torch.addmm(biases[step * stages + i], at, self.w1))
                h2, slope2 = self.activate(torch.addmm(self.b2, h1, self.w2))
                torch.addmm(self.b3, h2, self.w3, out=rates[i].view_as(x))
                if self.b[i] != 0:
                    image = slope1 @ self.coupling
                    total.add_(image.mul_(slope2).sum(1), alpha=h * float(self.b[i]))
            x = torch.addmv(start, rates.t(), self.b, alpha=h).view_as(x)
        return x, total

    def density(self, x):
        image, log_det = torch.empty_like(x), torch.empty(len(x), dtype=torch.float64)
        places, steps = torch.arange(len(x)), 1
        z, total = self.integrate(x, steps)
        while len(places):
            steps *= 2
            finer, finer_total = self.integrate(x, steps)
            norm = finer.norm(dim=1)
            error = (finer_total - total).abs() + norm.clamp(min=1) * (finer - z).norm(dim=1)
            done = error <= self.tolerance
            image[places[done]], log_det[places[done]] = finer[done], finer_total[done]
            z, total, x, places = finer[~done], finer_total[~done], x[~done], places[~done]
        return image, log_det + standard_normal(image)
