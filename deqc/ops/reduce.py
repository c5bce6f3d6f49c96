"""`reduce`: the sum, the mean, the largest or the smallest number along axes."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from deqc.fields import Field, Kind
from deqc.ops.base import Attributes, Make, Op, ShapeError, Value
from deqc.ops.code import Code, Text, call, literal, method
from deqc.ops.shapes import axis
from deqc.types import Type

TORCH = {"sum": "sum", "mean": "mean", "max": "amax", "min": "amin"}


def _axes(attributes: Attributes, rank: int) -> tuple[int, ...]:
    """The axes of a sample over which it runs, in order."""
    dim = attributes["dim"]
    return tuple(sorted(d % rank for d in ((dim,) if isinstance(dim, int) else dim)))


def _code(attributes: Attributes, x: Code, axes: tuple[int, ...], rank: int, batched: bool, keep: bool) -> Code:
    """`x.mean((1, 2))`; of a vector `x.mean(-1)`, before which a row axis may stand."""
    dims = tuple(d + batched for d in axes)
    dim = -1 if rank == 1 else dims[0] if len(dims) == 1 else dims
    return method(x, TORCH[attributes["op"]], literal(dim), **({"keepdim": Text("True")} if keep else {}))


class Chosen(Op):
    """1 where x is the largest (smallest) along the axes, shared out where several are equal; 0 elsewhere."""

    name = "reduce_chosen"
    summary = "1 where a number is the one that reduce returns, shared out among equals."
    step = False
    repeats = True
    function = "_chosen"

    def flops(self, attributes: Attributes, types: Sequence[Type], result: Type) -> int:
        """A reduction, a comparison, a sum and a division."""
        return 4 * result.size

    def emit(self, attributes: Attributes, result: Type, *operands: Code) -> Code:
        """`_chosen(x, x.amax(1, keepdim=True), (1,))`."""
        axes = _axes(attributes, result.rank)
        best = _code(attributes, operands[0], axes, result.rank, result.batched, keep=True)
        dims = (-1,) if result.rank == 1 else tuple(d + result.batched for d in axes)
        return call("_chosen", operands[0], best, literal(dims))


class Reduce(Op):
    """One number out of all along some axes."""

    name = "reduce"
    unbatched = True
    summary = "The sum, the mean, the largest or the smallest number along one axis or several, which go."
    fields = (
        Field("op", Kind.CHOICE, "What becomes of the numbers.", choices=tuple(TORCH), examples=("mean",)),
        Field(
            "dim",
            Kind.INT,
            "The axis of one sample, or a list of them; -1 is the last.",
            each=True,
            entries=None,
            examples=(-1, [1, 2]),
        ),
        Field("keep", Kind.BOOL, "Whether the axes stay, with size 1.", default=False),
    )
    companions = (Chosen(),)

    def infer(self, attributes: Attributes, *types: Type) -> Type:
        """Without the axes, or with sizes of 1 there."""
        x, dim = types[0], attributes["dim"]
        axes = [axis("reduce", d, x) for d in ((dim,) if isinstance(dim, int) else dim)]
        if len(set(axes)) < len(axes):
            raise ShapeError(f"reduce along {list(dim)}, the same axis twice", "each axis once")
        if attributes["keep"]:
            return x.with_shape(*(1 if d in axes else n for d, n in enumerate(x.shape)))
        return x.with_shape(*(n for d, n in enumerate(x.shape) if d not in axes))

    def flops(self, attributes: Attributes, types: Sequence[Type], result: Type) -> int:
        """One operation an entry."""
        return types[0].size

    def meaning(self, torch: Any, attributes: Attributes, *tensors: Any) -> Any:
        """Torch's reductions, over axes behind that of the batch."""
        x, batched = tensors[0], bool(attributes.get("batched", True))
        dims = tuple(d + batched for d in _axes(attributes, x.ndim - batched))
        return getattr(x, TORCH[attributes["op"]])(dims, keepdim=attributes["keep"])

    def emit(self, attributes: Attributes, result: Type, *operands: Code) -> Code:
        """`x.mean((1, 2))`."""
        dim, keep = attributes["dim"], attributes["keep"]
        rank = result.rank + (0 if keep else 1 if isinstance(dim, int) else len(dim))
        return _code(attributes, operands[0], _axes(attributes, rank), rank, result.batched, keep)

    def row_wise(self, node: Value) -> bool:
        """Of vectors."""
        return bool(node.operands[0].type.rank == 1)

    def adjoint(self, make: Make, node: Value, g: Any) -> Sequence[Any]:
        """G spread along the axes, to each entry its share."""
        x, attributes = node.operands[0], node.attributes
        axes = _axes(attributes, x.type.rank)
        kept = tuple(1 if d in axes else n for d, n in enumerate(x.type.shape))
        g = g if g.type.shape == kept else make("reshape", g, shape=kept)
        g = g if kept == x.type.shape else make("expand", g, shape=x.type.shape)
        if attributes["op"] == "mean":
            return (make("times", g, by=1 / prod(x.type.shape[d] for d in axes)),)
        if attributes["op"] == "sum":
            return (g,)
        chosen = make("reduce_chosen", x, op=attributes["op"], dim=axes)
        return (make("mul", g, chosen),)


OP = Reduce()
