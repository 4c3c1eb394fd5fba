"""Affine couplings in PyTorch, for torch_baseline.py: a batch goes through them as two halves, the even and the odd
values of its rows, of which each coupling maps one by what the other gives; so nothing is gathered or scattered on the
way. Outputs of networks are put into the order [t | raw scale], so that their parts are slices.
"""

import numpy as np
import torch
from torch.nn.functional import silu

LIPSWISH = 1 / 1.1


def arrays(transforms):
    """Arrays of all blocks one after the other, each [weight (in, out), bias (out), log_beta (1), …]."""
    found = []
    for block in (transforms[name] for name in sorted(transforms)):
        layers = sorted(block)
        for layer in layers:
            parts = [block[layer][name][()] for name in ("weight", "bias", "log_beta") if name in block[layer]]
            if layer == layers[-1]:
                parts = [np.concatenate((part[..., ::2], part[..., 1::2]), -1) for part in parts]
            found += parts
    return found


def by_block(arrays):
    """[[(weight, bias, log β), …, (weight, bias)], …] of what arrays() gave."""
    blocks, layer = [[]], []
    for array in arrays:
        if array.dim() == 2 and layer:
            blocks[-1].append(tuple(layer))
            if len(layer) == 2:
                blocks.append([])
            layer = []
        layer.append(array)
    blocks[-1].append(tuple(layer))
    return blocks


def halves(x):
    return [x[:, ::2].contiguous(), x[:, 1::2].contiguous()]


def standard_normal(values):
    return -0.5 * sum((half * half).sum(1) + half.shape[1] * np.log(2 * np.pi) for half in values)


def autograd_log_prob(case, parameters):
    """Autograd through all of it."""
    limit, total, values = float(case.attributes["scale_limit"]), 0, halves(case.input)
    for b, layers in enumerate(by_block(parameters.arrays())):
        h = values[b % 2]
        for weight, bias, log_beta in layers[:-1]:
            beta = log_beta.exp()
            h = silu(torch.addmm(bias, h, weight) * beta) * (LIPSWISH / beta)
        weight, bias = layers[-1]
        shift, raw = torch.addmm(bias, h, weight).chunk(2, 1)
        scale = limit * torch.tanh(raw / limit)
        values[1 - b % 2] = torch.addcmul(shift, values[1 - b % 2], scale.exp())
        total = total + scale.sum(1)
    value = total + standard_normal(values)
    return value, value.sum()


class Couplings(torch.autograd.Function):
    """(all parameters, flat) → log p, with a reverse by hand that writes into one flat gradient. Of hidden layers are
    kept u = βa and silu(u) = 1.1β·φ(a), whose factors go into the products before and behind."""

    @staticmethod
    def forward(context, flat, case, parameters):
        limit, values = float(case.attributes["scale_limit"]), halves(case.input)
        blocks = by_block([array.detach() for array in parameters.arrays()])
        betas = iter(torch.cat([layer[2] for layers in blocks for layer in layers[:-1]]).exp().tolist())
        tape, total = [], 0
        for b, layers in enumerate(blocks):
            h, factor, hidden = values[b % 2], 1, []
            for weight, bias, _ in layers[:-1]:
                beta = next(betas)
                u = torch.addmm(bias, h, weight, beta=beta, alpha=beta * factor)
                hidden.append((h, factor, u, beta))
                h, factor = silu(u), LIPSWISH / beta
            weight, bias = layers[-1]
            shift, raw = torch.addmm(bias, h, weight, alpha=factor).chunk(2, 1)
            tanh = (raw / limit).tanh_()
            scale, mapped = (tanh * limit).exp_(), values[1 - b % 2]
            values[1 - b % 2] = torch.addcmul(shift, mapped, scale)
            total += tanh.sum(1)
            tape.append((layers, hidden, h, factor, tanh, scale, mapped))
        context.tape, context.values, context.parameters = tape, values, parameters
        return total.mul_(limit) + standard_normal(values)

    @staticmethod
    def backward(context, weights):
        weights = weights[:, None]
        bars = [half * -weights for half in context.values]
        gradient = torch.empty_like(context.parameters.flat)
        slots = by_block(context.parameters.arrays(gradient))
        for b in reversed(range(len(slots))):
            layers, hidden, h, factor, tanh, scale, mapped = context.tape[b]
            kept, bar = bars[b % 2], bars[1 - b % 2]
            bars[1 - b % 2] = bar * scale
            raw_bar = torch.ops.aten.tanh_backward(torch.addcmul(weights, bars[1 - b % 2], mapped), tanh)
            bar, inner = torch.cat((bar, raw_bar), 1), 1
            for l in reversed(range(1, len(layers))):
                into, before, u, beta = hidden[l - 1]
                reverse_affine(slots[b][l], h, bar, factor, inner)
                h_bar = times(bar, layers[l][0].t(), factor * inner)
                bar = torch.ops.aten.silu_backward(h_bar, u)
                slots[b][l - 1][2].fill_(torch.dot(u.view(-1), bar.view(-1)) - torch.dot(h.view(-1), h_bar.view(-1)))
                h, factor, inner = into, before, beta
            reverse_affine(slots[b][0], h, bar, factor, inner)
            bars[b % 2] = torch.addmm(kept, bar, layers[0][0].t(), alpha=inner)
        return gradient, None, None


def times(a, b, factor):
    """factor · a·b"""
    return torch.addmm(a.new_empty(1), a, b, beta=0, alpha=factor)


def reverse_affine(slot, h, bar, factor, inner):
    """Gradient of inner·(bias + factor·h·weight), from its cotangent."""
    torch.addmm(slot[0], h.t(), bar, beta=0, alpha=factor * inner, out=slot[0])
    torch.sum(bar, 0, out=slot[1])
    if inner != 1:
        slot[1].mul_(inner)


def fused_log_prob(case, parameters):
    """The whole reverse by hand."""
    value = Couplings.apply(parameters.flat, case, parameters)
    return value, value.sum()
