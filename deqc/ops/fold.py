"""`fold`: the sum of k equal parts of the last axis; `tile`, its transpose."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deqc.ops.base import Attributes, Make, Op, Value
from deqc.ops.code import Code, Items, call, method
from deqc.types import Type


class Tile(Op):
    """k copies side by side on the last axis."""

    name = "tile"
    summary = "k copies side by side on the last axis."
    step = False

    def infer(self, attributes: Attributes, *types: Type) -> Type:
        """The last axis grows k times."""
        return types[0].with_shape(*types[0].shape[:-1], types[0].shape[-1] * attributes["parts"])

    def flops(self, attributes: Attributes, types: Sequence[Type], result: Type) -> int:
        """None."""
        return 0

    def emit(self, attributes: Attributes, result: Type, *operands: Code) -> Code:
        """`torch.cat([g, g, g], -1)`: takes a row axis, as `repeat` would not."""
        return call("torch.cat", Items(operands * attributes["parts"]), -1)

    def adjoint(self, make: Make, node: Value, g: Any) -> Sequence[Any]:
        """The sum of the copies."""
        return (make("fold", g, parts=node.attributes["parts"]),)

    repeats = True


class Fold(Op):
    """y = x[0:n] + x[n:2n] + … on the last axis."""

    name = "fold"
    summary = "The sum of k equal parts of the last axis."
    step = False
    companions = (Tile(),)

    def infer(self, attributes: Attributes, *types: Type) -> Type:
        """The last axis shrinks k times."""
        return types[0].with_shape(*types[0].shape[:-1], types[0].shape[-1] // attributes["parts"])

    def flops(self, attributes: Attributes, types: Sequence[Type], result: Type) -> int:
        """One addition an entry and part after the first."""
        return types[0].size - result.size

    def meaning(self, torch: Any, attributes: Attributes, *tensors: Any) -> Any:
        """The parts, added."""
        total = 0
        for part in tensors[0].chunk(attributes["parts"], -1):
            total = total + part
        return total

    def emit(self, attributes: Attributes, result: Type, *operands: Code) -> Code:
        """`x.view(-1, k, n).sum(1)`."""
        return method(method(operands[0], "view", -1, attributes["parts"], result.shape[-1]), "sum", 1)

    def adjoint(self, make: Make, node: Value, g: Any) -> Sequence[Any]:
        """G for each part."""
        return (make("tile", g, parts=node.attributes["parts"]),)


OP = Fold()
