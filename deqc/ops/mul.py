"""`mul`: the entrywise product of branches, each starting from the incoming value."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

from deqc.fields import Field, Kind
from deqc.ops.base import Attributes, Make, Op, Value, reduced
from deqc.ops.code import Code, product
from deqc.ops.shapes import joined
from deqc.types import Type


class Mul(Op):
    """y = a · b · …, entry by entry; all of one shape."""

    name = "mul"
    unbatched = True
    summary = "The entrywise product of two or more branches of equal shape, each starting from the incoming value."
    fields = (
        Field(
            "of",
            Kind.BRANCHES,
            "Two or more computations, each starting from the incoming value; one that begins with `$name` reads that.",
            examples=([[{"linear": 64}, "sigmoid"], "identity"],),
        ),
    )
    principal = "of"
    takes = ("of",)

    def infer(self, attributes: Attributes, *types: Type) -> Type:
        """Equal shapes, unchanged."""
        return joined("mul", *types)

    def flops(self, attributes: Attributes, types: Sequence[Type], result: Type) -> int:
        """One multiplication an entry and operand after the first."""
        return (len(types) - 1) * result.size

    def meaning(self, torch: Any, attributes: Attributes, *tensors: Any) -> Any:
        """Multiplied in order."""
        return reduce(lambda a, b: a * b, tensors)

    def emit(self, attributes: Attributes, result: Type, *operands: Code) -> Code:
        """`a * b`."""
        return product(*operands)

    def adjoint(self, make: Make, node: Value, g: Any) -> Sequence[Any]:
        """G times the product of the other operands."""
        others = [[o for j, o in enumerate(node.operands) if j != i] for i in range(len(node.operands))]
        return [
            reduced(make, make("mul", g, *rest), operand.type)
            for operand, rest in zip(node.operands, others, strict=True)
        ]


OP = Mul()
