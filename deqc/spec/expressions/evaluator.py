"""Computes an expression in a scope; every number on the way is exact or finite, and bounded."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Final

from deqc.diagnostics import Problems, Span
from deqc.spec.expressions.tree import Binary, Call, Conditional, Constant, Expression, Name, Number, Tree, Unary, names
from deqc.spec.names import did_you_mean
from deqc.spec.scalars import MAX_INT
from deqc.types import named

MAX_EXPONENT: Final = 64

# All fields that some scope may have; which of them one has depends on the rank of its shape.
FIELDS: Final = ("rank", "size", "channels", "features", "length", "height", "width", "index", "count")

DIMENSION_HINT: Final = (
    "a number that layers need has to stand in the spec: write it in place of the name, or as a constant"
)

Scope = Mapping[str, "Number | Mapping[str, Number]"]


class _EvaluationError(Exception):
    """A value cannot be computed; says where and why."""

    def __init__(self, code: str, span: Span, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.code, self.span, self.message, self.hint = code, span, message, hint


def evaluate(expression: Expression, scope: Scope, problems: Problems) -> Number | None:
    """The value in that scope; None after a diagnostic. A branch of `if` that is not taken is not computed."""
    unknown = [failed for name in names(expression.tree) if (failed := _unreadable(name, scope))]
    try:
        for failed in unknown:
            problems.add(failed.code, failed.span, failed.message, hint=failed.hint)
        return None if unknown else _value(expression.tree, scope)
    except _EvaluationError as failed:
        problems.add(failed.code, failed.span, failed.message, hint=failed.hint)
        return None


def _unreadable(name: Name, scope: Scope) -> _EvaluationError | None:
    """What is wrong with a use of a name whether or not its value is needed."""
    if name.name not in scope:
        candidates = sorted(scope)
        near = did_you_mean(name.name, candidates)
        guess = f"; did you mean {near!r}?" if near else ""
        hint = f"readable here: {', '.join(candidates)}" if candidates else "no name is readable here"
        return _EvaluationError("E052", name.span, f"unknown name {name.name!r} in an expression{guess}", hint)
    value = scope[name.name]
    if not isinstance(value, Mapping):
        if name.member is None:
            return None
        return _EvaluationError("E053", name.span, f"{name.name!r} is a number and has no field {name.member!r}")
    fields = ", ".join(f"{name.name}.{field}" for field in value)
    if name.member is None:
        return _EvaluationError("E053", name.span, f"{name.name!r} is not a number", f"it has the fields {fields}")
    if name.member in value or name.member in FIELDS:
        return None
    near = did_you_mean(name.member, value) or did_you_mean(name.member, FIELDS)
    guess = f"; did you mean '{name.name}.{near}'?" if near else ""
    return _EvaluationError("E053", name.span, f"{name.name!r} has no field {name.member!r}{guess}", f"it has {fields}")


def _value(tree: Tree, scope: Scope) -> Number:
    match tree:
        case Constant():
            return tree.value
        case Name():
            return _lookup(tree, scope)
        case Unary(operator="not"):
            return not _bool(tree.operand, scope, tree.span, "not")
        case Unary():
            return -_number(tree.operand, scope, tree.span, "-")
        case Binary(operator="and"):
            left = _bool(tree.left, scope, tree.span, "and")
            return left and _bool(tree.right, scope, tree.span, "and")
        case Binary(operator="or"):
            left = _bool(tree.left, scope, tree.span, "or")
            return left or _bool(tree.right, scope, tree.span, "or")
        case Binary(operator="==" | "!="):
            return _equal(tree, scope) is (tree.operator == "==")
        case Binary():
            left_number = _number(tree.left, scope, tree.span, tree.operator)
            right_number = _number(tree.right, scope, tree.span, tree.operator)
            return _binary(tree, left_number, right_number)
        case Call():
            return _CALLS[tree.function](_number(a, scope, tree.span, tree.function) for a in tree.arguments)
        case Conditional():
            taken = tree.then if _bool(tree.condition, scope, tree.span, "if") else tree.otherwise
            return _value(taken, scope)


def _lookup(name: Name, scope: Scope) -> Number:
    value = scope[name.name]
    if name.member is not None and isinstance(value, Mapping):
        if name.member not in value:
            rank = f" of rank {value['rank']}" if "rank" in value else ""
            fields = ", ".join(f"{name.name}.{field}" for field in value)
            message = f"{name.name!r}{rank} has no field {name.member!r}"
            raise _EvaluationError("E053", name.span, message, f"it has {fields}")
        value = value[name.member]
        if named(value):
            message = f"{name.dotted} is {value}, which is known at the call only"
            raise _EvaluationError("E053", name.span, message, DIMENSION_HINT)
    assert not isinstance(value, Mapping), "checked before evaluation"
    return _bounded(value, name.span, name.dotted)


def _number(tree: Tree, scope: Scope, span: Span, operator: str) -> int | float:
    value = _value(tree, scope)
    if isinstance(value, bool):
        raise _EvaluationError("E054", span, f"{operator!r} takes numbers, not {_shown(value)}")
    return value


def _bool(tree: Tree, scope: Scope, span: Span, operator: str) -> bool:
    value = _value(tree, scope)
    if not isinstance(value, bool):
        hint = "compare the number: `n != 0`"
        raise _EvaluationError("E054", span, f"{operator!r} takes true or false, not {_shown(value)}", hint)
    return value


def _equal(tree: Binary, scope: Scope) -> bool:
    left, right = _value(tree.left, scope), _value(tree.right, scope)
    if isinstance(left, bool) is not isinstance(right, bool):
        raise _EvaluationError("E054", tree.span, f"{_shown(left)} and {_shown(right)} cannot be compared")
    return left == right


def _shown(value: Number) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value)


_COMPARE: Final[dict[str, Callable[[float, float], bool]]] = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}
_COMPUTE: Final[dict[str, Callable[[int | float, int | float], int | float]]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "//": lambda a, b: a // b,
    "%": lambda a, b: a % b,
}
_CALLS: Final[dict[str, Callable[..., int | float]]] = {"min": min, "max": max, "abs": lambda one: abs(next(one))}


def _binary(tree: Binary, left: int | float, right: int | float) -> Number:
    operator = tree.operator
    if operator in _COMPARE:
        return _COMPARE[operator](left, right)
    if operator in ("/", "//", "%") and right == 0:
        raise _EvaluationError("E055", tree.span, f"division by zero: {left!r} {operator} {right!r}")
    shown = f"{left!r} {operator} {right!r}"
    if operator == "**":
        return _bounded(_power(left, right, tree.span, shown), tree.span, shown)
    return _bounded(_COMPUTE[operator](left, right), tree.span, shown)


def _power(base: int | float, exponent: int | float, span: Span, shown: str) -> int | float:
    if not 0 <= exponent <= MAX_EXPONENT:
        hint = "write `1 / x ** n` for a negative exponent" if exponent < 0 else None
        raise _EvaluationError("E057", span, f"the exponent of {shown} is not between 0 and {MAX_EXPONENT}", hint)
    if base < 0 and not isinstance(exponent, int):
        raise _EvaluationError("E057", span, f"{shown}: a negative number has no power with a fraction")
    # Known from the bit length alone, before a large number is made.
    if isinstance(base, int) and isinstance(exponent, int) and (abs(base).bit_length() - 1) * exponent > 53:
        raise _EvaluationError("E056", span, f"{shown} is larger than 2**53")
    try:
        return _real(base**exponent)
    except OverflowError:
        raise _EvaluationError("E056", span, f"{shown} is not finite") from None


def _real(value: object) -> int | float:
    assert isinstance(value, int | float), "the power of a number checked above is real"
    return value


def _bounded(value: Number, span: Span, shown: str) -> Number:
    if isinstance(value, float):
        if not math.isfinite(value):
            raise _EvaluationError("E056", span, f"{shown} is not finite")
    elif abs(value) > MAX_INT:
        raise _EvaluationError("E056", span, f"{shown} is larger than 2**53")
    return value
