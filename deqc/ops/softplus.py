"""`softplus`: y = log(1 + exp(x))."""

from __future__ import annotations

from deqc.ops.activation import Activation
from deqc.ops.base import Attributes
from deqc.ops.code import Code, call


class Softplus(Activation):
    """y = log(1 + exp(x))."""

    name = "softplus"
    summary = "y = log(1 + exp(x))."
    torch_name = "F.softplus"
    reads = "input"
    zero_preserving = False

    def derivative(self, attributes: Attributes, v: Code) -> Code:
        """sigmoid(x)."""
        return call("torch.sigmoid", v)


OP = Softplus()
