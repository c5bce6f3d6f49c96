"""f at a state, as the reference interpreter has it, and its derivative."""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor

from deqc.choose import DENSE
from deqc.verification import krylov
from deqc.verification.subject import Subject


class Linearized:
    """f near a packed state z (B, D): the value `fz`, and df/dz by products or as a matrix."""

    def __init__(self, subject: Subject, z: Tensor) -> None:
        self.z = z.detach().requires_grad_()
        self.fz = subject.meaning(self.z)
        self.dense = z.shape[1] <= DENSE

    def product(self, u: Tensor) -> Tensor:
        """(df/dz)^T u, (B, D)."""
        if not self.fz.requires_grad:
            return torch.zeros_like(u)
        found: Tensor = torch.autograd.grad(self.fz, self.z, u, retain_graph=True, materialize_grads=True)[0]
        return found

    @cached_property
    def jacobian(self) -> Tensor:
        """df/dz, (B, D, D), rows are outputs."""
        return torch.stack([self.product(row.expand_as(self.z)) for row in self.identity], 1)

    @property
    def identity(self) -> Tensor:
        """(D, D)."""
        return torch.eye(self.z.shape[1], dtype=self.z.dtype)

    @cached_property
    def eigenvalues(self) -> Tensor:
        """Those of df/dz of each sample, complex, (B, D); fewer, and estimates, where the Jacobian is not dense."""
        if not self.dense:
            return krylov.eigenvalues(self.product, self.z)
        found: Tensor = torch.linalg.eigvals(self.jacobian)
        return found
