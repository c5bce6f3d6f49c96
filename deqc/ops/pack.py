"""`pack` and `unpack`: between the values of the scales and the packed state (B, D).

A scale of rank 3 is packed channels last, so that unpacking gives a view in the memory format that convolutions like.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deqc.ops.base import Attributes, Make, Op, Value
from deqc.ops.code import Code, Index, Items, call, literal, method, stretch
from deqc.types import Type


class Unpack(Op):
    """The value of one scale out of the packed state."""

    name = "unpack"
    view = True
    summary = "The value of one scale out of the packed state."
    step = False

    def infer(self, attributes: Attributes, *types: Type) -> Type:
        """The shape of the scale."""
        return types[0].with_shape(*attributes["shape"])

    def flops(self, attributes: Attributes, types: Sequence[Type], result: Type) -> int:
        """None: it is a view."""
        return 0

    def meaning(self, torch: Any, attributes: Attributes, *tensors: Any) -> Any:
        """Cut out, then shaped."""
        piece, shape = tensors[0][:, attributes["start"] : attributes["stop"]], attributes["shape"]
        if len(shape) == 3:
            channels, height, width = shape
            return piece.reshape(piece.shape[0], height, width, channels).permute(0, 3, 1, 2)
        return piece.reshape(piece.shape[0], *shape)

    def emit(self, attributes: Attributes, result: Type, *operands: Code) -> Code:
        """`z[..., 0:4]`, or `_image(z[:, 0:4096], 16, 16, 16)`."""
        z, shape = operands[0], attributes["shape"]
        if not attributes["whole"]:
            lead = "..." if len(shape) == 1 else ":"
            z = Index(z, f"{lead}, {stretch(attributes['start'], attributes['stop'])}")
        if len(shape) == 3:
            return call("_image", z, *shape)
        if not shape:
            return Index(z, ":, 0")
        return z if len(shape) == 1 else method(z, "reshape", -1, *shape)

    def adjoint(self, make: Make, node: Value, g: Any) -> Sequence[Any]:
        """Packed by `deqc.adjoint` together with the cotangents of the other scales."""
        raise NotImplementedError("deqc.adjoint packs the cotangents of scales")

    def row_wise(self, node: Value) -> bool:
        """Of scales of rank 1."""
        return len(node.attributes["shape"]) == 1


class Pack(Op):
    """The packed state out of the values of all scales."""

    name = "pack"
    summary = "The packed state out of the values of all scales."
    step = False
    companions = (Unpack(),)

    def infer(self, attributes: Attributes, *types: Type) -> Type:
        """Rank 1, all sizes added."""
        return Type((sum(t.size for t in types),))

    def flops(self, attributes: Attributes, types: Sequence[Type], result: Type) -> int:
        """None."""
        return 0

    def meaning(self, torch: Any, attributes: Attributes, *tensors: Any) -> Any:
        """Flattened side by side, images channels last."""
        rows = [t.permute(0, 2, 3, 1) if t.ndim == 4 else t for t in tensors]
        return torch.cat([t.reshape(t.shape[0], -1) for t in rows], 1)

    def emit(self, attributes: Attributes, result: Type, *operands: Code) -> Code:
        """`torch.cat([…], -1)` of the flattened values."""
        sizes = attributes["sizes"]
        rows = tuple(_row(*one) for one in zip(operands, attributes["ranks"], sizes, strict=True))
        return rows[0] if len(rows) == 1 else call("torch.cat", Items(rows), -1)

    def row_wise(self, node: Value) -> bool:
        """Of scales of rank 1."""
        return all(rank == 1 for rank in node.attributes["ranks"])

    def adjoint(self, make: Make, node: Value, g: Any) -> Sequence[Any]:
        """Each scale receives its part of g."""
        start, parts = 0, []
        for operand in node.operands:
            stop = start + operand.type.size
            whole = operand.type.size == node.type.size
            parts.append(make("unpack", g, start=start, stop=stop, shape=operand.type.shape, whole=whole))
            start = stop
        return parts


def _row(code: Code, rank: int, size: int) -> Code:
    if rank == 3:
        return call("_flat", code)
    if rank == 0:
        return method(code, "unsqueeze", 1)
    # torch's older vmap, which batches gradients, knows no flatten
    return code if rank == 1 else method(code, "reshape", -1, literal(size))


OP = Pack()
