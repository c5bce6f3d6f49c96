"""`sum_to`: a cotangent summed to the type of an operand that was broadcast."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deqc.ops.base import Attributes, Make, Op, Value
from deqc.ops.code import Code, method
from deqc.types import Type


class SumTo(Op):
    """Sums over the batch and over axes of size 1 or absent in the target.

    A target of shape (C,) stands for channels, axis 0, where `channels` is set, else for features, the last axis.
    """

    name = "sum_to"
    summary = "A sum over the axes along which an operand was broadcast."
    step = False
    rows = False

    def infer(self, attributes: Attributes, *types: Type) -> Type:
        """The target's type."""
        return Type(tuple(attributes["shape"]), attributes["batched"])

    def flops(self, attributes: Attributes, types: Sequence[Type], result: Type) -> int:
        """One addition an entry."""
        return types[0].size

    def emit(self, attributes: Attributes, result: Type, *operands: Code) -> Code:
        """`g.sum((0, 2, 3))`."""
        g, shape, lead = attributes["source"], tuple(attributes["shape"]), int(attributes["lead"])
        if not shape and not attributes["batched"]:
            return method(operands[0], "sum")
        if len(shape) == len(g):
            kept = [i for i, n in enumerate(g) if n == 1 or shape[i] != 1]
            gone = [i + lead for i in range(len(g)) if i not in kept]
            summed = method(operands[0], "sum", _dims(gone), keepdim=True) if gone else operands[0]
            return method(summed, "sum", 0) if lead and not attributes["batched"] else summed
        keep = 0 if attributes.get("channels") else len(g) - 1
        dims = [i + lead for i in range(len(g)) if i != keep]
        dims = [0, *dims] if lead and not attributes["batched"] else dims
        return method(operands[0], "sum", _dims(dims)) if dims else operands[0]

    def rule(self, node: Value) -> bool:
        """Of sums for each sample."""
        return node.type.batched

    def adjoint(self, make: Make, node: Value, g: Any) -> Sequence[Any]:
        """G repeated along what was summed."""
        shape = node.operands[0].type.shape
        if g.type.rank < len(shape):
            ones = (1,) * (len(shape) - g.type.rank)
            g = make(
                "reshape",
                g,
                shape=(*g.type.shape, *ones) if node.attributes.get("channels") else (*ones, *g.type.shape),
            )
        return (g if g.type.shape == shape else make("expand", g, shape=shape),)


def _dims(dims: list[int]) -> int | tuple[int, ...]:
    return dims[0] if len(dims) == 1 else tuple(dims)


OP = SumTo()
