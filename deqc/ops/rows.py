"""`rows`: weights above each other, each beginning at a column of its own; what packed products multiply by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deqc.ops.base import Attributes, Make, Op, Value
from deqc.ops.code import Code, Items, call, literal
from deqc.types import Type


class Rows(Op):
    """A matrix of `height` rows and `width` columns: block k begins at (tops[k], lefts[k]), all else is zero."""

    name = "rows"
    summary = "A block matrix out of weights, one above the other, zeros around them."
    step = False
    function = "_rows"

    def infer(self, attributes: Attributes, *types: Type) -> Type:
        """(height, width)."""
        return Type((attributes["height"], attributes["width"]), batched=False)

    def flops(self, attributes: Attributes, types: Sequence[Type], result: Type) -> int:
        """None."""
        return 0

    def meaning(self, torch: Any, attributes: Attributes, *tensors: Any) -> Any:
        """Written into zeros."""
        out = tensors[0].new_zeros(attributes["height"], attributes["width"])
        for block, top, left in zip(tensors, attributes["tops"], attributes["lefts"], strict=True):
            index = (slice(top, top + block.shape[0]), slice(left, left + block.shape[1]))
            mask = torch.zeros_like(out)
            mask[index] = 1
            out = out + mask * torch.nn.functional.pad(
                block, (left, out.shape[1] - left - block.shape[1], top, out.shape[0] - top - block.shape[0])
            )
        return out

    def emit(self, attributes: Attributes, result: Type, *operands: Code) -> Code:
        """`_rows([w, …], tops, lefts, height, width)`."""
        tops, lefts = (Items(tuple(map(literal, attributes[name])), "()") for name in ("tops", "lefts"))
        return call("_rows", Items(operands), tops, lefts, attributes["height"], attributes["width"])

    def adjoint(self, make: Make, node: Value, g: Any) -> Sequence[Any]:
        """Each block's part of g."""
        parts = []
        for block, top, left in zip(node.operands, node.attributes["tops"], node.attributes["lefts"], strict=True):
            height, width = block.type.shape
            stretch = make("slice", g, dim=0, start=top, stop=top + height)
            parts.append(make("slice", stretch, dim=1, start=left, stop=left + width))
        return parts


OP = Rows()
