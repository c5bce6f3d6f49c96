"""What all readers of the tree share: the names declared, constants folded into expressions, and where to report."""

from __future__ import annotations

from collections.abc import Mapping as Map
from dataclasses import dataclass

from deqc.diagnostics import Problems
from deqc.fields import Field
from deqc.spec.bounds import conform
from deqc.spec.expressions import Expression, evaluate, is_expression, parse
from deqc.spec.model import Literal, Number, Parameter
from deqc.spec.places import covered, shown
from deqc.spec.tree import Node, Scalar


@dataclass(frozen=True)
class Reader:
    """The surroundings in which a piece of the tree is read."""

    problems: Problems
    constants: Map[str, Number]
    scale_count: int
    signatures: Map[str, tuple[Parameter, ...]]  # of the blocks
    modules: frozenset[str] = frozenset()  # names of the user's modules
    values: frozenset[str] = frozenset()  # inputs and encoder values
    unavailable: frozenset[str] = frozenset()  # names from sections that deqc does not offer yet
    dimensions: frozenset[str] = frozenset()  # names in the shapes of inputs
    unread: frozenset[str] = frozenset()  # constants whose value has been refused

    def malformed(self, node: Node, message: str, code: str = "E022", hint: str | None = None) -> None:
        """Reports what the schema could not know; nothing where it has spoken already."""
        if not covered(self.problems, node.span):
            self.problems.add(code, node.span, f"{message}, found {shown(node)}", hint=hint)

    def expression(self, node: Scalar) -> Number | Expression | None:
        """A scalar `${…}`: a number if it reads constants only, else an expression; None after a diagnostic."""
        parsed = parse(str(node.value), node.span, self.problems, offset=0 if node.plain else 1)
        if parsed is None or parsed.free_names() & self.unread:
            return None
        if parsed.free_names() <= self.constants.keys() | {"scales.count"}:
            return evaluate(parsed, {**self.constants, "scales": {"count": self.scale_count}}, self.problems)
        return parsed

    def number(self, node: Node, owner: str, field: Field) -> Literal | None:
        """A number, a truth value, a word of the field's or an expression; None after a diagnostic."""
        if not isinstance(node, Scalar):
            self.malformed(node, f"{owner}.{field.name} must be a single value")
            return None
        value = node.value
        if value is None or (isinstance(value, str) and not is_expression(value)):
            if (value is None and field.nullable) or value in field.choices:
                return Literal(value, node.span)
            self.malformed(node, f"{owner}.{field.name} must be a number")
            return None
        if isinstance(value, str):
            computed = self.expression(node)
            if computed is None or isinstance(computed, Expression):
                return None if computed is None else Literal(computed, node.span)
            value = computed
        elif covered(self.problems, node.span):
            return None
        conforming = conform(owner, field, value, node.span, self.problems)
        return None if conforming is None else Literal(conforming, node.span)


def is_scalar_expression(node: Node) -> bool:
    """Whether a node is written `${…}`."""
    return isinstance(node, Scalar) and isinstance(node.value, str) and is_expression(node.value)
