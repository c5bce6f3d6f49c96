"""Gradients of a random loss: as a generated module gives them, and as they are by the reference interpreter."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from deqc.choose import DENSE
from deqc.verification import krylov
from deqc.verification.krylov import Map
from deqc.verification.subject import Subject

_ENOUGH = 1e-13  # of the residual of a linear system, relative to its right-hand side
_DOUBTFUL = 1e-9


class SingularError(Exception):
    """I - df/dz is singular, or so close to it that no gradient is exact."""


@dataclass(frozen=True)
class Loss:
    """The mean over the samples of <c, z*> + <c', output> with random c and c' of about unit length.

    Where a mask says that the solver does not look at all of z*, neither does the loss, nor at the output then.
    """

    z: Tensor  # (B, D)
    outputs: tuple[Tensor, ...]

    @classmethod
    def of(cls, subject: Subject, z: Tensor) -> Loss:
        """A loss for the subject, whose states have the shape of z."""
        generator = torch.Generator().manual_seed(subject.seed)
        looked = subject.looked_at(z)
        with torch.no_grad():
            outputs = subject.head(z) if bool(looked.all()) else ()
        return cls(_random(z, generator) * looked, tuple(_random(v, generator) for v in outputs))

    @property
    def cotangent(self) -> float:
        """The norm of its derivative by z* and the output."""
        return math.hypot(*(float(c.norm()) for c in (self.z, *self.outputs)))

    def __call__(self, z: Tensor, outputs: tuple[Tensor, ...]) -> Tensor:
        """The loss, a scalar."""
        pairs = [(self.z, z), *zip(self.outputs, outputs, strict=False)]
        return torch.stack([(c.to(v.dtype) * v).sum() for c, v in pairs]).sum()


def _random(like: Tensor, generator: torch.Generator) -> Tensor:
    size = len(like) * math.sqrt(like[0].numel())
    return torch.randn(like.shape, dtype=like.dtype, generator=generator) / size


def generated(subject: Subject, loss: Loss, solution: Any) -> dict[str, Tensor]:
    """The module's gradients by name; the solution's record tells of the backward solve from then on."""
    return _gradients(loss(subject.packed(solution.z_star), subject.outputs(solution)), subject.wanted)


def _gradients(value: Tensor, wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    if not wanted or not value.requires_grad:
        return {name: torch.zeros_like(tensor) for name, tensor in wanted.items()}
    with torch.random.fork_rng(devices=[]):
        found = torch.autograd.grad(
            value, tuple(wanted.values()), retain_graph=True, allow_unused=True, materialize_grads=True
        )
    return dict(zip(wanted, found, strict=True))


class Exact:
    """The reference interpreter's f at an equilibrium, and by the implicit function theorem what depends on it."""

    def __init__(self, subject: Subject, z_star: Tensor) -> None:
        self._subject = subject
        self.z_star = z_star.detach().requires_grad_()
        self._fz = subject.meaning(self.z_star)
        self.dense = z_star.shape[1] <= DENSE

    def product(self, u: Tensor) -> Tensor:
        """(df/dz)^T u, (B, D)."""
        if not self._fz.requires_grad:
            return torch.zeros_like(u)
        found: Tensor = torch.autograd.grad(self._fz, self.z_star, u, retain_graph=True, materialize_grads=True)[0]
        return found

    @cached_property
    def jacobian(self) -> Tensor:
        """df/dz, (B, D, D), rows are outputs."""
        eye = torch.eye(self.z_star.shape[1], dtype=self.z_star.dtype)
        return torch.stack([self.product(row.expand_as(self.z_star)) for row in eye], 1)

    @cached_property
    def radius(self) -> Tensor:
        """The spectral radius of df/dz of each sample, (B,); an estimate where the Jacobian is not dense."""
        if self.dense:
            radius: Tensor = torch.linalg.eigvals(self.jacobian).abs().amax(1)
            return radius
        return krylov.spectral_radius(self.product, self.z_star)

    @cached_property
    def distance(self) -> Tensor | None:
        """The smallest singular value of I - df/dz of each sample, (B,), where the Jacobian is dense."""
        return torch.linalg.svdvals(self._system)[:, -1] if self.dense else None

    @property
    def _system(self) -> Tensor:
        return torch.eye(self.z_star.shape[1], dtype=self.z_star.dtype) - self.jacobian

    def gradients(self, loss: Loss, promised: bool = False) -> dict[str, Tensor]:
        """The exact gradients by name; those `promised` are what an approximate adjoint means to compute.

        All are g_theta + (df/dtheta)^T u with g the loss's own derivatives. Exact is u = (I - J^T)^-1 g_z.

        Raises:
            SingularError: there is no such u.
        """
        value = loss(self.z_star, self._subject.head(self.z_star))
        (g,) = torch.autograd.grad(value, self.z_star, retain_graph=True, materialize_grads=True)
        return _gradients(value + (self._cotangent(g, promised) * self._fz).sum(), self._subject.wanted)

    def _cotangent(self, g: Tensor, promised: bool) -> Tensor:
        adjoint = self._subject.compilation.plan.adjoint
        match adjoint.method:
            case "jfb" if promised:
                return g
            case "phantom" if promised:
                return partial_sum(self.product, g, int(adjoint.options["steps"]), float(adjoint.options["damping"]))
            case "shine" if promised:
                return g * self._subject.trusted
            case "implicit" if promised and not adjoint.exact:
                return partial_sum(self.product, g, int(adjoint.max_steps))
        if self.dense:
            u: Tensor = torch.linalg.solve_ex(self._system.mT, g.unsqueeze(2))[0].squeeze(2)
        else:
            u = krylov.solve(self.product, g, _ENOUGH)[0]
        if not float((g - u + self.product(u)).norm()) <= _DOUBTFUL * float(g.norm()):
            raise SingularError
        return u


def partial_sum(product: Map, g: Tensor, terms: int, damping: float = 1.0) -> Tensor:
    """d sum_k M^k g over k < terms with M = (1 - d) I + d J^T: the series of (I - J^T)^-1 g, cut off.

    With d = 1 the terms of Neumann; else the gradient of as many steps of z + d (f(z) - z) from the equilibrium.
    """
    total, term = torch.zeros_like(g), damping * g
    for _ in range(terms):
        total = total + term
        term = (1 - damping) * term + damping * product(term)
    return total
