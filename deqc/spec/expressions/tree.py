"""The syntax tree of an expression; every node knows where it stands, and two trees are equal wherever they stand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from deqc.diagnostics import Span

Number: TypeAlias = int | float | bool


@dataclass(frozen=True)
class Constant:
    """A number, `true` or `false`."""

    value: Number
    span: Span = field(compare=False)

    def __eq__(self, other: object) -> bool:
        # 1, 1.0 and true are equal to Python; to the language they are three values.
        same = isinstance(other, Constant) and type(self.value) is type(other.value)
        return same and isinstance(other, Constant) and self.value == other.value

    def __hash__(self) -> int:
        return hash((type(self.value).__name__, self.value))


@dataclass(frozen=True)
class Name:
    """`width`, or a field of a scope such as `in.channels`."""

    name: str
    member: str | None
    span: Span = field(compare=False)

    @property
    def dotted(self) -> str:
        """The name as it is written."""
        return self.name if self.member is None else f"{self.name}.{self.member}"


@dataclass(frozen=True)
class Unary:
    """`-x` or `not x`."""

    operator: str
    operand: Tree
    span: Span = field(compare=False)


@dataclass(frozen=True)
class Binary:
    """Arithmetic, a comparison, `and` or `or`; the span is the operator's."""

    operator: str
    left: Tree
    right: Tree
    span: Span = field(compare=False)


@dataclass(frozen=True)
class Call:
    """`min(…)`, `max(…)` or `abs(…)`."""

    function: str
    arguments: tuple[Tree, ...]
    span: Span = field(compare=False)


@dataclass(frozen=True)
class Conditional:
    """`then if condition else otherwise`."""

    then: Tree
    condition: Tree
    otherwise: Tree
    span: Span = field(compare=False)


Tree: TypeAlias = "Constant | Name | Unary | Binary | Call | Conditional"


@dataclass(frozen=True)
class Expression:
    """A whole `${…}`: its text as written, its tree and its place; `str()` gives one canonical text per tree."""

    source: str
    tree: Tree
    span: Span

    def free_names(self) -> frozenset[str]:
        """All names that it reads, dotted where they are fields of a scope."""
        return frozenset(name.dotted for name in names(self.tree))

    def __str__(self) -> str:
        return f"${{{_text(self.tree)[0]}}}"


def children(tree: Tree) -> tuple[Tree, ...]:
    """The parts of a node, in the order written."""
    match tree:
        case Constant() | Name():
            return ()
        case Unary():
            return (tree.operand,)
        case Binary():
            return (tree.left, tree.right)
        case Call():
            return tree.arguments
        case Conditional():
            return (tree.then, tree.condition, tree.otherwise)


def names(tree: Tree) -> Iterator[Name]:
    """All uses of names in a tree, in the order written."""
    if isinstance(tree, Name):
        yield tree
    for child in children(tree):
        yield from names(child)


def _levels(*groups: str) -> dict[str, int]:
    return {operator: level for level, group in enumerate(groups, start=1) for operator in group.split()}


# How tightly each operator binds; `if` binds least and has level 0, an atom most.
PRECEDENCE: Final = _levels("or", "and", "not", "< <= > >= == !=", "+ -", "* / // %", "negation", "**")
_ATOM: Final = max(PRECEDENCE.values()) + 1


def _text(tree: Tree) -> tuple[str, int]:
    """The text of a tree with the fewest parentheses, and how tightly it binds."""
    match tree:
        case Constant(value=bool()):
            return ("true" if tree.value else "false"), _ATOM
        case Constant():
            return repr(tree.value), _ATOM
        case Name():
            return tree.dotted, _ATOM
        case Call():
            return f"{tree.function}({', '.join(_text(a)[0] for a in tree.arguments)})", _ATOM
        case Unary(operator="not"):
            level = PRECEDENCE["not"]
            return f"not {_wrapped(tree.operand, level + 1)}", level
        case Unary():
            level = PRECEDENCE["negation"]
            return f"-{_wrapped(tree.operand, level)}", level
        case Binary(operator="**"):
            base, exponent = _wrapped(tree.left, _ATOM), _wrapped(tree.right, PRECEDENCE["negation"])
            return f"{base} ** {exponent}", PRECEDENCE["**"]
        case Binary():
            level = PRECEDENCE[tree.operator]
            left = _wrapped(tree.left, level + 1 if tree.operator in _COMPARISONS else level)
            return f"{left} {tree.operator} {_wrapped(tree.right, level + 1)}", level
        case Conditional():
            parts = (_wrapped(tree.then, 1), _wrapped(tree.condition, 1), _wrapped(tree.otherwise, 0))
            return f"{parts[0]} if {parts[1]} else {parts[2]}", 0


_COMPARISONS: Final = frozenset({"<", "<=", ">", ">=", "==", "!="})


def _wrapped(tree: Tree, least: int) -> str:
    text, level = _text(tree)
    return text if level >= least else f"({text})"
