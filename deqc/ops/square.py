"""`square`: y = x²."""

from __future__ import annotations

from deqc.ops.activation import Activation
from deqc.ops.base import Attributes
from deqc.ops.code import Code, Text, product


class Square(Activation):
    """y = x²."""

    name = "square"
    summary = "y = x²."
    torch_name = "torch.square"
    reads = "input"
    zero_preserving = True

    def derivative(self, attributes: Attributes, v: Code) -> Code:
        """2 x."""
        return product(Text("2"), v)


OP = Square()
