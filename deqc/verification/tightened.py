"""Settings under which a module is as exact as its methods can be within reasonable time."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FunctionType
from typing import Any

from deqc.compiler import Compilation
from deqc.solvers import SOLVERS
from deqc.solvers.flow import Flow
from deqc.solvers.odeint_adjoint import ODEINT_ADJOINT
from deqc.solvers.torchdiffeq import PREFIX
from deqc.verification.checks import EPS
from deqc.verification.subject import Subject

_BACKWARD = {"ADJOINT_RTOL": 1e-13, "ADJOINT_ATOL": 0.0}
_BACKWARD_STEPS = 400
_FORWARD = {"ATOL": 1e-13, "RTOL": 1e-13, "MAX_STEPS": 300}
_AT_REST = {"ATOL": math.inf, "RTOL": math.inf, "SHINE_STEPS": 0}
_LOST = 1e-10  # what undoing the steps of `reversible` may make of rounding
_STEPS = {"MAX_STEPS": 20_000, "MAX_NUM_STEPS": 20_000, "LINEAR_RTOL": 1e-10}  # of a neural ODE
_LENGTH = 0.03  # in time, of steps of its tolerance, which is this to the power of the order of their error
_TIGHTER = 0.03  # that tolerance, at most, in units of the spec's own
_LEAST_TOLERANCE = 1e-13
_SHORTER = 0.1  # steps of a size that is set


@contextmanager
def tight(subject: Subject) -> Iterator[None]:
    """Has the module end its backward solves at rounding, and its solves too where it differentiates their steps.

    A linear solver that is an approximation by choice keeps its number of terms. Where the gradient is made of what
    the solver has learnt, it is to take no step; where steps are undone, so few that it gets back. A neural ODE takes
    shorter steps.
    """
    module = sys.modules[type(subject.model).__module__]
    wanted = _wanted(subject.compilation)
    before = {name: getattr(module, name) for name in (*wanted, "TRAINING", "EVALUATION") if hasattr(module, name)}
    functions = [one for one in vars(module).values() if isinstance(one, FunctionType)]
    defaults = [(one, one.__defaults__, one.__kwdefaults__) for one in functions]
    for name, value in before.items():
        setattr(module, name, wanted.get(name, _moved(value, wanted)))
    for one, given, named in defaults:  # the settings of training are the default of some arguments
        one.__defaults__ = given and tuple(_moved(value, wanted) for value in given)
        one.__kwdefaults__ = named and {name: _moved(value, wanted) for name, value in named.items()}
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(module, name, value)
        for one, given, named in defaults:
            one.__defaults__, one.__kwdefaults__ = given, named


def _moved(value: Any, wanted: dict[str, Any]) -> Any:
    """Settings of a mode with what is wanted in their place; any other value as it is."""
    if type(value).__name__ != "Settings":
        return value
    return value._replace(**{name: wanted[name.upper()] for name in value._fields if name.upper() in wanted})


def _wanted(compilation: Compilation) -> dict[str, Any]:
    """The constants of the module, by name."""
    solver, adjoint = compilation.plan.solver, compilation.plan.adjoint
    if solver.time is not None:
        forth, *back = ({**_STEPS, **_shorter(*one)} for one in _ways(compilation))
        return forth | {f"ADJOINT_{name}": value for one in back for name, value in one.items()}
    wanted: dict[str, Any] = dict(_BACKWARD)
    if adjoint.exact:
        wanted["ADJOINT_STEPS"] = _BACKWARD_STEPS
    match adjoint.method:
        case "unroll":
            wanted |= _FORWARD
        case "shine":
            wanted |= _AT_REST
        case "reversible":
            grows = -math.log(1 - float(solver.evaluated.options["damping"]))
            few = max(1, int(math.log(_LOST / EPS) / grows))
            wanted |= {"ATOL": 0.0, "RTOL": 0.0, "MAX_STEPS": few, "ADJOINT_DRIFT": math.inf}
    return wanted


def _ways(compilation: Compilation) -> Iterator[tuple[Flow, Mapping[str, str]]]:
    """The method that goes forth with its options, and so that of an adjoint with options of its own."""
    solver, adjoint = compilation.plan.solver, compilation.plan.adjoint
    forth = dict(solver.options) | {one.name: one.evaluation for one in solver.settings}
    assert isinstance(solver.iteration, Flow)
    yield solver.iteration, forth
    written = {name: value for name, value in adjoint.options.items() if value != "None"}
    if adjoint.method == ODEINT_ADJOINT.name:
        other = SOLVERS[f"{PREFIX}{written['integrator']}"] if "integrator" in written else solver.iteration
        assert isinstance(other, Flow)
        yield other, written if "integrator" in written else {**forth, **written}


def _shorter(method: Flow, options: Mapping[str, str]) -> dict[str, float]:
    """Settings of more and shorter steps than the options say."""
    if "step_size" in options:
        return {"STEP_SIZE": _SHORTER * float(options["step_size"])}
    own = max(float(options["step_atol"]), float(options["step_rtol"]))
    held = max(min(_LENGTH ** (method.order + 1), _TIGHTER * own), _LEAST_TOLERANCE)
    return {"STEP_RTOL": held, "STEP_ATOL": held}


def digits(compilation: Compilation) -> float:
    """How exact its values and gradients are then: rounding, or of a neural ODE the tolerance of its steps."""
    if compilation.plan.solver.time is None:
        return EPS
    return max(_shorter(*one).get("STEP_RTOL", EPS) for one in _ways(compilation))
