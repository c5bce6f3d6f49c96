"""The adjoint of the package torchdiffeq, for those who want exactly that of a neural ODE."""

from __future__ import annotations

from typing import Final

from deqc.fields import Field, Kind
from deqc.solvers.base import Description
from deqc.solvers.torchdiffeq import BACK, EAGER, INTEGRATORS, Integrator

_INTEGRATOR = Field(
    "integrator",
    Kind.CHOICE,
    "The integrator of torchdiffeq that goes back: by default the solver's, and then all that is not written here is "
    "the solver's too.",
    default=None,
    choices=tuple(one.integrator for one in INTEGRATORS),
    examples=("dopri5", "rk4"),
)
NORM: Final = Field(
    "norm",
    Kind.CHOICE,
    "Whose errors decide how long a step back is: those of z, of lambda and of the integrals for the weights (mixed), "
    "or not of these, on which nothing else depends: fewer steps (seminorm, Kidger et al. 2021).",
    default="mixed",
    choices=("mixed", "seminorm"),
    examples=("seminorm",),
)

ODEINT_ADJOINT: Final = Description(
    "odeint_adjoint",
    "torchdiffeq's odeint_adjoint, beside a solver of torchdiffeq: the gradient of a neural ODE's equation. z is "
    "followed back from its end, beside it lambda' = lambda - (df/dz)^T lambda and the integrals that are the "
    "gradients of the weights, in steps that the whole batch shares. Right to the tolerances of these; memory does not "
    "grow with the steps, and what dies out on the way forth grows on the way back (Chen et al. 2018).",
    (_INTEGRATOR, *BACK, NORM),
    max_steps=None,
    eager=EAGER,
    kinds=("neural_ode",),
)


def options_of(integrator: Integrator) -> tuple[str, ...]:
    """The options of the adjoint that this integrator has a use for on the way back."""
    own = tuple(one.name for one in BACK if one.name in integrator.defaults)
    return (*own, NORM.name) if integrator.controlled else own
