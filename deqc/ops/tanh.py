"""`tanh`: y = tanh(x)."""

from __future__ import annotations

from deqc.ops.activation import Activation
from deqc.ops.base import Attributes
from deqc.ops.code import Code, Text, product, subtract


class Tanh(Activation):
    """y = tanh(x)."""

    name = "tanh"
    summary = "y = tanh(x)."
    torch_name = "torch.tanh"
    reads = "output"
    zero_preserving = True

    def derivative(self, attributes: Attributes, v: Code) -> Code:
        """1 - y²."""
        return subtract(Text("1"), product(v, v))


OP = Tanh()
