"""What `auto` becomes once shapes are known, and whether the methods can work for this f."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from deqc.diagnostics import Problems, Span
from deqc.emit.plan import AdjointPlan, SolverPlan
from deqc.ir.graph import Program
from deqc.ops.code import literal
from deqc.solvers import LINEAR_SOLVERS, SOLVERS, Description, Iteration
from deqc.spec.methods import resolved
from deqc.spec.model import Adjoint, Method, Solver, Spec
from deqc.types import named

SMALL = 64  # numbers a state, up to which a dense Jacobian and its factors cost less than iterations
LARGEST_DENSE = 4096  # numbers a state, above which a dense Jacobian a sample is refused


def choose(spec: Spec, program: Program, problems: Problems) -> tuple[Solver, Adjoint]:
    """The solver and the adjoint with `auto` resolved; a dense method on a large state is a diagnostic."""
    small = not named(program.size) and program.size <= SMALL
    dense = all(len(s.shape) == 1 for s in program.scales)
    solver, adjoint = spec.solver, spec.adjoint
    if solver.method.name == "auto":
        name = "newton" if dense and small else "anderson"
        solver = replace(solver, method=resolved(solver.method, name, SOLVERS))
    linear = adjoint.linear_solver
    if linear is not None and linear.name == "auto":
        name = "lu" if small else "gmres"
        adjoint = replace(adjoint, linear_solver=resolved(linear, name, LINEAR_SOLVERS))
    _check_size(solver.method, "newton", "anderson", program, spec.sections.get("solver"), problems)
    if adjoint.linear_solver is not None:
        _check_size(adjoint.linear_solver, "lu", "gmres", program, spec.sections.get("adjoint"), problems)
    return solver, adjoint


def _check_size(
    method: Method, dense: str, other: str, program: Program, section: Span | None, problems: Problems
) -> None:
    place = method.span or section
    if method.name == dense and not named(program.size) and program.size > LARGEST_DENSE and place is not None:
        problems.add(
            "E081",
            place,
            f"{dense} builds a {program.size} x {program.size} matrix for every sample",
            expected=f"a state of at most {LARGEST_DENSE} numbers",
            hint=f"use {other}",
        )


def solver_plan(solver: Solver) -> SolverPlan:
    """The solver as the templates print it."""
    return SolverPlan(
        method=solver.method.name,
        atol=_number(solver.atol),
        rtol=_number(solver.rtol),
        max_steps=_number(solver.max_steps),
        mode=solver.mode,
        norm=solver.norm,
        coupling=solver.coupling,
        on_failure=solver.on_failure,
        options=_texts(solver.method.options),
        iteration=_iteration(SOLVERS[solver.method.name]),
    )


def adjoint_plan(adjoint: Adjoint) -> AdjointPlan:
    """The adjoint as the templates print it."""
    linear = adjoint.linear_solver
    name = linear.name if linear else ""
    options = dict(linear.options) if linear else {}
    shared = {name: _number(options.pop(name, None) or 0.0) for name in ("rtol", "atol")}
    max_steps = options.pop("max_steps", None)
    return AdjointPlan(
        method=adjoint.method.name,
        options=_texts(adjoint.method.options),
        linear_solver=linear.name if linear else None,
        max_steps=_number(max_steps or 0),
        linear_options=_texts(options),
        iteration=next((one for one in (LINEAR_SOLVERS.get(name),) if isinstance(one, Iteration)), None),
        **shared,
    )


def _iteration(description: Description) -> Iteration:
    """The method, which is no `auto` any more."""
    assert isinstance(description, Iteration)
    return description


def _texts(options: Mapping[str, object]) -> dict[str, str]:
    """Options as templates read them: numbers as literals, words as they are."""
    return {name: value if isinstance(value, str) else _number(value) for name, value in options.items()}


def _number(value: object) -> str:
    """A literal, small floats as people write them: 1e-3."""
    text = literal(value).text
    if isinstance(value, float) and 0 < abs(value) < 0.01:
        mantissa, _, exponent = f"{value:e}".partition("e")
        short = f"{float(mantissa):g}e{int(exponent)}"
        return short if float(short) == value else text
    return text
