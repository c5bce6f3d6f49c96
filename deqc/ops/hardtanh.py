"""`hardtanh`: y = x, cut to [-1, 1]."""

from __future__ import annotations

from deqc.ops.activation import Activation, where_true
from deqc.ops.base import Attributes
from deqc.ops.code import Code, Text, compare, method


class Hardtanh(Activation):
    """y = x, cut to [-1, 1]."""

    name = "hardtanh"
    summary = "y = x, cut to [-1, 1]."
    torch_name = "F.hardtanh"
    reads = "input"
    zero_preserving = True

    def derivative(self, attributes: Attributes, v: Code) -> Code:
        """1 inside (-1, 1)."""
        return where_true(compare(method(v, "abs"), "<", Text("1")), v)


OP = Hardtanh()
