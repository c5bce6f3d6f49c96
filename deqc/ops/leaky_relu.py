"""`leaky_relu`: y = x above 0, slope · x below."""

from __future__ import annotations

from deqc.fields import Field, Kind
from deqc.ops.activation import Activation, positive
from deqc.ops.base import Attributes
from deqc.ops.code import Code, add, literal, product


class LeakyRelu(Activation):
    """y = x above 0, slope · x below."""

    name = "leaky_relu"
    summary = "y = x above 0, slope · x below."
    fields = (Field("slope", Kind.NUMBER, "The slope below 0.", default=0.01, minimum=0.0),)
    principal = "slope"
    torch_name = "F.leaky_relu"
    reads = "input"
    zero_preserving = True

    def arguments(self, attributes: Attributes) -> tuple[object, ...]:
        """The slope."""
        return (attributes["slope"],)

    def derivative(self, attributes: Attributes, v: Code) -> Code:
        """1 above 0, slope below."""
        slope = attributes["slope"]
        return add(product(literal(1 - slope), positive(v)), literal(slope))


OP = LeakyRelu()
