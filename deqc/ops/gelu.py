"""`gelu`: y = x Φ(x), Φ the normal distribution's."""

from __future__ import annotations

from deqc.ops.activation import Activation
from deqc.ops.base import Attributes
from deqc.ops.code import Code, Text, add, call, product


class Gelu(Activation):
    """y = x Φ(x) in its exact form (Hendrycks & Gimpel 2016)."""

    name = "gelu"
    summary = "y = x Φ(x), Φ the normal distribution's, in its exact form (Hendrycks & Gimpel 2016)."
    torch_name = "F.gelu"
    reads = "input"
    zero_preserving = True

    def derivative(self, attributes: Attributes, v: Code) -> Code:
        """Φ(x) + x φ(x)."""
        density = product(Text("0.3989422804014327"), call("torch.exp", product(Text("-0.5"), v, v)))
        return add(call("torch.special.ndtr", v), product(v, density))


OP = Gelu()
