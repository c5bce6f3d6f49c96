"""The numbers and words in a step's fields: expressions are computed, bounds checked, defaults filled in."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from deqc.diagnostics import Problems
from deqc.fields import Field, Kind
from deqc.lower.scope import Scope
from deqc.ops.base import Op
from deqc.spec.bounds import conform
from deqc.spec.expressions import Expression, evaluate
from deqc.spec.model import Literal, Number, Sizes, Step
from deqc.spec.shapes import shape_fields
from deqc.types import Type


class InvalidArgumentError(Exception):
    """An argument was wrong; what is wrong has been noted."""


STRUCTURAL = frozenset({Kind.COMPUTATION, Kind.BRANCHES, Kind.VALUE, Kind.VARIANT})


def attributes(op: Op, step: Step, x: Type | None, scope: Scope, problems: Problems) -> dict[str, Any]:
    """The constants of a node made from this step, on an incoming value of type x."""
    values: dict[str, Any] = {}
    failed = False
    for field in op.fields:
        if field.kind in STRUCTURAL:
            continue
        argument = step.arguments.get(field.name)
        try:
            if argument is None:
                values[field.name] = field.default
            elif isinstance(argument, Sizes):
                items = tuple(number(item, field, step.name, x, scope, problems) for item in argument.items)
                values[field.name] = items
            elif isinstance(argument, Literal):
                values[field.name] = number(argument, field, step.name, x, scope, problems)
        except InvalidArgumentError:
            failed = True
    if failed:
        raise InvalidArgumentError
    return values


def number(literal: Literal, field: Field, owner: str, x: Type | None, scope: Scope, problems: Problems) -> Any:
    """One value of a field; what an expression comes to obeys the same bounds as a literal."""
    if not isinstance(literal.value, Expression):
        return literal.value
    value = computed(literal.value, x, scope, problems)
    size = replace(field, kind=Kind.INT, minimum=1) if field.kind is Kind.SHAPE else field
    kept = conform(owner, size, value, literal.span, problems)
    if kept is None:
        raise InvalidArgumentError
    return kept


def computed(expression: Expression, x: Type | None, scope: Scope, problems: Problems) -> Number:
    """The value of an expression where the incoming value has type x."""
    numbers = scope.numbers if x is None else {**scope.numbers, "in": shape_fields(x.shape)}
    value = evaluate(expression, numbers, problems)
    if value is None:
        raise InvalidArgumentError
    return value
