"""The numbers and words in a step's fields: expressions are computed, bounds checked, defaults filled in."""

from __future__ import annotations

from typing import Any

from deqc.diagnostics import Problems, Span
from deqc.fields import Field, Kind
from deqc.lower.scope import Scope, shape_fields
from deqc.ops.base import Op
from deqc.spec.expressions import Expression, evaluate
from deqc.spec.model import Literal, Number, Sizes, Step
from deqc.types import Type


class InvalidArgumentError(Exception):
    """An argument was wrong; what is wrong has been noted."""


STRUCTURAL = frozenset({Kind.COMPUTATION, Kind.BRANCHES, Kind.VALUE})


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
                items = tuple(number(item, field, step, x, scope, problems) for item in argument.items)
                values[field.name] = items
            elif isinstance(argument, Literal):
                values[field.name] = number(argument, field, step, x, scope, problems)
        except InvalidArgumentError:
            failed = True
    if failed:
        raise InvalidArgumentError
    return values


def number(literal: Literal, field: Field, step: Step, x: Type | None, scope: Scope, problems: Problems) -> Any:
    """One value of a field."""
    if not isinstance(literal.value, Expression):
        return literal.value
    value = computed(literal.value, x, scope, problems)
    wrong = _wrong(field, value)
    if wrong:
        shown = str(value).lower() if isinstance(value, bool) else value
        problems.add(
            "E069",
            literal.span,
            f"{step.name}'s {field.name} is {shown} here: {literal.value}",
            expected=wrong,
        )
        raise InvalidArgumentError
    return value


def computed(expression: Expression, x: Type | None, scope: Scope, problems: Problems) -> Number:
    """The value of an expression where the incoming value has type x."""
    numbers = scope.numbers if x is None else {**scope.numbers, "in": shape_fields(x.shape)}
    value = evaluate(expression, numbers, problems)
    if value is None:
        raise InvalidArgumentError
    return value


def _wrong(field: Field, value: Number) -> str | None:
    """What the field takes, where this value is not it."""
    if field.kind in (Kind.INT, Kind.SHAPE):
        if isinstance(value, bool) or not isinstance(value, int):
            return "a whole number"
        low = 1 if field.kind is Kind.SHAPE else field.minimum
        if low is not None and value < low:
            return f"a whole number of at least {low:g}"
        if field.maximum is not None and value > field.maximum:
            return f"a whole number of at most {field.maximum:g}"
    if field.kind is Kind.BOOL and not isinstance(value, bool):
        return "true or false"
    if field.kind is Kind.NUMBER:
        if isinstance(value, bool):
            return "a number"
        bounds = (
            (field.minimum, value < (field.minimum or 0), "at least"),
            (field.exclusive_minimum, value <= (field.exclusive_minimum or 0), "more than"),
            (field.maximum, value > (field.maximum or 0), "at most"),
            (field.exclusive_maximum, value >= (field.exclusive_maximum or 0), "less than"),
        )
        for bound, broken, word in bounds:
            if bound is not None and broken:
                return f"a number of {word} {bound:g}"
    return None


def place(step: Step, name: str) -> Span:
    """Where a field's value stands, or the step where the field is not written."""
    argument = step.arguments.get(name)
    return step.span if argument is None else argument.span
