"""Methods for ordinary differential equations: they follow z' = f(z) - z until it comes to rest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from deqc.fields import Field, Kind
from deqc.solvers.base import Brought, Iteration, Part

# A step h is followed by one of SAFETY past^PAST_POWER / error^ERROR_POWER times h, within the factors; the first step
# that is taken may be followed by one that is FIRST_FACTOR times as large.
_CONTROL = {"SAFETY": 0.9, "LEAST_FACTOR": 0.2, "MOST_FACTOR": 10.0, "FIRST_FACTOR": 1e4}
_FIRST_STEP = 0.1  # relaxed: f(z) - z has an own scale of time, which is 1

OF_REST: Final = ("steady_state", "interval")  # options without a use in a neural ODE, whose time is given
CONTROL = (
    Field(
        "steady_state",
        Kind.CHOICE,
        "What the error of a step in time is held to: a fraction of f(z) - z, so that both fall together until z is "
        "at rest (relaxed), or tolerances for z, with Hairer's first step, as in SciML's SteadyStateDiffEq.jl (seed): "
        "z follows the differential equation closely, and may tremble above the solver's tolerance for ever.",
        default="relaxed",
        choices=("relaxed", "seed"),
    ),
    Field(
        "step_rtol",
        Kind.NUMBER,
        "The relative tolerance for the error of a step in time: of f(z) - z, by default a value of the method's "
        "(relaxed), or of z, by default the solver's rtol (seed).",
        default=None,
        minimum=0,
        examples=(0.01, 1e-4),
    ),
    Field(
        "step_atol",
        Kind.NUMBER,
        "The absolute tolerance for the error of a step in time: by default 0 (relaxed) or the solver's atol (seed).",
        default=None,
        minimum=0,
        examples=(1e-4,),
    ),
)


@dataclass(frozen=True)
class Flow(Iteration):
    """A method for z' = f(z) - z; where it estimates the error of its steps, that is of this order in their length."""

    order: int = 0
    max_steps: int | None = 1000
    counts: bool = True
    kinds: tuple[str, ...] = ("deq", "neural_ode")


@dataclass(frozen=True)
class Controlled(Flow):
    """One whose steps follow the error that it estimates."""

    ends: bool = True
    refuses: bool = True
    error_power: float = 0.0
    past_power: float = 0.0
    fraction: float = 0.0  # of f(z) - z that the error of a step may be, where the state is relaxed
    unrounded: str = "it takes rounding for the error of its steps, and makes them ever shorter"

    def parts(self, options: Mapping[str, str]) -> tuple[Part, ...]:
        """The control of steps, and its class."""
        return (Part("flow", "_Flow", options), *super().parts(options))

    def brought(self, options: Mapping[str, str]) -> Brought:
        """Its coefficients, and those of the control of steps."""
        brought = super().brought(options)
        first = {"FIRST_STEP": _FIRST_STEP} if options["steady_state"] == "relaxed" else {"ORDER": self.order}
        powers = {"ERROR_POWER": self.error_power, "PAST_POWER": self.past_power}
        constants = {**brought.constants, **first, **powers, **_CONTROL}
        return replace(brought, constants=constants, helpers=(*brought.helpers, "_rms"))

    def settled(self, options: Mapping[str, object], atol: float, rtol: float) -> Mapping[str, object]:
        """The options with the tolerances that are meant where none are written."""
        relaxed = options["steady_state"] == "relaxed"
        meant = {"step_atol": 0.0 if relaxed else atol, "step_rtol": self.fraction if relaxed else rtol}
        return {name: meant[name] if value is None else value for name, value in options.items()}
