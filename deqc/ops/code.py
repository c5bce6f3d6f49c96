"""Python expressions as small trees: ops emit them, `deqc.emit.layout` breaks them into lines."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TypeAlias

ATOM, UNARY, MATMUL, PRODUCT, SUM, COMPARE = range(6)  # how tightly an expression binds, tightest first


@dataclass(frozen=True)
class Text:
    """A finished piece; `binding` says when it needs parentheses."""

    text: str
    binding: int = ATOM


@dataclass(frozen=True)
class Call:
    """`function(arguments…)`; `function` may be a method of an expression."""

    function: Code
    arguments: tuple[Code, ...]


@dataclass(frozen=True)
class Attribute:
    """`value.name`."""

    value: Code
    name: str


@dataclass(frozen=True)
class Items:
    """`(a, b)` or `[a, b]`."""

    items: tuple[Code, ...]
    brackets: str = "[]"


@dataclass(frozen=True)
class Index:
    """`value[index]`."""

    value: Code
    index: str


@dataclass(frozen=True)
class Infix:
    """`a + b + c`: one operator between all operands."""

    operator: str
    operands: tuple[Code, ...]
    binding: int


@dataclass(frozen=True)
class Keyword:
    """`name=value` in a call."""

    name: str
    value: Code


Code: TypeAlias = "Text | Call | Attribute | Items | Index | Infix | Keyword"


def binding(code: Code) -> int:
    """How tightly the expression binds."""
    return code.binding if isinstance(code, (Text, Infix)) else ATOM


def literal(value: object) -> Text:
    """A Python literal. Floats keep every digit; text is escaped, whatever it holds."""
    if isinstance(value, str):
        return Text(json.dumps(value, ensure_ascii=True))
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value < 0:
        return Text(repr(value), UNARY)
    return Text(repr(value))


def call(function: str, *arguments: Code | int | float | bool | str | tuple[int, ...], **keywords: object) -> Call:
    """`function(arguments…, keyword=literal…)`."""
    positional = tuple(a if isinstance(a, _NODES) else literal(a) for a in arguments)
    named = tuple(Keyword(k, v if isinstance(v, _NODES) else literal(v)) for k, v in keywords.items())
    return Call(Text(function), positional + named)


def method(
    value: Code, name: str, *arguments: Code | int | float | bool | str | tuple[int, ...], **keywords: object
) -> Call:
    """`value.name(arguments…)`."""
    return Call(Attribute(value, name), call("", *arguments, **keywords).arguments)


def product(*operands: Code) -> Infix:
    """`a * b * …`."""
    return Infix("*", operands, PRODUCT)


def add(*operands: Code) -> Infix:
    """`a + b + …`."""
    return Infix("+", operands, SUM)


def subtract(a: Code, b: Code) -> Infix:
    """`a - b`."""
    return Infix("-", (a, b), SUM)


def compare(a: Code, operator: str, b: Code) -> Infix:
    """`a > b`."""
    return Infix(operator, (a, b), COMPARE)


def matmul(a: Code, b: Code) -> Infix:
    """`a @ b`, with parentheses around products: few readers know which of * and @ goes first."""
    return Infix("@", (a, b), MATMUL)


_NODES = (Text, Call, Attribute, Items, Index, Infix, Keyword)


def flat(code: Code) -> str:
    """The expression on one line."""
    match code:
        case Text(text=text):
            return text
        case Call(function=function, arguments=arguments):
            return f"{_held(function, ATOM)}({', '.join(map(flat, arguments))})"
        case Attribute(value=value, name=name):
            return f"{_held(value, ATOM)}.{name}"
        case Items(items=items, brackets=brackets):
            comma = "," if brackets == "()" and len(items) == 1 else ""
            return f"{brackets[0]}{', '.join(map(flat, items))}{comma}{brackets[1]}"
        case Index(value=value, index=index):
            return f"{_held(value, ATOM)}[{index}]"
        case Infix(operator=operator, operands=operands, binding=strength):
            # the right operand of - and @ must bind tighter
            first, *rest = operands
            strict = strength - 1 if operator in "-@" or strength == COMPARE else strength
            texts = [_held(first, strength if strength != COMPARE else SUM)]
            texts += [_held(r, strict if not _same(r, operator) else strength - 1) for r in rest]
            return f" {operator} ".join(texts)
        case Keyword(name=name, value=value):
            return f"{name}={flat(value)}"


def _same(code: Code, operator: str) -> bool:
    """Whether a right operand is itself a sum or product: parentheses keep the order of evaluation."""
    return isinstance(code, Infix) and operator in "*+"


def _held(code: Code, strength: int) -> str:
    text = flat(code)
    return text if binding(code) <= strength else f"({text})"
