"""Equilibria to rounding, near those that a solver found, with no part of that solver."""

from __future__ import annotations

import math
from functools import partial

import torch
from torch import Tensor

from deqc.verification.krylov import Map, solve

_STEPS = 30
_HALVINGS = 10  # of a step that leads too far, as it does where I - df/dz is nearly singular
_FORCING = 1e-6  # how exactly the linear system of a step is solved
_ENOUGH = 1e-14  # max |f(z) - z|, in units of the larger of 1 and max |z|, that is rounding


def equilibrium(f: Map, z: Tensor) -> tuple[Tensor, Tensor]:
    """The fixed point of f near z, (B, D), and what is left of max |f(z) - z| of each sample, (B,).

    The latter in units of the larger of 1 and max |z|, z the given one.

    Newton's method, whose systems GMRES solves on central differences of f (Knoll & Keyes 2004). Of a step a sample
    takes the whole, or the half, or its half …: the first that makes its residual smaller. It ends where none does:
    at rounding, or stuck.
    """
    with torch.no_grad():
        scale = z.abs().amax(1).clamp_min(1)
        r = f(z) - z
        for _ in range(_STEPS):
            if not bool((_norm(r, scale) > _ENOUGH).any()):
                break
            step = solve(partial(_product, f, z), torch.where(r.isfinite(), r, 0.0), _FORCING)[0]
            z, r, moved = _moved(f, z, r, step, scale)
            if not bool(moved.any()):
                break
        return z, _norm(r, scale)


def _moved(f: Map, z: Tensor, r: Tensor, step: Tensor, scale: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """z and f(z) - z after the first of step, step / 2, step / 4 … that makes the latter less, and where one does."""
    start, norm = z, _norm(r, scale)
    moved = torch.zeros_like(norm, dtype=torch.bool)
    for halvings in range(_HALVINGS + 1):
        new = start + step / 2**halvings
        left = f(new) - new
        better = ~moved & (_norm(left, scale) < norm)
        z, r = (torch.where(better.unsqueeze(1), *pair) for pair in ((new, z), (left, r)))
        moved |= better
        if bool((moved | (norm <= _ENOUGH)).all()):
            break
    return z, r, moved


def _norm(r: Tensor, scale: Tensor) -> Tensor:
    return (r.abs().amax(1) / scale).nan_to_num(torch.inf)


def _product(f: Map, z: Tensor, v: Tensor) -> Tensor:
    """(df/dz) v by central differences; zero where that is no number."""
    size = torch.linalg.vector_norm(v, dim=1, keepdim=True)
    scale = 1 + torch.linalg.vector_norm(z, dim=1, keepdim=True)
    h = math.cbrt(torch.finfo(z.dtype).eps) * scale / size.clamp_min(torch.finfo(z.dtype).tiny)
    h = torch.where(size > 0, h, 0.0)
    product = torch.where(size > 0, (f(z + h * v) - f(z - h * v)) / (2 * h), 0.0)
    return torch.where(product.isfinite(), product, 0.0)
