"""`blank`: a number for every sample, in the precision of the parameters, where no input is of real numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deqc.ops.base import Attributes, Make, Op, Value
from deqc.ops.code import Code, call
from deqc.types import Type


class Blank(Op):
    """Zeros of shape (B,): what zeros, masks and noise take their batch, device and dtype from."""

    name = "blank"
    summary = "A zero for every sample, in the precision of the parameters."
    step = False
    repeats = True

    def infer(self, attributes: Attributes, *types: Type) -> Type:
        """A real number a sample."""
        return Type(())

    def flops(self, attributes: Attributes, types: Sequence[Type], result: Type) -> int:
        """None."""
        return 0

    def meaning(self, torch: Any, attributes: Attributes, *tensors: Any) -> Any:
        """In float64, as everything that the reference computes."""
        return torch.zeros(tensors[0].shape[0], dtype=torch.float64, device=tensors[0].device)

    def emit(self, attributes: Attributes, result: Type, *operands: Code) -> Code:
        """A call of the module's own method."""
        return call("self._blank", *operands)

    def adjoint(self, make: Make, node: Value, g: Any) -> Sequence[Any]:
        """None."""
        return (None,)


OP = Blank()
