"""`sinusoidal`: a table of sines and cosines of the position (Vaswani et al. 2017)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deqc.fields import IDENTITY, Field, Kind
from deqc.ops.base import Attributes, Make, Op, ShapeError, Value
from deqc.ops.code import Code, call
from deqc.types import Type, show


class Sinusoidal(Op):
    """Row p is sin(p ω), then cos(p ω), with ω_k = 10000^(-2k / out); the same for all samples."""

    name = "sinusoidal"
    unbatched = True
    summary = (
        "Sines, then cosines, of the position p at frequencies 10000^(-2k / out): a table of [length, out] that is the "
        "same for all samples (Vaswani et al. 2017)."
    )
    fields = (
        Field("out", Kind.INT, "Features of the result, half of them sines; even.", minimum=2, examples=(64,)),
        Field(
            "length_of",
            Kind.COMPUTATION,
            "A computation with a value of shape [length, …], which gives the length alone.",
            default=IDENTITY,
            examples=("$x",),
        ),
        Field(
            "order",
            Kind.CHOICE,
            "Whether row 0 is of position 0 (ascending) or of the last (descending, as distances to the end).",
            default="ascending",
            choices=("ascending", "descending"),
        ),
    )
    principal = "out"
    takes = ("length_of",)
    function = "_sinusoidal"

    def infer(self, attributes: Attributes, *types: Type) -> Type:
        """(length, out), without a batch."""
        if types[0].rank < 2:
            raise ShapeError(f"sinusoidal along a value of shape {show(types[0].shape)}", "[length, …]")
        if attributes["out"] % 2:
            raise ShapeError(f"sinusoidal with {attributes['out']} features", "an even number: half of them are sines")
        return Type((types[0].shape[0], attributes["out"]), batched=False)

    def flops(self, attributes: Attributes, types: Sequence[Type], result: Type) -> int:
        """A product and a function an entry."""
        return 2 * result.size

    def meaning(self, torch: Any, attributes: Attributes, *tensors: Any) -> Any:
        """The definition."""
        x, out = tensors[0], attributes["out"]
        length = x.shape[attributes.get("lead", 1)]
        positions = torch.arange(length, dtype=x.dtype, device=x.device)
        if attributes["order"] == "descending":
            positions = positions.flip(0)
        frequencies = 10000 ** (-torch.arange(0, out, 2, dtype=x.dtype, device=x.device) / out)
        angles = positions[:, None] * frequencies
        return torch.cat([angles.sin(), angles.cos()], 1)

    def lowered(self, make: Make, attributes: Attributes, *operands: Any) -> Any:
        """Where the length stands in the tensor depends on whether there is a batch before it."""
        return make("sinusoidal", *operands, **attributes, lead=int(operands[0].type.batched))

    def emit(self, attributes: Attributes, result: Type, *operands: Code) -> Code:
        """`_sinusoidal(x, 10, 64)`."""
        order = {"descending": True} if attributes["order"] == "descending" else {}
        return call("_sinusoidal", operands[0], result.shape[0], result.shape[1], **order)

    def adjoint(self, make: Make, node: Value, g: Any) -> Sequence[Any]:
        """None: the operand gives its length alone."""
        return (None,)


OP = Sinusoidal()
