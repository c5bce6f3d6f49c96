"""Every field reaches the output: another value makes another module, or is told of."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import tables

import deqc
from deqc.compiler import compile_text
from deqc.diagnostics import SpecError
from deqc.explain import explain
from deqc.fields import Field, Kind, Variant
from deqc.ops import STEPS
from deqc.ops.base import HEAD, Op
from deqc.settings import LINEAR, SOLVER, TERMINATION
from deqc.solvers import ADJOINTS, LINEAR_SOLVERS, SOLVERS

SHAPES = ("[8]", "[64]", "[4, 8]", "[8, 8]", "[8, 8, 8]", "[1, 28, 28]", "[2, 4, 4, 4]", "{shape: [8], dtype: int64}")
WEIGHTS = "parameters: {content_bias: [8, 8], position_bias: [8, 8]}"
# What only names a value for later steps; what gives a shape alone, the values tried having the same; a choice of one.
APART = {("as", "name"), ("repeat", "index"), ("expand", "like"), ("last", "like"), ("random", "distribution")}


def spec(op: Op, arguments: dict[str, Any], shape: str) -> str:
    """A spec with the step, where it may stand."""
    step = tables.flow({op.name: arguments} if arguments else op.name, nested=True)
    place = f"head: [$x, {step}]" if HEAD in op.where else f"init: [{step}]"
    return f"deqc: 1\nname: M\ninput: {{x: {shape}}}\n{WEIGHTS}\nscale: [8]\nmain_layers: [{{linear: 8}}]\n{place}\n"


def made(text: str) -> tuple[str, ...]:
    """The module without its hash, or the codes of what is wrong."""
    try:
        return (re.sub(r"[0-9a-f]{64}", "", deqc.compile(text)),)
    except SpecError as fault:
        return tuple(one.code for one in fault.diagnostics)


def right(op: Op, arguments: dict[str, Any]) -> Iterator[str]:
    """The inputs for which the step is right."""
    return (shape for shape in SHAPES if made(spec(op, arguments, shape))[0].startswith('"""'))


def others(field: Field) -> Iterator[object]:
    """Values that are not what the field has by itself."""
    match field.kind:
        case Kind.BOOL:
            yield from (True, False)
        case Kind.INT | Kind.NUMBER:
            numbers = (2, 3, 1, 4, 0, -1, 8) if field.kind is Kind.INT else (0.25, 0.75, 2.5)
            yield from ([[n] * (field.entries or 2) for n in numbers] if field.each else [])
            yield from numbers
        case Kind.CHOICE:
            yield from field.choices
        case Kind.WORD:
            yield "other_name"
        case Kind.SHAPE:
            yield from ([2, 4], [4, 2], [8, 1], [8, 8, 1])
        case Kind.VARIANT:
            for variant in field.variants.values():
                yield {variant.name: options(variant)} if variant.fields else variant.name
        case Kind.BRANCHES:
            yield from (["tanh", "sin"], ["tanh", "sin", "cos"])
        case _:
            yield from ("tanh", ["tanh", "sin"], "$x")


def options(variant: Variant) -> dict[str, object]:
    """Options of a variant, each other than its default."""
    found: dict[str, object] = {}
    for index, one in enumerate(variant.fields):
        found[one.name] = 1 + index if one.kind is Kind.INT else 0.25 + index
    return found


CASES = [(op, field) for op in STEPS.values() for field in op.fields if (op.name, field.name) not in APART]


@pytest.mark.parametrize(("op", "field"), CASES, ids=[f"{op.name}.{field.name}" for op, field in CASES])
def test_a_field_of_a_step(op: Op, field: Field) -> None:
    shown: Any = tables.example(op)
    written = shown[op.name] if isinstance(shown, dict) else {}
    arguments = written if isinstance(written, dict) else {str(op.principal): written}
    bases = list(right(op, arguments))
    assert bases, "the example fits no input"
    shape = bases[0]
    base = made(spec(op, arguments, shape))
    assert any(made(spec(op, {**arguments, field.name: value}, shape)) != base for value in others(field))


DENSE = "deqc: 1\nname: M\ninput: {x: [4]}\nscale: [4]\nmain_layers: [{sum: [{linear: 4}, $x]}, tanh]\n"


def told(section: str) -> str:
    """What the module and explain say, without the hash."""
    try:
        compilation = compile_text(f"{DENSE}{section}\n", "m")
    except SpecError as fault:
        return " ".join(one.code for one in fault.diagnostics)
    return re.sub(r"[0-9a-f]{12,64}", "", compilation.source + explain(compilation))


def settings() -> Iterator[tuple[str, str, Field]]:
    """Every setting: what it stands in, as text with two holes, and its name."""
    for method, description in SOLVERS.items():
        for one in (*SOLVER, *description.fields):
            yield f"solver.{method}", f"solver: {{method: {method}%s}}", one
    for one in TERMINATION:
        yield "termination", "solver: {method: anderson, termination: {mode: norm%s}}", one
    for method, description in ADJOINTS.items():
        for one in description.fields:
            yield f"adjoint.{method}", f"adjoint: {{method: {method}%s}}", one
    for method, description in LINEAR_SOLVERS.items():
        for one in (*LINEAR, *description.fields):
            yield f"linear_solver.{method}", f"adjoint: {{linear_solver: {{method: {method}%s}}}}", one


@pytest.mark.parametrize(
    ("place", "text", "field"), settings(), ids=lambda one: one.name if isinstance(one, Field) else None
)
def test_a_setting(place: str, text: str, field: Field) -> None:
    base = told(text % "")
    values = [one for one in others(field) if not isinstance(one, list)]
    if field.kind is Kind.NUMBER:
        values = [1e-7, 0.31]
    if place == "termination" and field.name == "mode":
        text, base = "solver: {method: anderson, termination: {norm: max%s}}", told("solver: {method: anderson}")
    assert any(told(text % f", {field.name}: {tables.flow(one, nested=True)}") != base for one in values), place
