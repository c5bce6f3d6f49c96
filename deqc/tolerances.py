"""The tolerances of an ODE solver's steps, and that there is one: held to none at all, no step can be taken."""

from __future__ import annotations

from collections.abc import Mapping

from deqc.diagnostics import Problems, Span
from deqc.solvers import SOLVERS, Iteration
from deqc.solvers.odeint_adjoint import ODEINT_ADJOINT
from deqc.spec import lasting
from deqc.spec.model import Adjoint, Method, Solver

_LSODA = "LSODA"  # of SciPy the one that takes 0 as it is, and not as a little more than rounding


def settled(
    solver: Solver, iteration: Iteration, options: Mapping[str, object], atol: float, rtol: float
) -> Mapping[str, object]:
    """The solver's options where some follow from others and from the tolerances."""
    return iteration.settled(options, atol, rtol) if solver.time is None else lasting.settled(options, atol, rtol)


def check_tolerances(solver: Solver, adjoint: Adjoint, sections: Mapping[str, Span], problems: Problems) -> None:
    """A diagnostic where the steps of the solver, in either mode, or of `odeint_adjoint` have no tolerance but 0."""
    training, evaluation = _options(solver, {}), _options(solver, solver.evaluation)
    if _nothing(training):
        written = [one for one in ("step_rtol", "rtol", "step_atol", "atol") if one in solver.method.spans]
        _tell(solver.method, written[0], written[0], sections.get("solver"), problems)
    elif _nothing(evaluation):
        own = "step_rtol" if "step_rtol" in solver.evaluation else "rtol"
        _tell(solver.method, "eval", own, sections.get("solver"), problems)
    elif adjoint.method.name == ODEINT_ADJOINT.name:
        back = {name: value for name, value in adjoint.method.options.items() if value is not None}
        if _nothing(back if "integrator" in back else {**training, **back}):
            _tell(adjoint.method, "step_rtol", "step_rtol", sections.get("adjoint"), problems)


def _options(solver: Solver, overlay: Mapping[str, object]) -> Mapping[str, object]:
    """The method's options as they are with these settings over those of training."""
    iteration = SOLVERS[solver.method.name]
    assert isinstance(iteration, Iteration)  # it is no `auto` any more
    own = {name: overlay.get(name, value) for name, value in solver.method.options.items()}
    atol, rtol = overlay.get("atol", solver.atol), overlay.get("rtol", solver.rtol)
    assert isinstance(atol, float)
    assert isinstance(rtol, float)
    return settled(solver, iteration, own, atol, rtol)


def _nothing(options: Mapping[str, object]) -> bool:
    held = [options[name] for name in ("step_rtol", "step_atol") if name in options]
    if not held or any(held) or "step_size" in options:
        return False
    return options.get("algorithm", _LSODA) == _LSODA


def _tell(method: Method, at: str, name: str, section: Span | None, problems: Problems) -> None:
    place = method.spans.get(at) or method.span or section
    if place is not None:
        message = f"{method.name} takes steps with errors below its tolerances, and both of these are 0"
        problems.add("E023", place, message, hint=f"write `{name}: 1e-6`")
