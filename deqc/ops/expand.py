"""`expand`: a value repeated along axes of size 1, and along axes that it has not, to the shape of another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from deqc.fields import Field, Kind
from deqc.ops.base import ANY, INCOMING, Attributes, Make, Op, ShapeError, Value, reduced
from deqc.ops.code import Attribute, Code, Index, literal, method
from deqc.types import Type, show


class Repeated(Op):
    """A value that is the same for all samples, for each of them: a view."""

    name = "repeated"
    summary = "A value without a batch, repeated for every sample of another."
    step = False
    view = True
    rows = False
    repeats = True

    def infer(self, attributes: Attributes, *types: Type) -> Type:
        """With a batch."""
        return replace(types[0], batched=True)

    def flops(self, attributes: Attributes, types: Sequence[Type], result: Type) -> int:
        """None: it is a view."""
        return 0

    def meaning(self, torch: Any, attributes: Attributes, *tensors: Any) -> Any:
        """Torch's expand."""
        x, like = tensors
        return x.expand(like.shape[0], *x.shape)

    def emit(self, attributes: Attributes, result: Type, *operands: Code) -> Code:
        """`x.expand(like.shape[0], -1, -1)`."""
        x, like = operands
        return method(x, "expand", Index(Attribute(like, "shape"), "0"), *(literal(-1) for _ in result.shape))

    def adjoint(self, make: Make, node: Value, g: Any) -> Sequence[Any]:
        """G summed over the samples."""
        return [reduced(make, g, node.operands[0].type), None]


class Expand(Op):
    """The value under the shape of another, repeated along axes of size 1; axes that it has not stand in front."""

    name = "expand"
    view = True
    summary = (
        "The value repeated to the shape of another: along axes of size 1, and along axes in front that it has not."
    )
    fields = (
        Field(
            "like",
            Kind.COMPUTATION,
            "A computation whose shape the result takes; most often `$name`.",
            examples=("$x",),
        ),
    )
    dtypes = ANY
    unbatched = True
    principal = "like"
    takes = (INCOMING, "like")
    rows = False
    companions = (Repeated(),)

    def lowered(self, make: Make, attributes: Attributes, *operands: Any) -> Any:
        """A value that has a batch needs the other's shape alone, and nothing where it has that already."""
        x, like = operands
        shape, missing = like.type.shape, like.type.rank - x.type.rank
        whole = (1,) * missing + x.type.shape
        if missing < 0 or any(a not in (1, b) for a, b in zip(whole, shape, strict=True)):
            raise ShapeError(
                f"expand from {show(x.type.shape)} to {show(shape)}",
                "sizes equal to those of the other value from the last axis backwards, or 1",
                _hint(x.type.shape, shape),
            )
        if missing:
            x = make("reshape", x, shape=whole)
        batched = x.type.batched or not like.type.batched
        if batched and whole == shape:
            return x
        return make("expand", x, *([] if batched else [like]), shape=shape)

    def infer(self, attributes: Attributes, *types: Type) -> Type:
        """The shape of the other."""
        return Type(tuple(attributes["shape"]), any(t.batched for t in types), types[0].dtype)

    def flops(self, attributes: Attributes, types: Sequence[Type], result: Type) -> int:
        """None: it is a view."""
        return 0

    def meaning(self, torch: Any, attributes: Attributes, *tensors: Any) -> Any:
        """Torch's expand."""
        x, *like = tensors
        return (
            x.expand_as(like[0])
            if like
            else x.expand(*x.shape[: x.ndim - len(attributes["shape"])], *attributes["shape"])
        )

    def emit(self, attributes: Attributes, result: Type, *operands: Code) -> Code:
        """`x.expand(-1, 3, 4)`, or `x.expand_as(like)` where x has no batch."""
        x, *like = operands
        if like:
            return method(x, "expand_as", *like)
        return method(x, "expand", *([-1] if result.batched else []), *(literal(n) for n in result.shape))

    def adjoint(self, make: Make, node: Value, g: Any) -> Sequence[Any]:
        """G summed over the copies; nothing to the other, which gives its shape alone."""
        x, *like = node.operands
        return [reduced(make, g, x.type), *(None for _ in like)]


def _hint(shape: tuple[int, ...], like: tuple[int, ...]) -> str | None:
    """Axes that stand in front of the other's want sizes of 1 behind them."""
    if not shape or len(shape) >= len(like) or shape != like[: len(shape)]:
        return None
    return f"reshape the value first: `{{reshape: {show((*shape, *(1,) * (len(like) - len(shape))))}}}`"


OP = Expand()
