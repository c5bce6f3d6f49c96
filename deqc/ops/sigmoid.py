"""`sigmoid`: y = 1 / (1 + exp(-x))."""

from __future__ import annotations

from deqc.ops.activation import Activation
from deqc.ops.base import Attributes
from deqc.ops.code import Code, Text, product, subtract


class Sigmoid(Activation):
    """y = 1 / (1 + exp(-x))."""

    name = "sigmoid"
    summary = "y = 1 / (1 + exp(-x))."
    torch_name = "torch.sigmoid"
    reads = "output"
    zero_preserving = False

    def derivative(self, attributes: Attributes, v: Code) -> Code:
        """Y (1 - y)."""
        return product(v, subtract(Text("1"), v))


OP = Sigmoid()
