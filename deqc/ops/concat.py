"""`concat`: branches side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deqc.fields import Field, Kind
from deqc.ops.base import Attributes, Make, Op, ShapeError, Value
from deqc.ops.code import Code, Items, call
from deqc.ops.shapes import axis, tensor_dim
from deqc.types import Type, show


class Concat(Op):
    """Branches side by side along one axis."""

    name = "concat"
    summary = "Two or more branches side by side along one axis, each starting from the incoming value."
    fields = (
        Field(
            "of",
            Kind.BRANCHES,
            "Two or more computations, each starting from the incoming value.",
            examples=(["identity", "$x"],),
        ),
        Field(
            "dim",
            Kind.INT,
            "The axis of one sample along which they join: 0 by default (features, or channels); required for rank 2.",
            default=None,
            nullable=True,
        ),
    )
    principal = "of"
    takes = ("of",)

    def infer(self, attributes: Attributes, *types: Type) -> Type:
        """Equal shapes but for the axis dim, where the sizes add up."""
        first = types[0]
        if attributes["dim"] is None and first.rank == 2:
            raise ShapeError(f"concat of values of shape {show(first.shape)} needs dim", hint="write dim: 0 or dim: 1")
        dim = axis("concat", attributes["dim"] or 0, first)
        for t in types:
            if t.rank != first.rank or any(
                a != b for i, (a, b) in enumerate(zip(t.shape, first.shape, strict=True)) if i != dim
            ):
                raise ShapeError(
                    f"concat along dim {dim} of shapes {show(first.shape)} and {show(t.shape)}",
                    f"shapes that are equal but for dim {dim}",
                )
        shape = list(first.shape)
        shape[dim] = sum(t.shape[dim] for t in types)
        return Type(tuple(shape), any(t.batched for t in types))

    def flops(self, attributes: Attributes, types: Sequence[Type], result: Type) -> int:
        """None: it moves numbers."""
        return 0

    def meaning(self, torch: Any, attributes: Attributes, *tensors: Any) -> Any:
        """torch.cat along the axis, counted from the end so that a batch dimension does not matter."""
        dim = attributes["dim"] or 0
        batched = bool(attributes.get("batched", True))
        return torch.cat(tensors, dim + batched if dim >= 0 else dim)

    def emit(self, attributes: Attributes, result: Type, *operands: Code) -> Code:
        """`torch.cat([a, b], dim)`."""
        return call("torch.cat", Items(operands), tensor_dim((attributes["dim"] or 0) % result.rank, result))

    def adjoint(self, make: Make, node: Value, g: Any) -> Sequence[Any]:
        """Each operand receives its slice of g."""
        dim, start, parts = (node.attributes["dim"] or 0) % node.type.rank, 0, []
        for operand in node.operands:
            stop = start + operand.type.shape[dim]
            parts.append(make("slice", g, dim=dim, start=start, stop=stop))
            start = stop
        return parts


OP = Concat()
