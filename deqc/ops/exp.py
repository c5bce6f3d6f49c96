"""`exp`: y = exp(x)."""

from __future__ import annotations

from deqc.ops.activation import Activation
from deqc.ops.base import Attributes
from deqc.ops.code import Code


class Exp(Activation):
    """y = exp(x)."""

    name = "exp"
    summary = "y = exp(x)."
    torch_name = "torch.exp"
    reads = "output"
    zero_preserving = False

    def derivative(self, attributes: Attributes, v: Code) -> Code:
        """Y."""
        return v


OP = Exp()
