"""The solver, the adjoint and the Jacobian loss that were chosen, as the templates print them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from deqc.emit.plan import AdjointPlan, JacobianPlan, LinearPlan, Setting, SolverPlan, TimePlan
from deqc.ops.code import literal
from deqc.settings import IN_EVALUATION
from deqc.solvers import ADJOINTS, INNER_SOLVERS, LINEAR_SOLVERS, SOLVERS, Iteration, Linear
from deqc.spec.model import Adjoint, JacobianRegularization, Solver, Time
from deqc.tolerances import settled

FIRST_DRAW = 2**31  # draws are numbered from here on: no place in a state has such a number
GOLDEN = 0x9E3779B1  # 2^32 divided by the golden ratio: the sequences of different seeds begin far apart


def solver_plan(solver: Solver) -> SolverPlan:
    """The solver as the templates print it."""
    iteration = SOLVERS[solver.method.name]
    assert isinstance(iteration, Iteration)  # it is no `auto` any more
    if solver.time is not None:
        iteration = replace(iteration, fields=tuple(one for one in iteration.fields if one.name != "interval"))
    options: dict[str, object] = dict(settled(solver, iteration, solver.method.options, solver.atol, solver.rtol))
    linear = None
    if solver.linear_solver is not None:
        description = INNER_SOLVERS[solver.linear_solver.name]
        linear = _linear_plan(description, solver.linear_solver.options, solver.linear_evaluation)
        options |= _inner(solver.linear_solver.options)
        if linear.dense and "forcing" in options:
            options["forcing"] = "fixed"  # each linear solve is exact
        iteration = iteration.by(description, linear.functions)
    return SolverPlan(
        method=solver.method.name,
        atol=_number(solver.atol),
        rtol=_number(solver.rtol),
        max_steps=_number(solver.max_steps),
        mode=solver.test,
        norm=solver.norm,
        coupling=solver.coupling,
        on_failure=solver.on_failure,
        options=texts(options),
        iteration=iteration,
        linear=linear,
        watch=texts(solver.watch),
        best=solver.best,
        trace=solver.trace,
        compaction=solver.compaction,
        mixed=solver.precision == "mixed",
        settings=_settings(solver, iteration, linear, options),
        mask=solver.mask or "",
        time=None if solver.time is None else _time(solver.time),
        record=tuple(map(_number, solver.record)),
    )


def _time(time: Time) -> TimePlan:
    start, stop = _number(time.start), _number(time.stop)
    return TimePlan(start, stop, tuple(map(_number, time.stops)), tuple(map(_number, time.saveat)))


def _linear_plan(
    linear: Linear, options: Mapping[str, object], evaluation: Mapping[str, object] | None = None
) -> LinearPlan:
    """A linear solver as the templates print it: begun anew where a mode has more steps than memory."""
    restarted = False
    for mode in (options, {**options, **(evaluation or {})}):
        steps, memory = mode.get("max_steps"), mode.get("memory")
        restarted = restarted or (isinstance(steps, int) and isinstance(memory, int) and memory < steps)
    return LinearPlan(
        linear.name, linear.title, linear.products, restarted, linear.dense, str(options.get("preconditioner", "none"))
    )


def _inner(options: Mapping[str, object]) -> dict[str, object]:
    """The numbers of a solver's linear solver by the names that they have beside its own."""
    steps, memory = options["max_steps"], options.get("memory")
    return {
        "linear_rtol": options["rtol"],
        "linear_steps": steps,
        "linear_memory": steps if memory is None else memory,
    }


def _settings(
    solver: Solver, iteration: Iteration, linear: LinearPlan | None, options: Mapping[str, object]
) -> tuple[Setting, ...]:
    """What is another in eval mode, as far as the solve reads it."""
    shared = {name: getattr(solver, name) for name in IN_EVALUATION}
    training = {**shared, **options}
    own = {name: solver.evaluation.get(name, value) for name, value in solver.method.options.items()}
    evaluation = {**shared, **own, **solver.evaluation}
    evaluation |= settled(solver, iteration, own, evaluation["atol"], evaluation["rtol"])
    if linear is not None and solver.linear_solver is not None:
        inner = _inner({**solver.linear_solver.options, **solver.linear_evaluation})
        evaluation |= {name: inner[name] for name in linear.numbers}
    found = []
    for name, value in evaluation.items():
        if value != training[name] and name not in solver.untested:
            texts = [f'"{one}"' if isinstance(one, str) else _number(one) for one in (training[name], value)]
            found.append(Setting(name, type(value).__name__, *texts))
    return tuple(found)


def adjoint_plan(adjoint: Adjoint) -> AdjointPlan:
    """The adjoint as the templates print it."""
    linear = adjoint.linear_solver
    description = LINEAR_SOLVERS[linear.name] if linear else None
    options = dict(linear.options) if linear else {}
    shared = {name: _number(options.pop(name, None) or 0.0) for name in ("rtol", "atol")}
    max_steps = options.pop("max_steps", None)
    method, defaults = adjoint.method, ADJOINTS[adjoint.method.name].defaults
    return AdjointPlan(
        method=method.name,
        options=texts(method.options),
        linear_solver=linear.name if linear else None,
        max_steps=_number(max_steps or 0),
        linear_options=texts(options),
        iteration=description if isinstance(description, Iteration) else None,
        linear=_linear_plan(description, linear.options) if linear and isinstance(description, Linear) else None,
        exact=description.exact if isinstance(description, Linear) else True,
        chosen=texts({name: value for name, value in method.options.items() if value != defaults[name]}),
        **shared,
    )


def jacobian_plan(regularization: JacobianRegularization) -> JacobianPlan:
    """The Jacobian loss as the templates print it."""
    return JacobianPlan(
        quantity=regularization.quantity.name,
        options=texts(regularization.quantity.options),
        mode=regularization.mode,
        samples=_number(regularization.samples),
        distribution=regularization.distribution,
        through_solution=regularization.through_solution,
        first_draw=_number(FIRST_DRAW + regularization.seed * GOLDEN % FIRST_DRAW),
    )


def texts(options: Mapping[str, object]) -> dict[str, str]:
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
