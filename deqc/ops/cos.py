"""`cos`: y = cos(x)."""

from __future__ import annotations

from deqc.ops.activation import Activation
from deqc.ops.base import Attributes
from deqc.ops.code import UNARY, Code, Text, call, flat


class Cos(Activation):
    """y = cos(x)."""

    name = "cos"
    summary = "y = cos(x)."
    torch_name = "torch.cos"
    reads = "input"
    zero_preserving = False

    def derivative(self, attributes: Attributes, v: Code) -> Code:
        """-sin(x)."""
        return Text(f"-{flat(call('torch.sin', v))}", UNARY)


OP = Cos()
