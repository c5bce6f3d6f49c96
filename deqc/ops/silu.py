"""`silu`: y = x · sigmoid(x), also called swish."""

from __future__ import annotations

from deqc.ops.activation import Activation
from deqc.ops.base import Attributes
from deqc.ops.code import Code, Text, add, call, product, subtract


class Silu(Activation):
    """y = x · sigmoid(x), also called swish."""

    name = "silu"
    summary = "y = x · sigmoid(x), also called swish."
    torch_name = "F.silu"
    reads = "input"
    zero_preserving = True

    def derivative(self, attributes: Attributes, v: Code) -> Code:
        """S (1 + x (1 - s)) with s = sigmoid(x)."""
        s = call("torch.sigmoid", v)
        return product(s, add(Text("1"), product(v, subtract(Text("1"), s))))


OP = Silu()
