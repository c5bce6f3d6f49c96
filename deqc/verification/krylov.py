"""Linear systems and eigenvalues of large Jacobians, from products alone, for each sample of a batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor

Map: TypeAlias = Callable[[Tensor], Tensor]

_SPACES = (8, 16, 32, *[64] * 10)  # dimensions of the Krylov spaces of GMRES, one after the other
_EIGENSPACE = 48


def arnoldi(product: Map, b: Tensor, dimension: int) -> tuple[Tensor, Tensor]:
    """V (B, k + 1, D) with orthonormal rows and H (B, k + 1, k) with product(V_k) = V_{k+1} H, V_0 = b / |b|.

    Where the space of a sample grows no further, its vectors are zero from there on (Arnoldi 1951; orthogonalised
    twice, Giraud et al. 2005).
    """
    rows = [_unit(b, torch.zeros_like(b[:, :1]))]
    h = b.new_zeros(len(b), dimension + 1, dimension)
    for k in range(dimension):
        v = product(rows[-1])
        least = 8 * torch.finfo(b.dtype).eps * torch.linalg.vector_norm(v, dim=1, keepdim=True)
        basis = torch.stack(rows, 1)
        for _ in range(2):
            along = basis @ v.unsqueeze(2)
            v = v - (along * basis).sum(1)
            h[:, : k + 1, k] += along.squeeze(2)
        size = torch.linalg.vector_norm(v, dim=1, keepdim=True)
        h[:, k + 1, k] = torch.where(size > least, size, 0.0).squeeze(1)
        rows.append(_unit(v, least))
    return torch.stack(rows, 1), h


def _unit(v: Tensor, least: Tensor) -> Tensor:
    """v of norm 1, zero where it is no longer than `least`."""
    size = torch.linalg.vector_norm(v, dim=1, keepdim=True)
    return torch.where(size > least, v / size.clamp_min(torch.finfo(v.dtype).tiny), 0.0)


def solve(product: Map, b: Tensor, rtol: float) -> tuple[Tensor, Tensor]:
    """x with x - product(x) = b by restarted GMRES (Saad & Schultz 1986), and |residual| / |b| of each sample."""
    x, r = torch.zeros_like(b), b
    size = torch.linalg.vector_norm(b, dim=1)
    norm = size
    for dimension in _SPACES:
        if not bool((norm > rtol * size).any()):
            break
        basis, h = arnoldi(lambda v: v - product(v), r, min(dimension, b.shape[1]))
        goal = torch.zeros_like(h[:, :, :1])
        goal[:, 0, 0] = norm
        y = torch.linalg.pinv(h) @ goal
        x = x + (y * basis[:, :-1]).sum(1)
        r = b - x + product(x)
        norm = torch.linalg.vector_norm(r, dim=1)
    return x, norm / size.clamp_min(torch.finfo(b.dtype).tiny)


def eigenvalues(product: Map, like: Tensor) -> Tensor:
    """The outer eigenvalues of each sample, as a Krylov space shows them: estimates, (B, k)."""
    generator = torch.Generator().manual_seed(0)
    b = torch.randn(like.shape, dtype=like.dtype, generator=generator)
    _, h = arnoldi(product, b, min(_EIGENSPACE, like.shape[1]))
    found: Tensor = torch.linalg.eigvals(h[:, :-1])
    return found
