"""Implicit methods for z' = f(z) - z whose linear systems are solved with products (df/dz) v."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from deqc.solvers.adjoint import ASSUME
from deqc.solvers.base import Brought
from deqc.solvers.flow import CONTROL, Controlled

_ROOT = 2**0.5
_SHARE = _ROOT / 4


@dataclass(frozen=True)
class Implicit(Controlled):
    """One that solves linear systems with I - c (df/dz - I), c in proportion to the step; no stiffness bounds that.

    `fraction` is above the error that any mode on the negative axis shows, relative to its part of f(z) - z, which is
    0.07 for the methods of order 2, and 0.29 for implicit Euler at even steps: a linear f keeps no step from growing.
    """

    reads: Literal["", "jacobian", "jvp"] = "jvp"
    linear: bool = True
    newton: bool = False  # whether stages are solved by Newton's method

    def brought(self, options: Mapping[str, str]) -> Brought:
        """Its coefficients, those of the control of steps, and the limits of Newton's method."""
        brought = super().brought(options)
        newton = {"NEWTON_GOAL": 0.01, "NEWTON_SHRINK": 0.5} if self.newton else {}
        return replace(brought, constants={**brought.constants, "DEADBAND": 1.2, **newton})


IMPLICIT_EULER = Implicit(
    "implicit_euler",
    "Implicit Euler steps of order 1 on z' = f(z) - z, each by Newton's method: one evaluation of f and a "
    "linear solve with products (df/dz) v for each Newton step, for stiff f and states of any size (Hairer & Wanner "
    "1996, IV.8).",
    (*CONTROL, ASSUME),
    title="the implicit Euler method on z' = f(z) - z",
    remedy="more steps of the linear solver, a smaller step_rtol, or newton_krylov",
    note="Each of Newton's steps counts as one. A sample whose steps in time shrink to nothing ends as stalled.",
    newton=True,
    order=1,
    error_power=0.7,
    past_power=0.4,
    fraction=0.5,
)

TRBDF2 = Implicit(
    "trbdf2",
    "TR-BDF2 steps of order 2 on z' = f(z) - z, half a trapezoidal rule and a backward difference, each by Newton's "
    "method: one evaluation of f and a linear solve with products (df/dz) v for each Newton step, and one "
    "more of both for the error (Bank et al. 1985; Hosea & Shampine 1996).",
    (*CONTROL, ASSUME),
    title="the method TR-BDF2 on z' = f(z) - z",
    remedy="more steps of the linear solver, a smaller step_rtol, or newton_krylov",
    note="Each of Newton's steps counts as one, and so does the estimate of the error. A sample whose steps in time "
    "shrink to nothing ends as stalled.",
    helpers=("_combined",),
    newton=True,
    constants={
        "DIAGONAL": 1 - _ROOT / 2,
        "STAGES": ((1 - _ROOT / 2,), (_SHARE, _SHARE)),
        "ERROR": ((1 - _ROOT) / 3, 1 / 3, (_ROOT - 2) / 3),
    },
    order=2,
    error_power=0.35,
    past_power=0.2,
    fraction=0.3,
)

ROSENBROCK23 = Implicit(
    "rosenbrock23",
    "Rosenbrock steps of order 2 on z' = f(z) - z, with an error estimate of order 3: two evaluations of f and three "
    "linear solves with products (df/dz) v a step, and no Newton iteration (Shampine & Reichelt 1997).",
    (*CONTROL, ASSUME),
    title="the Rosenbrock method of Shampine and Reichelt on z' = f(z) - z",
    remedy="more steps of the linear solver, a smaller step_rtol, or newton_krylov",
    note="A sample whose steps in time shrink to nothing ends as stalled.",
    template="rosenbrock",
    constants={"DIAGONAL": 1 / (2 + _ROOT), "TWIST": 6 + _ROOT},
    order=2,
    error_power=0.35,
    past_power=0.2,
    fraction=0.3,
)
