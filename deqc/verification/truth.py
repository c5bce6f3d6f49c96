"""What the solution of a model is, and what its gradients are, by the reference interpreter alone."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor

from deqc.verification.found import Spectrum
from deqc.verification.gradients import Loss
from deqc.verification.subject import Subject


class SingularError(Exception):
    """I - df/dz is singular, or so close to it that no gradient is exact."""


class Truth(ABC):
    """An exact solution, with all that is compared with it.

    `solution` is packed as `Subject.solved` has it, (B, N); `left`, (B,), says how far it is off, relative to the
    larger of 1 and its largest entry. With tight settings the module gets there to rounding; where the solution is
    `approached`, as near as the method of the solve can.
    """

    approached = False
    rounding = 1e-11  # what may be left where the solution is known

    def __init__(self, subject: Subject, solution: Tensor, left: Tensor) -> None:
        self.subject, self.solution, self.left = subject, solution, left

    @property
    def found(self) -> Tensor:
        """The samples whose solution is known, (B,)."""
        return self.left <= self.rounding

    @abstractmethod
    def gradients(self, loss: Loss) -> dict[str, Tensor]:
        """The exact gradients by name.

        Raises:
            SingularError: there are none.
        """

    @abstractmethod
    def promised(self, loss: Loss, solution: Any) -> dict[str, Tensor]:
        """The gradients that the adjoint means to compute of that solve, by name.

        Raises:
            SingularError: there are none.
        """

    @abstractmethod
    def solve(self) -> Any:
        """The module's own solve that is to end as near to the solution as it can."""

    def value(self, loss: Loss) -> float:
        """The loss at the module's own solution, for the parameters and inputs as they are now."""
        with torch.no_grad():
            return float(loss.of_solve(self.subject, self.solve()))

    @property
    @abstractmethod
    def spectrum(self) -> Spectrum:
        """The eigenvalues that matter to the solve."""
