"""Whether f may run in low precision at first: with this solver, this adjoint, and in this model."""

from __future__ import annotations

from collections.abc import Iterator

from deqc.diagnostics import Problems
from deqc.ir.graph import Program, body, called_modules
from deqc.solvers import SOLVERS, Iteration
from deqc.spec.model import Adjoint, Solver

_THROUGH = ("unroll", "reversible")  # adjoints that differentiate the steps that were taken


def check_precision(solver: Solver, adjoint: Adjoint, program: Program, problems: Problems) -> None:
    """A diagnostic for each reason why `precision: mixed` does not work here."""
    place = solver.method.spans.get("precision")
    if solver.precision == "full" or place is None or solver.time is not None:
        return
    for message, hint in _reasons(solver, adjoint, program):
        problems.add("E086", place, message, hint=hint)


def _reasons(solver: Solver, adjoint: Adjoint, program: Program) -> Iterator[tuple[str, str]]:
    iteration = SOLVERS[solver.method.name]
    if isinstance(iteration, Iteration) and not iteration.rounded:
        message = f"mixed precision is for solvers that read f alone, and {iteration.name} reads df/dz"
        if iteration.unrounded:
            message = f"mixed precision does not go with {iteration.name}: {iteration.unrounded}"
        yield message, "write `method: anderson`, or leave precision out"
    name = adjoint.method.name
    if name in _THROUGH:
        message = f"mixed precision does not go with the adjoint {name}: it would differentiate steps by a rounded f"
        yield message, "write `adjoint: implicit`, or leave precision out"
    if modules := called_modules(program):
        message = f"mixed precision casts what f reads, and deqc does not see into {' and '.join(modules)}"
        yield message, "leave precision out, or build the module of steps"
    if any(one.type.sparse for node in body(program) for one in node.operands):
        message = "mixed precision casts what f reads, and torch multiplies few sparse matrices in low precision"
        yield message, "leave precision out, or let the matrix be dense"
