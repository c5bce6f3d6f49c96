"""`avg_pool2d`: the mean of each window."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deqc.ops.base import Attributes, Make, Op, Value, spatial
from deqc.ops.code import Code, call, literal, product
from deqc.ops.pooling import Pooling
from deqc.types import Type


class AvgPool2dPull(Op):
    """g spread evenly over each window."""

    name = "avg_pool2d_pull"
    summary = "g spread evenly over each window, the cotangent of the input of avg_pool2d."
    step = False
    rows = False

    def infer(self, attributes: Attributes, *types: Type) -> Type:
        """Larger by the window."""
        (channels, height, width), (kh, kw) = types[0].shape, spatial(attributes, "kernel", 2)
        return types[0].with_shape(channels, height * kh, width * kw)

    def emit(self, attributes: Attributes, result: Type, *operands: Code) -> Code:
        """Nearest enlargement, divided by the window's size."""
        kh, kw = spatial(attributes, "kernel", 2)
        factor = float(kh) if kh == kw else (float(kh), float(kw))
        return product(literal(1 / (kh * kw)), call("F.interpolate", operands[0], scale_factor=factor))

    def adjoint(self, make: Make, node: Value, g: Any) -> Sequence[Any]:
        """The means."""
        return (make("avg_pool2d", g, kernel=node.attributes["kernel"], stride=None, padding=0),)


class AvgPool2d(Pooling):
    """The mean of each window of an image."""

    name = "avg_pool2d"
    summary = "The mean of each window of an image, channel by channel."
    torch_name = "avg_pool2d"
    has_rule = True
    companions = (AvgPool2dPull(),)

    def rule(self, node: Value) -> bool:
        """Of windows that tile the image."""
        kernel, stride, padding = self._window(node.attributes)
        sizes = node.operands[0].type.shape[1:]
        return kernel == stride and padding == (0, 0) and all(n % k == 0 for n, k in zip(sizes, kernel, strict=True))

    def adjoint(self, make: Make, node: Value, g: Any) -> Sequence[Any]:
        """Spread evenly."""
        return (make("avg_pool2d_pull", g, kernel=node.attributes["kernel"]),)


OP = AvgPool2d()
