"""`abs`: y = |x|; its derivative at 0 is taken as 0."""

from __future__ import annotations

from deqc.ops.activation import Activation
from deqc.ops.base import Attributes
from deqc.ops.code import Code, call


class Abs(Activation):
    """y = |x|; its derivative at 0 is taken as 0."""

    name = "abs"
    summary = "y = |x|; its derivative at 0 is taken as 0."
    torch_name = "torch.abs"
    reads = "input"
    zero_preserving = True

    def derivative(self, attributes: Attributes, v: Code) -> Code:
        """sign(x)."""
        return call("torch.sign", v)


OP = Abs()
