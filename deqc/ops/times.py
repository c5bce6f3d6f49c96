"""`times`: y = c · x."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deqc.fields import Field, Kind
from deqc.ops.base import Attributes, Make, Op, Value
from deqc.ops.code import Code, literal, product
from deqc.types import Type


class Times(Op):
    """y = c · x."""

    name = "times"
    unbatched = True
    summary = "The value times a number."
    fields = (Field("by", Kind.NUMBER, "The factor.", examples=(0.5, -1)),)
    principal = "by"
    elementwise = True
    zero_preserving = True

    def meaning(self, torch: Any, attributes: Attributes, *tensors: Any) -> Any:
        """A product."""
        return tensors[0] * attributes["by"]

    def emit(self, attributes: Attributes, result: Type, *operands: Code) -> Code:
        """`c * x`."""
        return product(literal(attributes["by"]), operands[0])

    def adjoint(self, make: Make, node: Value, g: Any) -> Sequence[Any]:
        """C · g."""
        return (make("times", g, by=node.attributes["by"]),)


OP = Times()
