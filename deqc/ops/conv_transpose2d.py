"""`conv_transpose2d`: a transposed two-dimensional convolution over [channels, height, width]."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deqc.fields import Field, Kind
from deqc.ops.base import Attributes, ShapeError, short, spatial
from deqc.ops.code import Code, call
from deqc.ops.convolution import Convolutional, fields, geometry_of, padding_of
from deqc.types import Type


class ConvTranspose2d(Convolutional):
    """y = Kᵀ x + b, K the convolution of that geometry; torch's nn.ConvTranspose2d."""

    name = "conv_transpose2d"
    rank = 2
    transposed = True
    summary = (
        "A transposed convolution over [channels, height, width] with weights of its own: nn.ConvTranspose2d. Stride 2 "
        "with an even kernel k and padding (k - 2) / 2 doubles height and width."
    )
    fields = (
        *fields(2),
        Field(
            "output_padding",
            Kind.INT,
            "Rows and columns added at the end of the result, one number or [height, width]; less than the stride or "
            "the dilation.",
            default=0,
            minimum=0,
            each=True,
        ),
    )

    def _geometry(self, attributes: Attributes) -> dict[str, Any]:
        extra = short(spatial(attributes, "output_padding", 2))
        geometry = geometry_of(attributes, 2)
        return geometry if extra == 0 else {**geometry, "output_padding": extra}

    def constructor(self, attributes: Attributes) -> tuple[str, dict[str, Any]]:
        """Its padding of the result, too."""
        return "ConvTranspose2d", self._geometry(attributes)

    def plain(self, attributes: Attributes) -> dict[str, Any]:
        """As many rows and columns at the end as the result had."""
        bare = self.sizes({**attributes, "output_padding": 0}, attributes["input"][1:])
        return {"output_padding": tuple(n - m for n, m in zip(attributes["output"][1:], bare, strict=True))}

    def sizes(self, attributes: Attributes, sizes: Sequence[int]) -> list[int]:
        """As the convolution would have had them before."""
        names = ("kernel", "stride", "dilation", "output_padding")
        kernel, stride, dilation, extra = (spatial(attributes, name, 2) for name in names)
        for e, s, d in zip(extra, stride, dilation, strict=True):
            if e >= max(s, d):
                raise ShapeError(
                    f"conv_transpose2d with output_padding {e} at stride {s} and dilation {d}",
                    "an output_padding less than one of them",
                )
        axes = zip(sizes, kernel, stride, padding_of(attributes, 2), dilation, extra, strict=True)
        return [(n - 1) * s - 2 * p + d * (k - 1) + 1 + e for n, k, s, p, d, e in axes]

    def meaning(self, torch: Any, attributes: Attributes, *tensors: Any) -> Any:
        """Torch's transposed convolution."""
        x, w, *bias = tensors
        bias = bias or [None]
        return torch.nn.functional.conv_transpose2d(x, w, *bias, **self._geometry(attributes))

    def emit(self, attributes: Attributes, result: Type, *operands: Code) -> Code:
        """`F.conv_transpose2d(x, w, b, …)`."""
        return call("F.conv_transpose2d", *operands, **self._geometry(attributes))


OP = ConvTranspose2d()
