"""`softshrink`: y = x moved towards 0 by a threshold."""

from __future__ import annotations

from deqc.fields import Field, Kind
from deqc.ops.activation import Activation, where_true
from deqc.ops.base import Attributes
from deqc.ops.code import Code, Text, compare


class Softshrink(Activation):
    """y = sign(x) max(|x| - threshold, 0): the proximal map of the 1-norm."""

    name = "softshrink"
    summary = "y = sign(x) max(|x| - threshold, 0): the proximal map of the 1-norm."
    fields = (Field("threshold", Kind.NUMBER, "By how much values shrink.", default=0.5, minimum=0.0),)
    principal = "threshold"
    torch_name = "F.softshrink"
    reads = "output"
    zero_preserving = True

    def arguments(self, attributes: Attributes) -> tuple[object, ...]:
        """The threshold."""
        return (attributes["threshold"],)

    def derivative(self, attributes: Attributes, v: Code) -> Code:
        """1 where y is not 0."""
        return where_true(compare(v, "!=", Text("0")), v)


OP = Softshrink()
