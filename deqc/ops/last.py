"""`last`: the end of one axis, as long as that of another value."""

from __future__ import annotations

from typing import Any

from deqc.fields import Field, Kind
from deqc.ops.base import INCOMING, Attributes, Make, Op, ShapeError
from deqc.ops.shapes import axis
from deqc.types import show


class Last(Op):
    """The last entries of one axis, as many as another value has there; lowered to `slice`."""

    name = "last"
    summary = "The last entries along one axis, as many as another value has along it."
    fields = (
        Field(
            "dim", Kind.INT, "The axis of one sample, of both values; -2 is the one before the last.", examples=(-2,)
        ),
        Field(
            "like",
            Kind.COMPUTATION,
            "A computation whose size along the axis the result takes; most often `$name`.",
            examples=("$x",),
        ),
    )
    takes = (INCOMING, "like")
    unbatched = True

    def lowered(self, make: Make, attributes: Attributes, *operands: Any) -> Any:
        """(…, n, …) -> (…, m, …), as the other has it: a stretch of the axis."""
        x, like = operands
        dim = axis("last", attributes["dim"], x.type)
        size, length = x.type.shape[dim], like.type.shape[axis("last", attributes["dim"], like.type)]
        if length > size:
            raise ShapeError(
                f"last {length} entries of an axis of {size}: {show(x.type.shape)} like {show(like.type.shape)}",
                f"a value of at most {size} entries along dim {attributes['dim']}",
            )
        return x if length == size else make("slice", x, dim=dim, start=size - length, stop=size)


OP = Last()
