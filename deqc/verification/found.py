"""What was found of a module."""

from __future__ import annotations

from dataclasses import dataclass

from deqc.running import Sample
from deqc.verification.checks import OFF, Check


@dataclass(frozen=True)
class Gradient:
    """The gradient of one parameter or input: its exact norm, and how far the module's is from it, relative."""

    name: str
    norm: float
    error: float  # with backward solves to rounding, from what the adjoint means to compute
    error_as_set: float  # with the tolerances of the spec


@dataclass(frozen=True)
class Spectrum:
    """Of df/dz at z*, or of df/dz - I where a neural ODE ends, by sample."""

    dense: bool  # whether it is that of the whole matrix; else estimated by products alone
    radius: tuple[float, ...]  # spectral radius
    distance: tuple[float, ...] | None = None  # smallest singular value of I - df/dz at z*, where the matrix is dense
    abscissa: tuple[float, ...] | None = None  # largest real part of an eigenvalue, of a neural ODE


@dataclass(frozen=True)
class Backward:
    """What the backward solve took for the sample with most."""

    steps: int
    calls: int  # of f
    products: int


@dataclass(frozen=True)
class Verification:
    """All that was found."""

    size: int  # numbers a state
    exactness: str  # of the adjoint
    samples: tuple[Sample, ...]  # how the module's solve went
    calls: int  # of f on the whole batch
    checks: tuple[Check, ...]
    gradients: tuple[Gradient, ...]
    spectrum: Spectrum | None  # None where the reference finds no solution
    backward: Backward | None  # None where there is no backward solve

    @property
    def good(self) -> bool:
        """Whether nothing is off."""
        return all(check.verdict != OFF for check in self.checks)
