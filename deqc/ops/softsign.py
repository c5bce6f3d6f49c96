"""`softsign`: y = x / (1 + |x|)."""

from __future__ import annotations

from deqc.ops.activation import Activation
from deqc.ops.base import Attributes
from deqc.ops.code import Code, Text, add, method


class Softsign(Activation):
    """y = x / (1 + |x|)."""

    name = "softsign"
    summary = "y = x / (1 + |x|)."
    torch_name = "F.softsign"
    reads = "input"
    zero_preserving = True

    def derivative(self, attributes: Attributes, v: Code) -> Code:
        """1 / (1 + |x|)²."""
        return method(method(add(Text("1"), method(v, "abs")), "square"), "reciprocal")


OP = Softsign()
