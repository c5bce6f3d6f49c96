"""`slice`: a stretch of one axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deqc.fields import Field, Kind
from deqc.ops.base import ANY, Attributes, Make, Op, ShapeError, Value
from deqc.ops.code import Code, Index, stretch
from deqc.ops.shapes import axis
from deqc.types import Type


class Slice(Op):
    """The entries start to stop (exclusive) of one axis."""

    name = "slice"
    view = True
    summary = "The entries from start to stop (exclusive) along one axis."
    fields = (
        Field("dim", Kind.INT, "The axis of one sample; -1 is the last.", default=-1),
        Field("start", Kind.INT, "The first entry, counted from 0.", default=0, minimum=0),
        Field(
            "stop",
            Kind.INT,
            "The entry after the last; the end of the axis if absent.",
            default=None,
            nullable=True,
            minimum=1,
        ),
    )
    dtypes = ANY
    unbatched = True
    principal = "dim"

    def infer(self, attributes: Attributes, *types: Type) -> Type:
        """(…, n, …) -> (…, stop - start, …)."""
        dim = axis("slice", attributes["dim"], types[0])
        size, start = types[0].shape[dim], attributes["start"]
        stop = size if attributes["stop"] is None else attributes["stop"]
        if not start < stop <= size:
            raise ShapeError(f"slice from {start} to {stop} of an axis of {size}", f"0 <= start < stop <= {size}")
        shape = list(types[0].shape)
        shape[dim] = stop - start
        return types[0].with_shape(*shape)

    def flops(self, attributes: Attributes, types: Sequence[Type], result: Type) -> int:
        """None: it is a view."""
        return 0

    def meaning(self, torch: Any, attributes: Attributes, *tensors: Any) -> Any:
        """narrow, on the axis counted from the end."""
        x, dim = tensors[0], attributes["dim"]
        dim = dim + bool(attributes.get("batched", True)) if dim >= 0 else dim
        stop = x.shape[dim] if attributes["stop"] is None else attributes["stop"]
        return x.narrow(dim, attributes["start"], stop - attributes["start"])

    def emit(self, attributes: Attributes, result: Type, *operands: Code) -> Code:
        """`x[..., a:b]`, or `x[:, a:b]` on an earlier axis."""
        dim = attributes["dim"] % result.rank
        stop = "" if attributes["stop"] is None else attributes["stop"]
        lead = "..., " if dim == result.rank - 1 else ":, " * (dim + result.batched)
        return Index(operands[0], f"{lead}{stretch(attributes['start'] or '', stop)}")

    def adjoint(self, make: Make, node: Value, g: Any) -> Sequence[Any]:
        """G in its place, zeros around it; `deqc.adjoint` joins the pieces of one value."""
        x, dim = node.operands[0].type, node.attributes["dim"] % node.type.rank
        start = node.attributes["start"]
        before, after = start, x.shape[dim] - start - node.type.shape[dim]
        return (make("pad", g, dim=dim, before=before, after=after) if before or after else g,)


OP = Slice()
