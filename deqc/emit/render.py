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
from deqc.emit.plan import AdjointPlan, Argument, Operator, Plan, ScalePlan, SolverPlan
from deqc.ops.code import Items, Text, call, flat, literal, stretch
from deqc.resources import folder

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


def by_name(names: Iterable[str]) -> list[str]:
    """`x=x` for every argument."""
    return [f"{name}={name}" for name in names]


def goal_text(solver: SolverPlan) -> str:
    """The stop test in words, e.g. `max |f(z) - z| <= ATOL`."""
    norm = {"max": "max |{}|", "l2": "|{}|", "rms": "rms({})"}[solver.norm]
    residual, image = norm.format("f(z) - z"), norm.format("f(z)")
    return {
        "abs_norm": f"{residual} <= ATOL",
        "rel_norm": f"{residual} <= RTOL {image}",
        "norm": f"{residual} <= ATOL or <= RTOL {image}",
        "abs": "every |f(z) - z| <= ATOL",
        "rel": "every |f(z) - z| <= RTOL |f(z)|",
    }[solver.mode] + (" over the batch" if solver.coupling == "batch" else "")


def solver_text(solver: SolverPlan) -> str:
    """What `extra_repr` says of the solver."""
    goal = goal_text(solver).replace("ATOL", solver.atol).replace("RTOL", solver.rtol)
    return f"{solver.method}, {goal}, at most {solver.max_steps} steps"


def adjoint_text(adjoint: AdjointPlan) -> str:
    """What `extra_repr` says of the adjoint."""
    if adjoint.linear_solver is None:
        return ", ".join([adjoint.method, *(f"{name} {value}" for name, value in adjoint.options.items())])
    goal = f"rtol {adjoint.rtol}, atol {adjoint.atol}"
    limit = "" if adjoint.linear_solver == "lu" else f", at most {adjoint.max_steps} steps"
    return f"{adjoint.method} by {adjoint.linear_solver}, {goal}{limit}"


def solver_goal(solver: SolverPlan) -> str:
    """The goal of the solve as an f-string, for messages."""
    return 'f"' + goal_text(solver).replace("ATOL", "{ATOL}").replace("RTOL", "{RTOL}") + ' in {MAX_STEPS} steps"'


def solver_remedy(solver: SolverPlan) -> str:
    """What a user may try when the solve does not converge, as a string of the module."""
    other = {
        "picard": "a smaller damping, or anderson or newton",
        "anderson": "a smaller damping, or newton",
        "newton": "another start z0, or anderson",
    }[solver.method]
    return f'"Try more max_steps, a looser tolerance, {other}; see solve(...).original."'


def adjoint_goal(adjoint: AdjointPlan) -> str:
    """The goal of the backward solve as an f-string, for messages."""
    steps = "" if adjoint.linear_solver == "lu" else " in {ADJOINT_STEPS} steps"
    return f'f"|residual| <= {{ADJOINT_RTOL}} |gradient| + {{ADJOINT_ATOL}}{steps}"'


def adjoint_remedy(adjoint: AdjointPlan) -> str:
    """What a user may try when the backward solve does not converge, as a string of the module."""
    if adjoint.linear_solver == "lu":
        return '"I - df/dz is close to singular at the solution: the gradient is not to be trusted."'
    return '"The gradient is inexact: try more max_steps of the linear solver, or gmres or lu."'


_GLOBALS: Final[dict[str, Callable[..., object]]] = {
    function.__name__: function
    for function in (
        rule,
        laid_out,
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
        goal_text,
        solver_text,
        adjoint_text,
        solver_goal,
        solver_remedy,
        adjoint_goal,
        adjoint_remedy,
    )
}
