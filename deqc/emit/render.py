"""Fills the templates with a plan: `render(plan) -> str`.

Templates hold the text; what depends on the length of a line is laid out here, as `ruff format` would at width 120.
"""

from __future__ import annotations

import functools
import textwrap
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import jinja2

from deqc.emit.bytecode import TemplateCache
from deqc.emit.layout import statement
from deqc.emit.plan import (
    AdjointPlan,
    Argument,
    JacobianPlan,
    LinearPlan,
    Operator,
    Plan,
    ScalePlan,
    SolverPlan,
    TimePlan,
)
from deqc.emit.shine import shine
from deqc.ops.code import Code, Items, Text, call, flat, literal, stretch
from deqc.resources import folder
from deqc.solvers import Iteration
from deqc.solvers.base import Brought, Part
from deqc.solvers.linear import PROBES, REFINES
from deqc.solvers.rounded import ROUNDINGS
from deqc.solvers.trust_region import RADIUS

WIDTH: Final = 120


def render(plan: Plan) -> str:
    """The source of the module that `plan` describes."""
    return _environment().get_template("module.py.jinja").render(plan=plan).rstrip("\n") + "\n"


@functools.cache
def _environment() -> jinja2.Environment:
    templates = folder("templates")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(templates),
        bytecode_cache=TemplateCache(templates),
        undefined=jinja2.StrictUndefined,
        autoescape=False,
        optimized=False,  # constants in templates are few: looking for them takes longer than they do
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals.update(_GLOBALS)
    return environment


def rule(title: str) -> str:
    """The comment that opens a part of the file."""
    return f"# ---- {title} ".ljust(100, "-")


def laid_out(opening: str, items: Sequence[str], closing: str) -> str:
    """A call, signature or subscript: on one line, with its items on a line of their own, or an item a line."""
    line = opening + ", ".join(items) + closing
    if len(line) <= WIDTH or not items:
        return line
    outer = opening[: len(opening) - len(opening.lstrip())]
    inner = outer + " " * 4
    joined = inner + ", ".join(items)
    body = [joined] if len(joined) <= WIDTH else [f"{inner}{item}," for item in items]
    return "\n".join([opening, *body, outer + closing])


def for_each(name: str, function: str, arguments: Sequence[str], values: str) -> str:
    """`name = tuple(function(z, …) for z in values)` in a method, in lines of their own where that is too long."""
    line = f"        {name} = tuple({function}({', '.join(arguments)}) for z in {values})"
    if len(line) <= WIDTH:
        return line
    inner = f"            {function}({', '.join(arguments)}) for z in {values}"
    if len(inner) > WIDTH:
        inner = laid_out(f"            {function}(", arguments, ")") + f"\n            for z in {values}"
    return f"        {name} = tuple(\n{inner}\n        )"


def either(opening: str, one: str, condition: str, other: str) -> str:
    """`opening one if condition else other`, in parentheses where that is too long."""
    line, outer = f"{opening}{one} if {condition} else {other}", opening[: len(opening) - len(opening.lstrip())]
    if len(line) <= WIDTH:
        return line
    inner = outer + " " * 4
    joined = f"{inner}{one} if {condition} else {other}"
    body = [joined] if len(joined) <= WIDTH else [f"{inner}{one}", f"{inner}if {condition}", f"{inner}else {other}"]
    return "\n".join([f"{opening}(", *body, f"{outer})"])


def worded(name: str, text: str) -> str:
    """`name = "text"` in a method, in parentheses where it fits into a line by itself alone."""
    line, alone = f'        {name} = "{text}"', f'            "{text}"'
    return f"        {name} = (\n{alone}\n        )" if len(alone) <= WIDTH < len(line) else line


def returned_tuple(items: Sequence[str], indent: int) -> str:
    """`return a, b, …`, in parentheses with an item a line where that is too long."""
    outer = " " * indent
    line = f"{outer}return {', '.join(items)}"
    if len(line) <= WIDTH:
        return line
    return "\n".join([f"{outer}return (", *(f"{outer}    {item}," for item in items), f"{outer})"])


def indented(text: str, columns: int) -> str:
    """A statement, which may span lines, moved to the right."""
    return textwrap.indent(text, " " * columns)


def typed_arguments(arguments: Sequence[Argument]) -> list[str]:
    """`x: Tensor` for every input."""
    return [f"{argument.name}: Tensor" for argument in arguments]


def argument_names(arguments: Sequence[Argument]) -> list[str]:
    """The names of the inputs."""
    return [argument.name for argument in arguments]


def typed_sizes(names: Sequence[str]) -> list[str]:
    """`N: int` for every name of a dimension."""
    return [f"{name}: int" for name in names]


def module_arguments(names: Sequence[str]) -> list[str]:
    """`cell: nn.Module` for every module of the user's."""
    return [f"{name}: nn.Module" for name in names]


def made_operators(operators: Sequence[Operator]) -> str:
    """`Operators(self.cell, adjacency)`."""
    return f"Operators({', '.join(one.code for one in operators)})"


def batched_shapes(scales: Sequence[ScalePlan]) -> list[str]:
    """`(B, 4)` for every scale."""
    return [f"({', '.join(['B', *map(str, scale.shape)])})" for scale in scales]


def packed_piece(name: str, scale: ScalePlan) -> str:
    """One scale as columns of the packed state."""
    if len(scale.shape) == 1:
        return name
    if len(scale.shape) == 3:
        return f"_flat({name})"
    return f"{name}.unsqueeze(1)" if not scale.shape else f"{name}.flatten(1)"


def checked_piece(name: str, scale: ScalePlan) -> str:
    """The value of one scale, its shape checked."""
    arguments = ", ".join([literal(name).text, name, *map(str, scale.shape)])
    return f"_checked({arguments})"


def packed_pieces(scales: Sequence[ScalePlan]) -> list[str]:
    """Every scale of the tuple z as columns of the packed state."""
    return [packed_piece(checked_piece(f"z[{index}]", scale), scale) for index, scale in enumerate(scales)]


def packed_state(scales: Sequence[ScalePlan]) -> str:
    """`return torch.cat([…], 1)` of all scales."""
    pieces = Items(tuple(map(Text, packed_pieces(scales))))
    return "\n".join(statement("return ", call("torch.cat", pieces, 1), 8))


def unpacked_piece(columns: str, scale: ScalePlan) -> str:
    """Columns of the packed state in the shape of their scale."""
    if len(scale.shape) == 1:
        return columns
    if len(scale.shape) == 3:
        return f"_image({', '.join([columns, *map(str, scale.shape)])})"
    return f"{columns}.squeeze(1)" if not scale.shape else f"{columns}.reshape(-1, {', '.join(map(str, scale.shape))})"


def unpacked_pieces(scales: Sequence[ScalePlan]) -> list[str]:
    """Every scale of the packed state z."""
    return [unpacked_piece(f"z[:, {stretch(scale.start, scale.stop)}]", scale) for scale in scales]


def described_inputs(inputs: Sequence[Argument]) -> list[str]:
    """`("x", x, "float", ("B", "N", 50))` for every input."""
    return [f'("{one.name}", {one.name}, {one.described})' for one in inputs]


def filled_sizes(dimensions: Iterable[str]) -> list[str]:
    """`filled=("N",)`: the sizes of the state, none of which may be zero."""
    return [f"filled={flat(Items(tuple(map(literal, dimensions)), '()'))}"] if dimensions else []


def narrowed(names: Iterable[str]) -> list[str]:
    """`x=self.whole.x[rows]` for every weight of which each sample has its own."""
    return [f"{name}=self.whole.{name}[rows]" for name in names]


def by_name(names: Iterable[str]) -> list[str]:
    """`x=x` for every argument."""
    return [f"{name}={name}" for name in names]


def goal_text(solver: SolverPlan, brackets: str = "{}") -> str:
    """The stop test in words, e.g. `max |f(z) - z| <= ATOL`; `brackets` stand around the names of numbers."""
    return _goal(solver, brackets.format(solver.at("atol")), brackets.format(solver.at("rtol")))


def _goal(solver: SolverPlan, atol: str, rtol: str) -> str:
    norm = {"max": "max |{}|", "l2": "|{}|", "rms": "rms({})"}[solver.norm]
    residual, image = norm.format("f(z) - z"), norm.format("f(z)")
    return {
        "abs_norm": f"{residual} <= {atol}",
        "rel_norm": f"{residual} <= {rtol} {image}",
        "norm": f"{residual} <= {atol} or <= {rtol} {image}",
        "abs": f"every |f(z) - z| <= {atol}",
        "rel": f"every |f(z) - z| <= {rtol} |f(z)|",
    }[solver.mode] + (" over the batch" if solver.coupling == "batch" else "")


def stop_text(solver: SolverPlan) -> str:
    """The stop test with its tolerances, e.g. `max |f(z) - z| <= 1e-3`, or from when to when z is followed."""
    if (time := solver.time) is not None:
        by = ("step_size", "step_rtol", "step_atol")
        held = [f"{name} {value}" for name, value in solver.options.items() if name in by]
        return ", ".join([f"from t = {time.start} to {time.stop}", *held])
    return _goal(solver, solver.atol, solver.rtol)


def solver_text(solver: SolverPlan) -> str:
    """What `extra_repr` says of the solver."""
    by = f" by {solver.linear.name}{_preconditioned(solver.linear)}" if solver.linear else ""
    text = f"{solver.method}{by}, {stop_text(solver)}, at most {solver.max_steps} steps"
    others = [" ".join((one.name, one.evaluation.strip('"'))) for one in solver.settings]
    text += f", where {solver.mask} is true" if solver.mask else ""
    text += ", in mixed precision under autocast" if solver.mixed else ""
    return f"{text} (in eval mode {', '.join(others)})" if others else text


def adjoint_text(adjoint: AdjointPlan) -> str:
    """What `extra_repr` says of the adjoint."""
    if adjoint.linear_solver is None:
        options = [f"{name} {'null' if value == 'None' else value}" for name, value in adjoint.chosen.items()]
        return ", ".join([adjoint.method, *options])
    goal = f"rtol {adjoint.rtol}, atol {adjoint.atol}"
    limit = "" if adjoint.linear_solver == "lu" else f", at most {adjoint.max_steps} steps"
    by = " with the factors of the last step" if adjoint.reuses else _preconditioned(adjoint.linear)
    return f"{adjoint.method} by {adjoint.linear_solver}{by}, {goal}{limit}"


def _preconditioned(linear: LinearPlan | None) -> str:
    over = {"none": "", "diagonal": " over the diagonal", "broyden": " over what the solver has learnt"}
    return "" if linear is None else over[linear.preconditioner]


def jacobian_symbol(loss: JacobianPlan) -> str:
    """The quantity of df/dz that the Jacobian loss is the mean of, over the batch."""
    symbol = {"frobenius": "|df/dz|_F^2", "trace": "tr(df/dz)", "spectral_radius": "spectral radius of df/dz"}
    return symbol[loss.quantity] + (" / D" if loss.options.get("normalize") == "state" else "")


def jacobian_text(loss: JacobianPlan) -> str:
    """What the header, `extra_repr` and `deqc explain` say of the Jacobian loss."""
    product = {"vjp": "J^T v", "jvp": "J v", "finite_difference": "differences"}[loss.mode]
    drawn = f"{loss.samples} {loss.distribution} v a sample"
    steps = f", {loss.options['steps']} steps" if "steps" in loss.options else ""
    held = "" if loss.through_solution else ", z* held fixed"
    return f"{jacobian_symbol(loss)} by {product}{steps}, {drawn}{held}"


def in_a_tuple(numbers: Iterable[str]) -> str:
    """Times or numbers of steps: `(6, 12)`."""
    return flat(Items(tuple(map(Text, numbers)), "()"))


def saved_states(time: TimePlan, states: str, start: str) -> str:
    """Those of the states at the ends of steps that are returned, with that at the start where it is one of them."""
    kept = states if time.ends else f"{states}[:, :-1]"
    return f"torch.cat([{start}.unsqueeze(1), {kept}], 1)" if time.begins else kept


def solver_goal(solver: SolverPlan) -> str:
    """The goal of the solve as an f-string, for messages."""
    goal = goal_text(solver, brackets="{{{}}}") if solver.time is None else "t = {STOP}"
    return f'f"{goal} in {{{solver.at("max_steps")}}} steps"'


def solver_remedy(solver: SolverPlan) -> str:
    """What a user may try when the solve does not converge, as a string of the module."""
    if solver.time is not None:
        return '"Try more max_steps, or a looser tolerance; see solve(...).original."'
    other = solver.iteration.remedy
    return f'"Try more max_steps, a looser tolerance, {other}; see solve(...).original."'


def mode_values(solver: SolverPlan, mode: str) -> list[str]:
    """`max_steps=60` for every setting that depends on the mode."""
    return [f"{one.name}={getattr(one, mode)}" for one in solver.settings]


def solver_title(solver: SolverPlan) -> str:
    """The method in a docstring, with the numbers it names."""
    title = solver.iteration.title
    if solver.time is not None:
        title = title.replace(" on z' = f(z) - z", "")
    for name in solver.iteration.numbers:
        title = title.replace(name.upper(), solver.at(name))
    return title


def adjoint_constants(iteration: Iteration) -> list[str]:
    """The constants that the class of a linear solver is made with."""
    return [f"ADJOINT_{name.upper()}" for name in iteration.numbers]


def iterated(
    solver: SolverPlan, derivative: Sequence[str], limits: Sequence[str], into: str = "return ", f: str = "f"
) -> list[str]:
    """`return _iterate(…)` with the solver made from what it reads, its numbers and its tables, and with its limits."""
    tables = [f"z0.new_tensor({name})" for name in solver.iteration.tables]
    made = call(solver.iteration.class_name, *map(Text, [*derivative, *solver.arguments, *tables]))
    loop = "_iterate_eagerly" if solver.iteration.eager else "_iterate"
    return list(statement(into, call(loop, Text(f), Text("z0"), made, *map(Text, limits)), 4))


def constant_lines(plan: Plan) -> list[str]:
    """The coefficients of the module's solvers, as statements."""
    lines: list[str] = []
    for name, value in {name: value for one in _brought(plan) for name, value in one.constants.items()}.items():
        lines += statement(f"{name} = ", _nested(value), 0)
    return lines


def radius_constants(scheme: str) -> dict[str, str]:
    """The constants of a scheme that moves the radius of a trust region."""
    return {name: literal(value).text for name, value in RADIUS[scheme].items()}


def solver_helpers(plan: Plan) -> frozenset[str]:
    """The functions that the module's solvers call; a step whose factors are kept has one of its own."""
    called = frozenset(helper for one in _brought(plan) for helper in one.helpers)
    return called - {"_dense_solve"} | {"_factorised"} if plan.adjoint.reuses else called


def steps_may_be_refused(plan: Plan) -> bool:
    """Whether a solver of the module refuses steps."""
    return any(one.refuses for one in _brought(plan))


def _brought(plan: Plan) -> list[Brought]:
    """What the solver and that of the adjoint bring into the module."""
    both = {one.name: max(one.training, one.evaluation, key=float) for one in plan.solver.settings if one.type == "int"}
    brought = [plan.solver.iteration.brought({**plan.solver.options, **both})]  # tables for either mode
    if any(one is not None and one.preconditioner == "diagonal" for one in (plan.solver.linear, plan.adjoint.linear)):
        brought.append(Brought({"PROBES": PROBES}))
    if plan.adjoint.reuses:
        brought.append(Brought({"REFINES": REFINES}))
    if plan.solver.mixed:
        brought.append(Brought({"ROUNDINGS": ROUNDINGS}))
    if plan.adjoint.iteration is not None:
        brought.append(plan.adjoint.iteration.brought(plan.adjoint.linear_options))
    return brought


def solver_parts(plan: Plan) -> list[Part]:
    """The classes of the solver, and that of the adjoint's where it is another one."""
    parts = list(plan.solver.iteration.parts(plan.solver.options))
    if plan.adjoint.iteration is not None and adjoint_class(plan) not in [part.class_name for part in parts]:
        name, options = plan.adjoint.iteration.name, plan.adjoint.linear_options
        parts.append(Part(name, adjoint_class(plan), options))
    return parts


def adjoint_class(plan: Plan) -> str:
    """The class that solves the linear system: the solver's, where both are one method with the same choices."""
    linear, solver = plan.adjoint.iteration, plan.solver.iteration
    assert linear is not None
    mine, its = linear.choices(plan.adjoint.linear_options), solver.choices(plan.solver.options)
    return linear.class_name if linear.name != solver.name or mine == its else f"_Adjoint{linear.class_name[1:]}"


def _nested(value: object) -> Code:
    if not isinstance(value, tuple):
        return literal(value)
    return Items(tuple(map(_nested, value)), "()")


def noted(text: str) -> str:
    """A paragraph of a function's docstring."""
    return textwrap.fill(text, WIDTH, initial_indent="    ", subsequent_indent="    ")


def adjoint_solve(adjoint: AdjointPlan) -> str:
    """What messages call the backward solve, in terms of the module."""
    if adjoint.method == "implicit":
        return '"the solve of a further derivative" if record is None else what'
    return '"the way back"' if adjoint.method == "reversible" else '"the backward solve"'


def adjoint_goal(plan: Plan) -> str:
    """The goal of the backward solve as an f-string, for messages."""
    adjoint = plan.adjoint
    if adjoint.method == "odeint_adjoint":
        return 'f"t = {START}"'
    if plan.solver.time is not None:
        most = plan.solver.at("max_steps").replace("settings", "TRAINING")
        return f'f"t = {{START}} in {{{most}}} steps"'
    if adjoint.method == "reversible":
        return 'f"|start found again - start| <= {ADJOINT_DRIFT} |z* - start|"'
    steps = "" if adjoint.linear_solver == "lu" else " in {ADJOINT_STEPS} steps"
    return f'f"|residual| <= {{ADJOINT_RTOL}} |right side| + {{ADJOINT_ATOL}}{steps}"'


def adjoint_remedy(adjoint: AdjointPlan) -> str:
    """What a user may try when the backward solve does not converge, as a string of the module."""
    if adjoint.method == "odeint_adjoint":
        return '"There is no gradient: try more max_num_steps, looser tolerances, or adjoint discrete."'
    if adjoint.method in ("gauss", "backsolve"):
        return '"The gradient is not to be trusted: try more max_steps, or a looser tolerance."'
    if adjoint.method == "reversible":
        return '"The gradient may be inexact: try fewer max_steps, a smaller damping, or adjoint implicit."'
    if adjoint.linear_solver == "lu":
        return '"I - df/dz is close to singular at the solution: the derivative is not to be trusted."'
    return '"The derivative is inexact: try more max_steps of the linear solver, or gmres or lu."'


_GLOBALS: Final[dict[str, Callable[..., object]]] = {
    function.__name__: function
    for function in (
        rule,
        laid_out,
        for_each,
        either,
        worded,
        returned_tuple,
        indented,
        typed_arguments,
        argument_names,
        typed_sizes,
        module_arguments,
        made_operators,
        batched_shapes,
        packed_piece,
        checked_piece,
        packed_state,
        unpacked_piece,
        unpacked_pieces,
        described_inputs,
        filled_sizes,
        by_name,
        narrowed,
        goal_text,
        solver_text,
        adjoint_text,
        jacobian_symbol,
        jacobian_text,
        solver_goal,
        in_a_tuple,
        saved_states,
        solver_remedy,
        iterated,
        adjoint_constants,
        mode_values,
        solver_title,
        constant_lines,
        solver_helpers,
        steps_may_be_refused,
        solver_parts,
        adjoint_class,
        radius_constants,
        noted,
        adjoint_goal,
        adjoint_solve,
        adjoint_remedy,
        shine,
    )
}
