"""`detach`: a value that gradients do not pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deqc.ops.base import Attributes, Make, Op, Value
from deqc.ops.code import Code, method
from deqc.types import Type


class Detach(Op):
    """y = x with dy/dx taken as 0."""

    name = "detach"
    view = True
    unbatched = True
    summary = "The value as it is, as a constant for derivatives: no gradient passes through it."
    rows = False

    def flops(self, attributes: Attributes, types: Sequence[Type], result: Type) -> int:
        """None: it is a view."""
        return 0

    def meaning(self, torch: Any, attributes: Attributes, *tensors: Any) -> Any:
        """Torch's detach."""
        return tensors[0].detach()

    def emit(self, attributes: Attributes, result: Type, *operands: Code) -> Code:
        """`x.detach()`."""
        return method(operands[0], "detach")

    def adjoint(self, make: Make, node: Value, g: Any) -> Sequence[Any]:
        """None, which is what it is for."""
        return (None,)


OP = Detach()
