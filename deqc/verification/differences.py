"""Directional derivatives by central differences of the module's own values, its gradients left alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TypeAlias

import torch
from torch import Tensor

from deqc.verification import checks
from deqc.verification.checks import DIFFERENCES
from deqc.verification.equilibrium import equilibrium
from deqc.verification.gradients import Loss
from deqc.verification.subject import Subject

DIRECTIONS = 3
_STEPS = (DIFFERENCES, DIFFERENCES / 10, DIFFERENCES / 100)  # shorter ones meet fewer kinks, and more rounding
_KINK = 1e-3  # of the scale, by which the quotients of both sides differ at the shortest step

Tensors: TypeAlias = Mapping[str, Tensor]


def differences(subject: Subject, loss: Loss, z_star: Tensor, gradients: Tensors) -> tuple[float, bool]:
    """The largest error of <gradient, direction> over random directions, and whether one of them leads over a kink.

    A direction moves each tensor by as much of itself as any other. The error is relative to the root mean square of
    such derivatives. At a kink, where the quotients of both sides differ, there is no derivative, and no error counts.
    """
    generator = torch.Generator().manual_seed(subject.seed)
    sizes = {name: (float(t.detach().norm()) or 1.0) / math.sqrt(t.numel() or 1) for name, t in subject.wanted.items()}
    scale = math.hypot(*(float(g.norm()) * sizes[name] for name, g in gradients.items()))
    scale = max(scale, checks.least(DIFFERENCES, loss.cotangent))
    worst, kink = 0.0, False
    for _ in range(DIRECTIONS):
        direction = {
            name: sizes[name] * torch.randn(t.shape, dtype=t.dtype, generator=generator)
            for name, t in subject.wanted.items()
        }
        expected = sum(float((gradients[name] * d).sum()) for name, d in direction.items())
        error, sides = math.inf, 0.0
        for h in _STEPS:
            before, at, behind = (_value(subject, loss, z_star, direction, by) for by in (-h, 0.0, h))
            found = abs((behind - before) / (2 * h) - expected) / scale
            error = min(error, found) if math.isfinite(found) else error
            sides = abs(behind - 2 * at + before) / (h * scale)
            if error <= DIFFERENCES:
                break
        if error > DIFFERENCES and sides > _KINK:
            kink = True
        else:
            worst = max(worst, error)
    return worst, kink


def _value(subject: Subject, loss: Loss, z_star: Tensor, direction: Tensors, by: float) -> float:
    """The loss at the module's equilibrium where parameters and inputs are others; autograd does not notice."""
    before = {name: tensor.data for name, tensor in subject.wanted.items()}
    try:
        for name, tensor in subject.wanted.items():
            tensor.data = before[name] + by * direction[name]
        with torch.no_grad():
            z = equilibrium(subject.f, z_star)[0]
            return float(loss(z, subject.outputs(subject.solve(z))))
    finally:
        for name, tensor in subject.wanted.items():
            tensor.data = before[name]
