"""Equilibria and their gradients by the implicit function theorem, from the reference interpreter's f alone."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from deqc.verification import krylov
from deqc.verification.equilibrium import equilibrium
from deqc.verification.found import Spectrum
from deqc.verification.gradients import Loss, gradients
from deqc.verification.krylov import Map
from deqc.verification.linearized import Linearized
from deqc.verification.subject import Subject
from deqc.verification.truth import SingularError, Truth

_ENOUGH = 1e-13  # of the residual of a linear system, relative to its right-hand side
_DOUBTFUL = 1e-9


class AtRest(Truth):
    """The equilibrium near what a solve of the module has found."""

    def __init__(self, subject: Subject, z: Tensor) -> None:
        super().__init__(subject, *equilibrium(subject.meaning, z))

    @cached_property
    def _near(self) -> Linearized:
        return Linearized(self.subject, self.solution)

    @property
    def _through_steps(self) -> bool:
        return self.subject.compilation.plan.adjoint.method in ("unroll", "reversible")

    def solve(self) -> Any:
        """From the equilibrium, or from where the solve starts itself if its steps are differentiated."""
        return self.subject.solve(None if self._through_steps else self.solution)

    def value(self, loss: Loss) -> float:
        """At the equilibrium of the module's f; of steps that are undone, where they lead."""
        if self.subject.compilation.plan.adjoint.method == "reversible":
            return super().value(loss)
        with torch.no_grad():
            z = equilibrium(self.subject.f, self.solution)[0]
            return float(loss(z, self.subject.outputs(self.subject.solve(z))))

    @property
    def spectrum(self) -> Spectrum:
        """The spectral radius of df/dz, and where the Jacobian is dense how far I - df/dz is from singular."""
        radius = self._near.eigenvalues.abs().amax(1)
        distance = torch.linalg.svdvals(self._system)[:, -1].tolist() if self._near.dense else None
        return Spectrum(self._near.dense, tuple(radius.tolist()), distance and tuple(distance))

    @property
    def _system(self) -> Tensor:
        return self._near.identity - self._near.jacobian

    def gradients(self, loss: Loss) -> dict[str, Tensor]:
        """g_theta + (df/dtheta)^T u with g the loss's own derivatives and u = (I - J^T)^-1 g_z."""
        return self._pulled(loss, self._exact)

    def promised(self, loss: Loss, solution: Any) -> dict[str, Tensor]:
        """Of an approximate adjoint with its own u; where steps are undone, those of the same steps."""
        subject = self.subject
        if subject.compilation.plan.adjoint.method == "reversible":
            z = reversible_steps(
                subject.meaning,
                subject.start(),
                float(subject.compilation.plan.solver.evaluated.options["damping"]),
                solution.original.steps - (solution.original.status == subject.model.Status.NON_FINITE).long(),
            )
            return gradients(loss(z, subject.head(z)), subject.wanted)
        return self._pulled(loss, self._cotangent)

    def _pulled(self, loss: Loss, cotangent: Map) -> dict[str, Tensor]:
        z = self._near.z
        value = loss(z, self.subject.head(z))
        (g,) = torch.autograd.grad(value, z, retain_graph=True, materialize_grads=True)
        return gradients(value + (cotangent(g) * self._near.fz).sum(), self.subject.wanted)

    def _exact(self, g: Tensor) -> Tensor:
        product = self._near.product
        if self._near.dense:
            u: Tensor = torch.linalg.solve_ex(self._system.mT, g.unsqueeze(2))[0].squeeze(2)
        else:
            u = krylov.solve(product, g, _ENOUGH)[0]
        if not float((g - u + product(u)).norm()) <= _DOUBTFUL * float(g.norm()):
            raise SingularError
        return u

    def _cotangent(self, g: Tensor) -> Tensor:
        adjoint, product = self.subject.compilation.plan.adjoint, self._near.product
        match adjoint.method:
            case "jfb":
                return g
            case "phantom":
                return partial_sum(product, g, int(adjoint.options["steps"]), float(adjoint.options["damping"]))
            case "shine":
                return g * self.subject.trusted
            case "implicit" if not adjoint.exact:
                return partial_sum(product, g, int(adjoint.max_steps))
        return self._exact(g)


def partial_sum(product: Map, g: Tensor, terms: int, damping: float = 1.0) -> Tensor:
    """d sum_k M^k g over k < terms with M = (1 - d) I + d J^T: the series of (I - J^T)^-1 g, cut off.

    With d = 1 the terms of Neumann; else the gradient of as many steps of z + d (f(z) - z) from the equilibrium.
    """
    total, term = torch.zeros_like(g), damping * g
    for _ in range(terms):
        total = total + term
        term = (1 - damping) * term + damping * product(term)
    return total


def reversible_steps(f: Map, z: Tensor, damping: float, steps: Tensor) -> Tensor:
    """So many steps of each sample, (B,), y + d (f(z) - y) and then z + d (f(y) - z), from y = z; differentiable."""
    y = z
    for k in range(int(steps.amax())):
        on = (k < steps).unsqueeze(1)
        y = torch.where(on, y + damping * (f(z) - y), y)
        z = torch.where(on, z + damping * (f(y) - z), z)
    return z
