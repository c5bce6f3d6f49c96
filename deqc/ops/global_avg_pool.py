"""`global_avg_pool`: the mean of each channel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deqc.ops.base import Attributes, Make, Op, Value
from deqc.ops.code import Code, Index, divide, literal, method, product
from deqc.ops.shapes import images
from deqc.types import Type, named


class Spread(Op):
    """g of a channel spread evenly over its pixels."""

    name = "global_avg_pool_pull"
    summary = "g of a channel spread evenly over its pixels."
    step = False
    rows = False

    def infer(self, attributes: Attributes, *types: Type) -> Type:
        """[C] -> [C, H, W]."""
        return types[0].with_shape(types[0].shape[0], attributes["height"], attributes["width"])

    def emit(self, attributes: Attributes, result: Type, *operands: Code) -> Code:
        """A broadcast view."""
        height, width = attributes["height"], attributes["width"]
        pixels = height * width
        known = not named(pixels)
        share = product(literal(1 / pixels), operands[0]) if known else divide(operands[0], literal(pixels))
        return method(Index(share, "..., None, None"), "expand", -1, -1, height, width)

    def adjoint(self, make: Make, node: Value, g: Any) -> Sequence[Any]:
        """The means."""
        return (make("global_avg_pool", g),)


class GlobalAvgPool(Op):
    """The mean of each channel: [C, H, W] becomes [C]."""

    name = "global_avg_pool"
    summary = "The mean of each channel: [C, H, W] becomes [C]."
    companions = (Spread(),)
    rows = False

    def infer(self, attributes: Attributes, *types: Type) -> Type:
        """(C, H, W) -> (C)."""
        return types[0].with_shape(images("global_avg_pool", types[0])[0])

    def flops(self, attributes: Attributes, types: Sequence[Type], result: Type) -> int:
        """One addition an entry."""
        return types[0].size

    def meaning(self, torch: Any, attributes: Attributes, *tensors: Any) -> Any:
        """The mean over height and width."""
        return tensors[0].mean((2, 3))

    def emit(self, attributes: Attributes, result: Type, *operands: Code) -> Code:
        """`x.mean((2, 3))`."""
        return method(operands[0], "mean", literal((2, 3)))

    def adjoint(self, make: Make, node: Value, g: Any) -> Sequence[Any]:
        """Spread evenly."""
        _, height, width = node.operands[0].type.shape
        return (make("global_avg_pool_pull", g, height=height, width=width),)


OP = GlobalAvgPool()
