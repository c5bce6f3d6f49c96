"""Python expressions as small trees: ops emit them, `deqc.emit.layout` breaks them into lines."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TypeAlias

from deqc.types import Dim

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


@dataclass(frozen=True)
class Lambda:
    """`lambda argument: body`, as an argument of a call."""

    argument: str
    body: Code


Code: TypeAlias = "Text | Call | Attribute | Items | Index | Infix | Keyword | Lambda"


def binding(code: Code) -> int:
    """How tightly the expression binds."""
    return code.binding if isinstance(code, (Text, Infix)) else ATOM


def literal(value: object) -> Text:
    """A Python literal. Floats keep every digit; text is escaped, whatever it holds."""
    if isinstance(value, str):
        return Text(json.dumps(value, ensure_ascii=False).encode("ascii", "backslashreplace").decode())
    if isinstance(value, Dim):
        return Text(str(value), ATOM if value.name else SUM if value.product else COMPARE)
    text = repr(value).replace("e+", "e") if isinstance(value, float) else repr(value)
    negative = isinstance(value, (int, float)) and not isinstance(value, bool) and value < 0
    return Text(text, UNARY if negative else ATOM)


def stretch(start: object, stop: object) -> str:
    """`a:b` of an index; spaces around the colon where a side is more than a name or a number."""
    low, high = str(start), str(stop)
    if not any(" " in side for side in (low, high)):
        return f"{low}:{high}"
    return f"{low}{' ' * bool(low)}:{' ' * bool(high)}{high}"


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


def transposed(value: Code) -> Call:
    """`value.transpose(-2, -1)`: `value.mT` is another tensor to torch.compile, and no loop takes both of them."""
    return method(value, "transpose", -2, -1)


def product(*operands: Code) -> Infix:
    """`a * b * …`."""
    return Infix("*", operands, PRODUCT)


def divide(a: Code, b: Code) -> Infix:
    """`a / b`."""
    return Infix("/", (a, b), PRODUCT)


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


_NODES = (Text, Call, Attribute, Items, Index, Infix, Keyword, Lambda)


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
        case Infix():
            return "".join(f"{term.operator}{term.text}" for term in terms(code))
        case Keyword(name=name, value=value):
            return f"{name}={flat(value)}"
        case Lambda(argument=argument, body=body):
            return f"lambda {argument}: {flat(body)}"


@dataclass(frozen=True)
class Term:
    """An operand of a chain of operators of one precedence."""

    operator: str  # before it, with spaces; empty for the first
    code: Code
    held: bool  # whether it stands in parentheses

    @property
    def text(self) -> str:
        """The operand on one line."""
        return f"({flat(self.code)})" if self.held else flat(self.code)


def terms(code: Infix) -> tuple[Term, ...]:
    """The operands as Python groups them: `a - b + c` is one chain of three.

    A right operand binds tighter than its operator, so that parentheses keep the order of evaluation; matrix products
    never stand bare beside `*`, which Python reads from left to right.
    """
    first, *rest = code.operands
    loosest = SUM if code.binding == COMPARE else code.binding
    left = Term("", first, binding(first) > loosest or _mixed(first, code))
    operator = f" {code.operator} "
    right = tuple(Term(operator, r, binding(r) > code.binding - isinstance(r, Infix) or _mixed(r, code)) for r in rest)
    if isinstance(first, Infix) and not left.held and _chained(first, code):
        return (*terms(first), *right)
    return (left, *right)


def _mixed(operand: Code, code: Infix) -> bool:
    return isinstance(operand, Infix) and {operand.operator, code.operator} == {"*", "@"}


def _chained(first: Infix, code: Infix) -> bool:
    return first.operator == code.operator or {first.operator, code.operator} == {"+", "-"}


def _held(code: Code, strength: int) -> str:
    text = flat(code)
    return text if binding(code) <= strength else f"({text})"
