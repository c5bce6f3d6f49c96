"""Shape rules that several ops share."""

from __future__ import annotations

from deqc.ops.base import ShapeError
from deqc.types import Type, named, show


def joined(what: str, *types: Type) -> Type:
    """The type of an entrywise combination: equal shapes, or sizes of 1 in weights and masks that deqc made itself."""
    batched = any(t.batched for t in types)
    rank = max(t.rank for t in types)
    shape = next(t.shape for t in types if t.rank == rank)
    for t in types:
        if t.rank != rank and t.rank != 0:
            raise ShapeError(f"{what} of shapes {show(shape)} and {show(t.shape)}", "equal shapes")
        if t.rank == rank and t.shape != shape:
            if any(a != b and 1 not in (a, b) for a, b in zip(t.shape, shape, strict=True)):
                raise ShapeError(f"{what} of shapes {show(shape)} and {show(t.shape)}", "equal shapes")
            shape = tuple(b if a == 1 else a for a, b in zip(t.shape, shape, strict=True))
    return Type(shape, batched)


def axis(what: str, dim: int, x: Type) -> int:
    """The axis of one sample that `dim` names; negative ones count from the last."""
    if not -x.rank <= dim < x.rank:
        raise ShapeError(f"{what} has no dim {dim} on a value of shape {show(x.shape)}", f"{-x.rank} to {x.rank - 1}")
    return dim % x.rank


def tensor_dim(dim: int, x: Type) -> int:
    """The same axis in the tensor, from the end where it is the last: then a row axis may stand before it."""
    return -1 if dim == x.rank - 1 else dim + x.batched


AXES = {1: ("length",), 2: ("height", "width"), 3: ("depth", "height", "width")}  # by their number


def channelled(what: str, x: Type, spatial: int) -> tuple[int, ...]:
    """Channels and spatial sizes."""
    if x.rank != spatial + 1:
        several = {1: "two", 2: "three", 3: "four"}[spatial]
        raise ShapeError(
            f"{what} needs a value of shape [channels, {', '.join(AXES[spatial])}], found {show(x.shape)}",
            hint=f"use reshape to give the value {several} dimensions" if x.rank == 1 else None,
        )
    if named(x.shape[0]):
        raise ShapeError(
            f"{what} takes axis 0 for channels, and here it is {x.shape[0]}, a dimension: {show(x.shape)}",
            "a number of channels",
            f"where {x.shape[0]} is a position, the axes are in the wrong order: `{{permute: …}}` puts channels first",
        )
    return x.shape


def images(what: str, x: Type) -> tuple[int, int, int]:
    """Channels, height and width."""
    channels, height, width = channelled(what, x, 2)
    return channels, height, width
