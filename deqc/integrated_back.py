"""The integrator of torchdiffeq that follows the adjoint equation back, and its options."""

from __future__ import annotations

from dataclasses import replace

from deqc.diagnostics import Problems, Span
from deqc.solvers import SOLVERS
from deqc.solvers.odeint_adjoint import ODEINT_ADJOINT, options_of
from deqc.solvers.torchdiffeq import PREFIX, Integrator
from deqc.spec.lasting import lasting
from deqc.spec.methods import resolved
from deqc.spec.model import Adjoint, Solver


def integrated_back(solver: Solver, adjoint: Adjoint, place: Span | None, problems: Problems) -> Adjoint:
    """`odeint_adjoint` with the options of an integrator that is not the solver's; other adjoints as they are.

    A diagnostic where the solver is not torchdiffeq's, and for an option that the integrator has no use for.
    """
    method, forth = adjoint.method, SOLVERS[solver.method.name]
    place = method.span or place
    if method.name != ODEINT_ADJOINT.name or solver.time is None or place is None:
        return adjoint
    if not isinstance(forth, Integrator):
        message = f"{method.name} is torchdiffeq's, for its own integrators, and the solver is deqc's {forth.name}"
        hint = "write `solver: torchdiffeq.dopri5` or the like, or `adjoint: backsolve`"
        problems.add("E083", place, message, hint=hint)
        return adjoint
    integrator = method.options["integrator"]
    back = forth if integrator is None else SOLVERS[f"{PREFIX}{integrator}"]
    assert isinstance(back, Integrator)
    known = options_of(back)
    for option, value in method.options.items():
        if option not in ("integrator", *known) and value != ODEINT_ADJOINT.defaults[option]:
            message = f"'{option}' is no option of {back.name}, by which {method.name} goes back"
            problems.add("E080", method.spans.get(option, place), message, expected=", ".join(known))
    if back is forth:
        return replace(adjoint, method=replace(method, options={**method.options, "integrator": None}))
    own = lasting(replace(solver, method=resolved(method, back.name, SOLVERS)), solver.time).method.options
    chosen = {name: value for name, value in own.items() if value is not None}
    meant = {"step_rtol": solver.rtol, "step_atol": solver.atol, **chosen}
    options = {name: meant[name] if name in known else value for name, value in method.options.items()}
    return replace(adjoint, method=replace(method, options=options))
