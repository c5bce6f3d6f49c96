"""`permute`: the axes of a sample in another order."""

from __future__ import annotations

from typing import Any

from deqc.fields import Field, Kind
from deqc.ops.base import ANY, Attributes, Make, ShapeError, Value
from deqc.ops.code import Code, literal, method, transposed
from deqc.ops.shapes import axis
from deqc.ops.views import View
from deqc.types import Type, show


class Permute(View):
    """y has the axes of x in another order."""

    name = "permute"
    summary = "The axes of a sample in another order: `{permute: [1, 0]}` makes [5, 8] of [8, 5]."
    fields = (
        Field(
            "dims",
            Kind.INT,
            "The axes of the incoming value, counted from 0, in the order in which the result has them.",
            each=True,
            entries=None,
            examples=([1, 0], [2, 0, 1]),
        ),
    )
    dtypes = ANY
    unbatched = True
    principal = "dims"

    def lowered(self, make: Make, attributes: Attributes, *operands: Any) -> Any:
        """Nothing where the order stays."""
        made = make("permute", *operands, **attributes)
        rank = operands[0].type.rank
        return operands[0] if self.order(attributes, rank) == tuple(range(rank)) else made

    def order(self, attributes: Attributes, rank: int) -> tuple[int, ...]:
        """The axes, none of them counted from the end."""
        dims = attributes["dims"]
        return tuple(dim % rank for dim in ((dims,) if isinstance(dims, int) else dims))

    def infer(self, attributes: Attributes, *types: Type) -> Type:
        """Each axis once."""
        x, dims = types[0], attributes["dims"]
        written = (dims,) if isinstance(dims, int) else tuple(dims)
        order = tuple(axis("permute", dim, x) for dim in written)
        if sorted(order) != list(range(x.rank)):
            raise ShapeError(
                f"permute of a value of shape {show(x.shape)} to {list(written)}", f"each of 0 to {x.rank - 1} once"
            )
        return x.with_shape(*(x.shape[dim] for dim in order))

    def meaning(self, torch: Any, attributes: Attributes, *tensors: Any) -> Any:
        """The axes of a sample count from the end, behind those of the batch."""
        x, lead = tensors[0], int(attributes.get("batched", True))
        return x.permute(*range(lead), *(dim + lead for dim in self.order(attributes, x.ndim - lead)))

    def emit(self, attributes: Attributes, result: Type, *operands: Code) -> Code:
        """`x.transpose(-2, -1)` where a matrix is transposed, else `x.permute(0, 3, 1, 2)`."""
        order = self.order(attributes, result.rank)
        if order == (1, 0):
            return transposed(operands[0])
        lead = (0,) * result.batched
        return method(operands[0], "permute", *(literal(n) for n in (*lead, *(dim + result.batched for dim in order))))

    def adjoint(self, make: Make, node: Value, g: Any) -> tuple[Any, ...]:
        """The axes back where they were."""
        order = self.order(node.attributes, node.type.rank)
        return (make("permute", g, dims=tuple(order.index(dim) for dim in range(len(order)))),)


OP = Permute()
