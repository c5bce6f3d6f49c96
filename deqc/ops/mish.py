"""`mish`: y = x · tanh(softplus(x)) (Misra 2019)."""

from __future__ import annotations

from deqc.ops.activation import Activation
from deqc.ops.base import Attributes
from deqc.ops.code import Code, Text, add, call, method, product, subtract


class Mish(Activation):
    """y = x · tanh(softplus(x)) (Misra 2019)."""

    name = "mish"
    summary = "y = x · tanh(softplus(x)) (Misra 2019)."
    torch_name = "F.mish"
    reads = "input"
    zero_preserving = True

    def derivative(self, attributes: Attributes, v: Code) -> Code:
        """T + x (1 - t²) sigmoid(x) with t = tanh(softplus(x))."""
        t = call("torch.tanh", call("F.softplus", v))
        return add(t, product(v, subtract(Text("1"), method(t, "square")), call("torch.sigmoid", v)))


OP = Mish()
