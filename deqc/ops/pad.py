"""`pad`: zeros before and after along one axis; part of adjoints and of packed weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deqc.ops.base import Attributes, Make, Op, Value
from deqc.ops.code import Code, call, literal
from deqc.types import Type


class Pad(Op):
    """Zeros before and after along one axis."""

    name = "pad"
    summary = "Zeros before and after along one axis."
    step = False

    def infer(self, attributes: Attributes, *types: Type) -> Type:
        """One axis becomes longer."""
        shape = list(types[0].shape)
        shape[attributes["dim"]] += attributes["before"] + attributes["after"]
        return types[0].with_shape(*shape)

    def flops(self, attributes: Attributes, types: Sequence[Type], result: Type) -> int:
        """None."""
        return 0

    def _widths(self, attributes: Attributes, rank: int) -> tuple[int, ...]:
        before, after, dim = attributes["before"], attributes["after"], int(attributes["dim"])
        return (0, 0) * (rank - 1 - dim) + (before, after)

    def meaning(self, torch: Any, attributes: Attributes, *tensors: Any) -> Any:
        """Torch's pad."""
        rank = tensors[0].ndim - bool(attributes.get("batched", True))
        return torch.nn.functional.pad(tensors[0], self._widths(attributes, rank))

    def emit(self, attributes: Attributes, result: Type, *operands: Code) -> Code:
        """`F.pad(x, (before, after))`."""
        return call("F.pad", operands[0], literal(self._widths(attributes, result.rank)))

    def adjoint(self, make: Make, node: Value, g: Any) -> Sequence[Any]:
        """The slice that held x."""
        dim, before = node.attributes["dim"], node.attributes["before"]
        stop = before + node.operands[0].type.shape[dim]
        return (make("slice", g, dim=dim, start=before, stop=stop),)


OP = Pad()
