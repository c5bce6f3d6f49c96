"""What `auto` becomes once shapes are known, and whether the methods can work for this f."""

from __future__ import annotations

from dataclasses import replace

from deqc.diagnostics import Problems, Span
from deqc.integrated_back import integrated_back
from deqc.ir.graph import Program
from deqc.ir.symmetry import is_symmetric
from deqc.masked import check_mask
from deqc.precision import check_precision
from deqc.solvers import ADJOINTS, LINEAR_SOLVERS, SOLVERS, Description, Iteration, Linear
from deqc.solvers.linear import FACTORISING, SHARING
from deqc.solvers.torchdiffeq import Integrator
from deqc.spec.lasting import lasting, with_enough_steps
from deqc.spec.methods import resolved
from deqc.spec.model import Adjoint, Method, Solver, Spec
from deqc.tolerances import check_tolerances
from deqc.types import named

SMALL = 64  # numbers a state, up to which a dense Jacobian and its factors cost less than iterations
REUSED = 32  # numbers a state, from which factors that Newton's last step has left cost less than others
DENSE = 256  # numbers a state, up to which `deqc verify` looks at the dense Jacobian of each sample
LARGEST_DENSE = 4096  # numbers a state, above which a dense Jacobian a sample is refused


def choose(spec: Spec, program: Program, problems: Problems) -> tuple[Solver, Adjoint]:
    """The solver and the adjoint with `auto` resolved; a dense method on a large state is a diagnostic."""
    small = not named(program.size) and program.size <= SMALL
    dense = all(len(s.shape) == 1 for s in program.scales)
    solver, adjoint = spec.solver, spec.adjoint
    if solver.method.name == "auto":
        name = "newton" if dense and small and solver.precision == "full" else "anderson"
        name = name if solver.time is None else "tsit5"
        solver = replace(solver, method=resolved(solver.method, name, SOLVERS))
    linear = adjoint.linear_solver
    if linear is not None and linear.name == "auto":
        chosen = resolved(linear, "lu" if small else "gmres", LINEAR_SOLVERS)
        if small and program.size >= REUSED and solver.method.name in FACTORISING:
            chosen = replace(chosen, options={**chosen.options, "factors": "last_step"})
        adjoint = replace(adjoint, linear_solver=chosen)
    if solver.time is not None:
        solver = with_enough_steps(lasting(solver, solver.time), spec.sections.get("solver"), problems)
    adjoint = integrated_back(solver, adjoint, spec.sections.get("adjoint"), problems)
    check_tolerances(solver, adjoint, spec.sections, problems)
    check_mask(solver, program, problems)
    check_precision(solver, adjoint, program, problems)
    iteration = SOLVERS[solver.method.name]
    if isinstance(iteration, Iteration) and iteration.reads == "jacobian":
        _check_size(solver.method, "anderson", program, spec.sections.get("solver"), problems)
    for name, part in (("solver", solver), ("adjoint", adjoint)):
        linear = part.linear_solver
        if linear is not None:
            if linear.name == "lu":
                _check_size(linear, "gmres", program, spec.sections.get(name), problems)
            _check_symmetry(linear, part.method, program, spec.sections.get(name), problems)
    place = spec.sections.get("adjoint") or solver.method.span
    _check_differentiable(iteration, solver.best, adjoint, place, problems)
    return solver, adjoint


def _check_differentiable(
    iteration: Description, best: bool, adjoint: Adjoint, section: Span | None, problems: Problems
) -> None:
    """A diagnostic where the adjoint does not work with the solver."""
    place = adjoint.method.span or section
    if place is None:
        return
    name, solvers = adjoint.method.name, ADJOINTS[adjoint.method.name].solvers
    if solvers and iteration.name not in solvers:
        alone = f"{name} works with the solver {' or '.join(solvers)} alone, and this one is {iteration.name}"
        problems.add("E083", place, alone, hint=f"write `solver: {solvers[0]}`, or `adjoint: implicit`")
    _check_left(iteration, adjoint.linear_solver, place, problems)
    if name == "reversible" and best:
        undone = f"{name} undoes the steps from the last iterate, and the termination returns the best one"
        problems.add("E083", place, undone, hint="leave `_best` out of the mode, or use implicit")
    if isinstance(iteration, Integrator) and name in ("gauss", "backsolve"):
        message = f"{name} follows the steps of the solver, and torchdiffeq keeps its own"
        problems.add("E083", place, message, hint="use odeint_adjoint, or tsit5 or another solver of deqc's own")
    elif name in ("unroll", "discrete") and isinstance(iteration, Integrator) and not iteration.differentiable:
        problems.add(
            "E083",
            place,
            f"{name} differentiates every step of the solver, and autograd sees none of {iteration.name}",
            hint=f"use {'implicit' if name == 'unroll' else 'odeint_adjoint'}, or another solver",
        )


# Options of the linear solver that read what a solve leaves: their value, what that is, whose, and another value.
_LEFT = {
    "preconditioner": ("broyden", "the preconditioner broyden is what the solver {} has learnt", SHARING, "diagonal"),
    "factors": ("last_step", "the factors last_step are those of the solver {}", FACTORISING, "solution"),
}


def _check_left(iteration: Description, linear: Method | None, place: Span, problems: Problems) -> None:
    """A diagnostic where the adjoint's linear solver reads what this solver does not leave."""
    for option, (value, what, solvers, other) in _LEFT.items():
        if linear is not None and linear.options.get(option) == value and iteration.name not in solvers:
            problems.add(
                "E083",
                linear.spans.get(option, place),
                f"{what.format(' or '.join(solvers))}, and this one is {iteration.name}",
                hint=f"write `solver: {solvers[0]}`, or `{option}: {other}`",
            )


def _check_symmetry(linear: Method, method: Method, program: Program, section: Span | None, problems: Problems) -> None:
    """A diagnostic where a linear solver for symmetric Jacobians meets one of which nothing is said."""
    description = LINEAR_SOLVERS[linear.name]
    place = linear.span or section
    if not isinstance(description, Linear) or not description.symmetric or place is None:
        return
    if method.options.get("assume") != "symmetric" and not is_symmetric(program):
        problems.add(
            "E082",
            place,
            f"{description.name} needs a symmetric df/dz, and the form of f does not show that it is",
            hint="write `assume: symmetric` beside it where f is a gradient, else use bicgstab",
        )


def _check_size(method: Method, other: str, program: Program, section: Span | None, problems: Problems) -> None:
    """A diagnostic where a method that builds a matrix for every sample meets a large state."""
    place = method.span or section
    if not named(program.size) and program.size > LARGEST_DENSE and place is not None:
        problems.add(
            "E081",
            place,
            f"{method.name} builds a {program.size} x {program.size} matrix for every sample",
            expected=f"a state of at most {LARGEST_DENSE} numbers",
            hint=f"use {other}",
        )
