"""`upsample`: an image enlarged by a whole factor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deqc.fields import Field, Kind
from deqc.ops.base import Attributes, Make, Op, Value
from deqc.ops.code import Code, call
from deqc.ops.shapes import images
from deqc.types import Type


class UpsamplePull(Op):
    """The sum of g over each factor x factor square: the transpose of nearest enlargement."""

    name = "upsample_pull"
    summary = "The sum over each square of pixels that nearest enlargement made of one."
    step = False
    rows = False

    def infer(self, attributes: Attributes, *types: Type) -> Type:
        """Smaller by the factor."""
        channels, height, width = types[0].shape
        return types[0].with_shape(channels, height // attributes["factor"], width // attributes["factor"])

    def emit(self, attributes: Attributes, result: Type, *operands: Code) -> Code:
        """An average with divisor 1."""
        return call("F.avg_pool2d", operands[0], attributes["factor"], divisor_override=1)

    def adjoint(self, make: Make, node: Value, g: Any) -> Sequence[Any]:
        """Enlarged again."""
        return (make("upsample", g, factor=node.attributes["factor"], mode="nearest"),)


class Upsample(Op):
    """An image enlarged by a whole factor."""

    name = "upsample"
    summary = "An image enlarged by a whole factor in height and width."
    fields = (
        Field("factor", Kind.INT, "How many times higher and wider.", minimum=1, maximum=1024, examples=(2,)),
        Field("mode", Kind.CHOICE, "How new pixels are made.", default="nearest", choices=("nearest", "bilinear")),
    )
    principal = "factor"
    companions = (UpsamplePull(),)
    rows = False

    def infer(self, attributes: Attributes, *types: Type) -> Type:
        """(C, H, W) -> (C, factor · H, factor · W)."""
        channels, height, width = images("upsample", types[0])
        return types[0].with_shape(channels, height * attributes["factor"], width * attributes["factor"])

    def meaning(self, torch: Any, attributes: Attributes, *tensors: Any) -> Any:
        """Pixels repeated, or torch's interpolation."""
        x, factor = tensors[0], attributes["factor"]
        if attributes["mode"] == "nearest":
            return x.repeat_interleave(factor, 2).repeat_interleave(factor, 3)
        return torch.nn.functional.interpolate(x, scale_factor=factor, mode="bilinear")

    def emit(self, attributes: Attributes, result: Type, *operands: Code) -> Code:
        """`F.interpolate(x, scale_factor=2)`."""
        mode = {} if attributes["mode"] == "nearest" else {"mode": "bilinear"}
        return call("F.interpolate", operands[0], scale_factor=float(attributes["factor"]), **mode)

    def rule(self, node: Value) -> bool:
        """Of the nearest mode."""
        return bool(node.attributes["mode"] == "nearest")

    def adjoint(self, make: Make, node: Value, g: Any) -> Sequence[Any]:
        """Sums over the squares."""
        return (make("upsample_pull", g, factor=node.attributes["factor"]),)


OP = Upsample()
