"""The integrators of the package torchdiffeq, for those who want exactly one of these: they follow z' = f(z) - z."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from deqc.fields import Field, Kind
from deqc.solvers.flow import CONTROL, Flow
from deqc.solvers.runge_kutta import STEP_SIZE

PREFIX: Final = "torchdiffeq."
RELEASE: Final = "0.2.5"  # of PyPI, whose methods these are
EAGER: Final = "torchdiffeq decides by the values of tensors how it goes on"

_INTERVAL = Field(
    "interval",
    Kind.NUMBER,
    "The time over which one step of the solve integrates; the residual is looked at behind it. With max_steps it says "
    "how far the solve follows the differential equation at most.",
    default=1.0,
    exclusive_minimum=0,
    examples=(1.0, 10.0),
)
_LONGER = replace(_INTERVAL, default=5.0)
_RTOL, _ATOL = (
    replace(
        one,
        text=f"The {kind} tolerance for the error of a step in time, in z, above which z trembles: by default a "
        "fraction of the smaller of the solver's atol and rtol, as far as these are not 0.",
        examples=(1e-6,),
    )
    for one, kind in zip(CONTROL[1:], ("relative", "absolute"), strict=True)
)
_MOST = Field(
    "max_num_steps",
    Kind.INT,
    "The most steps in time within an interval. Where they do not reach its end, the samples that are not solved end "
    "as stalled.",
    default=1000,
    minimum=1,
    examples=(1000,),
)
_STEP_SIZE = replace(STEP_SIZE, text=STEP_SIZE.text.replace("The step in time.", "The step in time, at most interval."))
_ORDER = Field(
    "max_order",
    Kind.INT,
    "One more than the largest order. The first steps of every interval are Runge-Kutta steps, and the order grows "
    "with every step behind them; a high one needs a small step_size.",
    default=4,
    minimum=4,
    maximum=12,
    examples=(4, 6),
)
_ALGORITHM = Field(
    "algorithm",
    Kind.CHOICE,
    "The method of scipy.integrate.solve_ivp.",
    default="LSODA",
    choices=("LSODA", "RK45", "RK23", "DOP853", "Radau", "BDF"),
)
BACK: Final = tuple(  # of the options, those of an integrator that follows the adjoint equation back
    replace(one, text=f"{text}: by default the solver's.", default=None, examples=one.examples or one.choices[:2])
    for one, text in (
        (_RTOL, "The relative tolerance for the error of a step back"),
        (_ATOL, "The absolute tolerance for the error of a step back, where lambda is in units of its size at the end"),
        (_MOST, "The most steps back to a time, that of the start or of saveat, before torchdiffeq gives up"),
        (_STEP_SIZE, "The step back in time"),
        (_ORDER, "One more than the largest order of the steps back"),
        (_ALGORITHM, "The method of scipy.integrate.solve_ivp that goes back"),
    )
)


@dataclass(frozen=True)
class Integrator(Flow):
    """A method of torchdiffeq."""

    tighter: float = 10.0  # so many times is the error of a step in time below the solver's tolerance
    differentiable: bool = True  # whether autograd goes through its steps
    unrounded: str = "its steps are torchdiffeq's, to tolerances of their own"

    @property
    def controlled(self) -> bool:
        """Whether its steps follow a norm of their error."""
        return _MOST.name in self.defaults

    def settled(self, options: Mapping[str, object], atol: float, rtol: float) -> Mapping[str, object]:
        """The options with the tolerances that are meant where none are written."""
        meant = min((one for one in (atol, rtol) if one > 0), default=1e-5) / self.tighter
        return {name: meant if value is None else value for name, value in options.items()}


def _integrator(name: str, summary: str, fields: tuple[Field, ...], note: str = "") -> Integrator:
    return Integrator(
        f"{PREFIX}{name}",
        f"torchdiffeq's {name} on z' = f(z) - z: {summary} (Chen 2018).",
        fields,
        eager=EAGER,
        title=f"torchdiffeq's {name} on z' = f(z) - z",
        remedy="tsit5 or another method that steps each sample for itself",
        note=note,
        ends=True,
        template="torchdiffeq",
        integrator=name,
    )


_FIXED = (_INTERVAL, _STEP_SIZE)
_ADAMS = (_INTERVAL, replace(_STEP_SIZE, default=0.2, examples=(0.2, 0.1)), _ORDER)

_SHARED = "The samples of a batch share each step in time: what one of them gets depends on its mates."
_GIVEN_UP = f"{_SHARED} Where torchdiffeq gives up on a step, all that are not solved end as stalled."
_IMPLICIT = (*_ADAMS, _RTOL, _ATOL)


def _controlled(name: str, whose: str, order: int) -> Integrator:
    summary = f"{whose} steps of order {order}, their length by the error"
    return replace(_integrator(name, summary, (_LONGER, _RTOL, _ATOL, _MOST), _GIVEN_UP), order=order)


_SCIPY = _integrator("scipy_solver", "a method of SciPy, on the host", (_LONGER, _RTOL, _ATOL, _ALGORITHM), _GIVEN_UP)

INTEGRATORS: Final = (
    _controlled("dopri8", "Dormand and Prince's", order=8),
    _controlled("dopri5", "Dormand and Prince's", order=5),
    _controlled("bosh3", "Bogacki and Shampine's", order=3),
    replace(_controlled("fehlberg2", "Fehlberg's", order=2), tighter=1e3),  # its estimate is a small part of the error
    _controlled("adaptive_heun", "Heun's", order=2),
    _integrator("euler", "Euler's steps of one size", _FIXED),
    _integrator("midpoint", "steps of one size by the midpoint rule, of order 2", _FIXED),
    _integrator("heun2", "Heun's steps of one size, of order 2", _FIXED),
    _integrator("heun3", "Heun's steps of one size, of order 3", _FIXED),
    _integrator("rk4", "Kutta's 3/8 steps of one size, of order 4", _FIXED),
    _integrator("explicit_adams", "Adams-Bashforth steps of one size", _ADAMS),
    _integrator("implicit_adams", "Adams-Bashforth-Moulton steps of one size", _IMPLICIT, _SHARED),
    _integrator("fixed_adams", "another name of implicit_adams", _IMPLICIT, _SHARED),
    replace(_SCIPY, differentiable=False, order=3),  # the least of its algorithms'
)
