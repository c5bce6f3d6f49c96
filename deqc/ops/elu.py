"""`elu`: y = x above 0, exp(x) - 1 below."""

from __future__ import annotations

from deqc.ops.activation import Activation
from deqc.ops.base import Attributes
from deqc.ops.code import Code, Text, add, method


class Elu(Activation):
    """y = x above 0, exp(x) - 1 below."""

    name = "elu"
    summary = "y = x above 0, exp(x) - 1 below."
    torch_name = "F.elu"
    reads = "output"
    zero_preserving = True

    def derivative(self, attributes: Attributes, v: Code) -> Code:
        """1 above 0, y + 1 below."""
        return add(method(v, "clamp_max", 0), Text("1"))


OP = Elu()
