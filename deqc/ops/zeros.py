"""`zeros`: a state of zeros, where z_0 is made; in the IR, zeros like another value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deqc.ops.base import INIT, Attributes, Make, Op, Value
from deqc.ops.code import Attribute, Code, Index, Text, literal, method
from deqc.types import Type


class Zeros(Op):
    """Zeros of a shape, on the device and in the dtype of the operand."""

    name = "zeros"
    summary = "A state of zeros; only in `init`."
    takes = ()
    where = frozenset({INIT})
    rows = False
    repeats = True

    def infer(self, attributes: Attributes, *types: Type) -> Type:
        """The shape of the scale."""
        return Type(tuple(attributes["shape"]), attributes["batched"])

    def flops(self, attributes: Attributes, types: Sequence[Type], result: Type) -> int:
        """None."""
        return 0

    def meaning(self, torch: Any, attributes: Attributes, *tensors: Any) -> Any:
        """new_zeros."""
        lead = tensors[0].shape[:1] if attributes["batched"] else ()
        return tensors[0].new_zeros(*lead, *attributes["shape"])

    def emit(self, attributes: Attributes, result: Type, *operands: Code) -> Code:
        """`x.new_zeros(x.shape[0], 10)`."""
        batch = (Index(Attribute(operands[0], "shape"), "0"),) if attributes["batched"] else ()
        sizes = tuple(literal(n) for n in attributes["shape"])
        return method(operands[0], "new_zeros", *batch, *sizes) if batch + sizes else Text("0.0")

    def adjoint(self, make: Make, node: Value, g: Any) -> Sequence[Any]:
        """None: the operand gives no numbers."""
        return (None,)


OP = Zeros()
