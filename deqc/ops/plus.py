"""`plus`: y = x + c."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deqc.fields import Field, Kind
from deqc.ops.base import Attributes, Make, Op, Value
from deqc.ops.code import Code, add, literal
from deqc.types import Type


class Plus(Op):
    """y = x + c."""

    name = "plus"
    unbatched = True
    summary = "The value plus a number."
    fields = (Field("by", Kind.NUMBER, "The number added.", examples=(1, -0.5)),)
    principal = "by"
    elementwise = True

    def meaning(self, torch: Any, attributes: Attributes, *tensors: Any) -> Any:
        """A sum."""
        return tensors[0] + attributes["by"]

    def emit(self, attributes: Attributes, result: Type, *operands: Code) -> Code:
        """`x + c`."""
        return add(operands[0], literal(attributes["by"]))

    def adjoint(self, make: Make, node: Value, g: Any) -> Sequence[Any]:
        """G."""
        return (g,)


OP = Plus()
