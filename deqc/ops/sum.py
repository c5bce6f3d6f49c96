"""`sum`: the sum of branches, each starting from the incoming value."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

from deqc.fields import Field, Kind
from deqc.ops.base import Attributes, Make, Op, Value, reduced
from deqc.ops.code import Code, add
from deqc.ops.shapes import joined
from deqc.types import Type


class Sum(Op):
    """y = a + b + …; all of one shape."""

    name = "sum"
    unbatched = True
    summary = "The sum of two or more branches of equal shape, each starting from the incoming value."
    fields = (
        Field(
            "of",
            Kind.BRANCHES,
            "Two or more computations, each starting from the incoming value; one that begins with `$name` reads that.",
            examples=([{"linear": 64}, ["$x", {"linear": 64}]],),
        ),
    )
    principal = "of"
    takes = ("of",)

    def infer(self, attributes: Attributes, *types: Type) -> Type:
        """Equal shapes, unchanged."""
        return joined("sum", *types)

    def flops(self, attributes: Attributes, types: Sequence[Type], result: Type) -> int:
        """One addition an entry and operand after the first."""
        return (len(types) - 1) * result.size

    def meaning(self, torch: Any, attributes: Attributes, *tensors: Any) -> Any:
        """Added in order."""
        return reduce(lambda a, b: a + b, tensors)

    def emit(self, attributes: Attributes, result: Type, *operands: Code) -> Code:
        """`a + b`."""
        return add(*operands)

    def adjoint(self, make: Make, node: Value, g: Any) -> Sequence[Any]:
        """Each operand receives g."""
        return [reduced(make, g, operand.type) for operand in node.operands]


OP = Sum()
