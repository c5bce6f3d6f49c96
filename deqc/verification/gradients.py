"""A random loss, and its gradients as a generated module gives them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from deqc.verification.subject import Subject


@dataclass(frozen=True)
class Loss:
    """The mean over the samples of <c, z> + <c', output> with random c and c' of about unit length.

    z is what a solve has found: z*, or the states of a neural ODE that are saved. Where a mask says that the solver
    does not look at all of z*, neither does the loss, nor at the output then.
    """

    z: Tensor  # (B, D)
    outputs: tuple[Tensor, ...]

    @classmethod
    def of(cls, subject: Subject, z: Tensor) -> Loss:
        """A loss for the subject, whose solves find what has the shape of z."""
        generator = torch.Generator().manual_seed(subject.seed)
        looked = subject.looked_at(z)
        with torch.no_grad():
            outputs = subject.head(z) if bool(looked.all()) else ()
        return cls(_random(z, generator) * looked, tuple(_random(v, generator) for v in outputs))

    @property
    def cotangent(self) -> float:
        """The norm of its derivative by z and the output."""
        return math.hypot(*(float(c.norm()) for c in (self.z, *self.outputs)))

    def __call__(self, z: Tensor, outputs: tuple[Tensor, ...]) -> Tensor:
        """The loss, a scalar."""
        pairs = [(self.z, z), *zip(self.outputs, outputs, strict=False)]
        return torch.stack([(c.to(v.dtype) * v).sum() for c, v in pairs]).sum()

    def of_solve(self, subject: Subject, solution: Any) -> Tensor:
        """The loss of a solve of the module."""
        return self(subject.solved(solution), subject.outputs(solution))


def _random(like: Tensor, generator: torch.Generator) -> Tensor:
    size = len(like) * math.sqrt(like[0].numel())
    return torch.randn(like.shape, dtype=like.dtype, generator=generator) / size


def generated(subject: Subject, loss: Loss, solution: Any) -> dict[str, Tensor]:
    """The module's gradients by name; the solution's record tells of the backward solve from then on."""
    return gradients(loss.of_solve(subject, solution), subject.wanted)


def gradients(value: Tensor, wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The derivatives of a scalar by name; zeros where it does not depend on one."""
    if not wanted or not value.requires_grad:
        return {name: torch.zeros_like(tensor) for name, tensor in wanted.items()}
    with torch.random.fork_rng(devices=[]):
        found = torch.autograd.grad(
            value, tuple(wanted.values()), retain_graph=True, allow_unused=True, materialize_grads=True
        )
    return dict(zip(wanted, found, strict=True))
