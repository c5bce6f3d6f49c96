"""Directional derivatives by central differences of the module's own values, its gradients left alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TypeAlias

import torch
from torch import Tensor

from deqc.verification import checks
from deqc.verification.subject import Subject

DIRECTIONS = 3
_SHORTER = (1, 10, 100)  # such steps meet fewer kinks, and more rounding
_KINK = 1e-3  # of the scale, by which the quotients of both sides differ however short the step

Tensors: TypeAlias = Mapping[str, Tensor]


def differences(
    subject: Subject, value: Callable[[], float], gradients: Tensors, cotangent: float, h: float, limit: float
) -> tuple[float, bool]:
    """The largest error of <gradient, direction> over random directions, and whether one of them leads over a kink.

    A direction moves each tensor by as much of itself as any other, h of it at first, where `value`, a loss whose own
    derivative is of the norm `cotangent`, is exact to h^3. The error is relative to the root mean square of such
    derivatives. At a kink, where the quotients of both sides differ, there is no derivative, and no error counts.
    """
    generator = torch.Generator().manual_seed(subject.seed)
    sizes = {name: (float(t.detach().norm()) or 1.0) / math.sqrt(t.numel() or 1) for name, t in subject.wanted.items()}
    scale = math.hypot(*(float(g.norm()) * sizes[name] for name, g in gradients.items()))
    scale = max(scale, checks.least(h, cotangent))
    at, worst, kink = value(), 0.0, False
    for _ in range(DIRECTIONS):
        direction = {
            name: sizes[name] * torch.randn(t.shape, dtype=t.dtype, generator=generator)
            for name, t in subject.wanted.items()
        }
        expected = sum(float((gradients[name] * d).sum()) for name, d in direction.items())
        error, sides = math.inf, math.inf
        for shorter in _SHORTER:
            step = h / shorter
            before, behind = (_moved(subject, value, direction, by) for by in (-step, step))
            found = abs((behind - before) / (2 * step) - expected) / scale
            error = min(error, found) if math.isfinite(found) else error
            sides = min(sides, abs(behind - 2 * at + before) / (step * scale))
            if error <= limit:
                break
        if error > limit and sides > max(_KINK, limit):
            kink = True
        else:
            worst = max(worst, error)
    return worst, kink


def _moved(subject: Subject, value: Callable[[], float], direction: Tensors, by: float) -> float:
    """The value where parameters and inputs are others; autograd does not notice."""
    before = {name: tensor.data for name, tensor in subject.wanted.items()}
    try:
        for name, tensor in subject.wanted.items():
            tensor.data = before[name] + by * direction[name]
        return value()
    finally:
        for name, tensor in subject.wanted.items():
            tensor.data = before[name]
