"""Settings under which a module is as exact as its methods can be within reasonable time."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FunctionType
from typing import Any

from deqc.compiler import Compilation
from deqc.solvers.flow import Controlled
from deqc.verification.checks import EPS, tolerance
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
_ORDER = 2  # taken to be that of a method that does not say its order


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
        forth, back = _shorter(compilation, solver.evaluated.options), _shorter(compilation, adjoint.options)
        return {**forth, **{f"ADJOINT_{name}": value for name, value in back.items()}}
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


def _shorter(compilation: Compilation, options: Mapping[str, str]) -> dict[str, Any]:
    """Settings of more and shorter steps of a neural ODE than the options say."""
    if (size := options.get("step_size", "None")) != "None":
        return {**_STEPS, "STEP_SIZE": _SHORTER * float(size)}
    return {**_STEPS, "STEP_RTOL": digits(compilation), "STEP_ATOL": digits(compilation)}


def digits(compilation: Compilation) -> float:
    """How exact its values and gradients are then: rounding, or of a neural ODE the tolerance of its steps."""
    own = None if compilation.plan.solver.time is None else tolerance(compilation)
    if own is None:
        return EPS
    iteration = compilation.plan.solver.iteration
    order = iteration.order if isinstance(iteration, Controlled) else _ORDER
    return max(min(_LENGTH ** (order + 1), _TIGHTER * own), _LEAST_TOLERANCE)
