"""What average and maximum pooling share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from deqc.fields import Field, Kind
from deqc.ops.base import Attributes, Op, ShapeError, short, spatial
from deqc.ops.code import Code, call
from deqc.ops.shapes import images
from deqc.types import Type


class Pooling(Op):
    """One number out of each window of an image, channel by channel."""

    fields = (
        Field(
            "kernel",
            Kind.INT,
            "Size of the window, one number or [height, width].",
            minimum=1,
            each=True,
            examples=(2,),
        ),
        Field(
            "stride",
            Kind.INT,
            "Step of the window; its size if absent.",
            default=None,
            nullable=True,
            minimum=1,
            each=True,
        ),
        Field("padding", Kind.INT, "Pixels added on every side.", default=0, minimum=0, each=True),
    )
    principal = "kernel"
    rows = False
    has_rule = False
    torch_name: ClassVar[str]

    def _window(self, attributes: Attributes) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
        kernel, padding = spatial(attributes, "kernel", 2), spatial(attributes, "padding", 2)
        stride = kernel if attributes["stride"] is None else spatial(attributes, "stride", 2)
        return kernel, stride, padding

    def infer(self, attributes: Attributes, *types: Type) -> Type:
        """Sizes by torch's formula."""
        channels, *sizes = images(self.name, types[0])
        kernel, stride, padding = self._window(attributes)
        if any(2 * p > k for p, k in zip(padding, kernel, strict=True)):
            raise ShapeError(f"{self.name} pads by more than half of its window", "padding of at most half the kernel")
        out = [(n + 2 * p - k) // s + 1 for n, k, s, p in zip(sizes, kernel, stride, padding, strict=True)]
        if any(n < 1 for n in out):
            raise ShapeError(f"{self.name}'s window does not fit into an image of {sizes[0]} x {sizes[1]}")
        return types[0].with_shape(channels, *out)

    def flops(self, attributes: Attributes, types: Sequence[Type], result: Type) -> int:
        """One operation an entry of each window."""
        kernel = spatial(attributes, "kernel", 2)
        return result.size * kernel[0] * kernel[1]

    def meaning(self, torch: Any, attributes: Attributes, *tensors: Any) -> Any:
        """Torch's pooling."""
        kernel, stride, padding = self._window(attributes)
        return getattr(torch.nn.functional, self.torch_name)(tensors[0], kernel, stride, padding)

    def emit(self, attributes: Attributes, result: Type, *operands: Code) -> Code:
        """`F.avg_pool2d(x, kernel, stride, padding)`."""
        kernel, stride, padding = self._window(attributes)
        tail = (short(stride), short(padding)) if padding != (0, 0) else (short(stride),) if stride != kernel else ()
        return call(f"F.{self.torch_name}", operands[0], short(kernel), *tail)
