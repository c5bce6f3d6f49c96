"""`sin`: y = sin(x)."""

from __future__ import annotations

from deqc.ops.activation import Activation
from deqc.ops.base import Attributes
from deqc.ops.code import Code, call


class Sin(Activation):
    """y = sin(x)."""

    name = "sin"
    summary = "y = sin(x)."
    torch_name = "torch.sin"
    reads = "input"
    zero_preserving = True

    def derivative(self, attributes: Attributes, v: Code) -> Code:
        """cos(x)."""
        return call("torch.cos", v)


OP = Sin()
