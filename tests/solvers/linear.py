"""Linear maps f(z) = A z + b with a chosen spectrum, another A for each sample, and their fixed points.

The eigenvalues are chosen, the eigenvectors are random: A = Q (Λ + N) Qᵀ with Q orthogonal, Λ block diagonal (a block
of two for a complex pair) and N a small strictly upper part, so that A is not normal.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

SIZE = 6


class Linear(NamedTuple):
    """A batch of maps."""

    a: Tensor  # (B, D, D)
    b: Tensor  # (B, D)

    def __call__(self, z: Tensor) -> Tensor:
        return (self.a @ z.unsqueeze(2)).squeeze(2) + self.b

    @property
    def solution(self) -> Tensor:
        """(I - A)^-1 b."""
        solution: Tensor = torch.linalg.solve(torch.eye(self.b.shape[1], dtype=self.a.dtype) - self.a, self.b)
        return solution


def _real(values: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    return lambda u: torch.diag_embed(values(u))


def _pairs(radius: float) -> Callable[[Tensor], Tensor]:
    """Complex pairs of that modulus, at angles from 0.3 to 3.1."""

    def blocks(u: Tensor) -> Tensor:
        angle = 0.3 + 2.8 * u[:, ::2]
        c, s = radius * angle.cos(), radius * angle.sin()
        pairs = torch.stack([torch.stack([c, -s], 2), torch.stack([s, c], 2)], 2)
        return torch.stack([torch.block_diag(*one) for one in pairs])

    return blocks


# Eigenvalues from numbers u in [0, 1).
FAMILIES: dict[str, Callable[[Tensor], Tensor]] = {
    "contractive": _real(lambda u: 1.6 * u - 0.8),
    "near_one": _real(lambda u: torch.where(u == u.amax(1, keepdim=True), 0.98, u)),
    "rotating": _pairs(0.9),  # half of the pairs turn by more than a right angle
    "expansive": _real(lambda u: torch.where(u < 0.5, 1.5 + 4 * u, -6 * u)),  # on both sides of 1, none near it
    "stiff": _real(lambda u: 0.5 - 30 * u),  # f expands, z' = f(z) - z comes to rest
}


def linear(family: str, batch: int = 5, size: int = SIZE, seed: int = 0) -> Linear:
    """A batch of maps of that family, in float64; b is such that the solutions have entries of about 1."""
    generator = torch.Generator().manual_seed(seed)

    def random(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    u = torch.rand(batch, size, generator=generator, dtype=torch.float64)
    upper = torch.triu(random(batch, size, size), 2) * (0.1 / math.sqrt(size))
    q = torch.linalg.qr(random(batch, size, size))[0]
    a = q @ (FAMILIES[family](u) + upper) @ q.mT
    z = random(batch, size)
    return Linear(a, z - (a @ z.unsqueeze(2)).squeeze(2))


def solved(module: Any, b: Tensor, solve: Callable[[Tensor], tuple[Tensor, ...]]) -> tuple[Tensor, Any]:
    """x and the record of a linear solve of the module for b, given as a function of its goal."""
    unit = torch.ones_like(b[:, :1])
    goal = module._goal(torch.linalg.vector_norm(b, dim=1), unit)
    x, *found = solve(goal)
    return x, module._linear_record(unit, goal, *found)
