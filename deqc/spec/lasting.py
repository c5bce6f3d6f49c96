"""How the solver of a neural ODE differs from one that goes to an equilibrium: it follows time, to its end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from math import ceil

from deqc.diagnostics import Problems, Span
from deqc.spec.model import Solver, Time

_STEPS = 10  # of a method with steps of one size, where nothing else is written
_ROUNDING = 1e-6  # the part of a step that is no step of its own


def lasting(solver: Solver, time: Time) -> Solver:
    """The solver of a neural ODE: steps are held to the tolerances for z, and have a size that the time suggests."""
    options = dict(solver.method.options)
    if "steady_state" in options:
        options["steady_state"] = "seed"
    if "step_size" in options and "step_size" not in solver.method.written:
        options["step_size"] = (time.stop - time.start) / _STEPS
    return replace(solver, method=replace(solver.method, options=options), time=time)


def with_enough_steps(solver: Solver, section: Span | None, problems: Problems) -> Solver:
    """The solver with as many steps as its size of them needs; a diagnostic where it may not take these."""
    options, time = solver.method.options, solver.time
    size = options.get("step_size")
    if time is None or not isinstance(size, (int, float)) or not options.keys().isdisjoint(("step_rtol", "max_order")):
        return solver
    place = solver.method.spans.get("max_steps") or section
    needed = _enough(time, size, solver.max_steps, place, problems)
    evaluation = dict(solver.evaluation)
    other, most = evaluation.get("step_size", size), evaluation.get("max_steps", solver.max_steps)
    if isinstance(other, (int, float)) and isinstance(most, int):
        evaluation["max_steps"] = _enough(time, other, most, section, problems)
    return replace(solver, max_steps=needed, evaluation=evaluation)


def _enough(time: Time, size: float, most: int, place: Span | None, problems: Problems) -> int:
    """How many steps of that size lead to the end, by way of the times that are saved; a diagnostic if too many."""
    needed = sum(ceil((b - a) / size - _ROUNDING) for a, b in pairwise((time.start, *time.stops)))
    if needed > most and place is not None and not any(one.code == "E085" for one in problems.found):
        message = f"from {time.start:g} to {time.stop:g} there are {needed} steps of {size:g}"
        hint = f"write `max_steps: {needed}`, or a larger step_size"
        problems.add("E085", place, message, expected=f"at most {most} steps (max_steps)", hint=hint)
    return needed


def settled(options: Mapping[str, object], atol: float, rtol: float) -> Mapping[str, object]:
    """The options of a neural ODE's solver with the tolerances that are meant where none are written."""
    meant = {"step_atol": atol, "step_rtol": rtol}
    return {name: meant[name] if value is None else value for name, value in options.items()}
