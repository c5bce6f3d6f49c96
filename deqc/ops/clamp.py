"""`clamp`: y = x, cut to [min, max]."""

from __future__ import annotations

from deqc.fields import Field, Kind
from deqc.ops.activation import Activation, where_true
from deqc.ops.base import Attributes, ShapeError
from deqc.ops.code import Code, compare, literal, product
from deqc.types import Type


class Clamp(Activation):
    """y = x, cut to [min, max]; at least one bound."""

    name = "clamp"
    summary = "y = x, cut to [min, max]; at least one bound is given."
    fields = (
        Field("min", Kind.NUMBER, "The lower bound; none if absent.", default=None, nullable=True),
        Field("max", Kind.NUMBER, "The upper bound; none if absent.", default=None, nullable=True),
    )
    torch_name = "torch.clamp"
    reads = "input"

    def infer(self, attributes: Attributes, *types: Type) -> Type:
        """Unchanged."""
        if attributes["min"] is None and attributes["max"] is None:
            raise ShapeError("clamp has neither min nor max", hint="write {clamp: {min: 0, max: 1}}")
        low, high = attributes["min"], attributes["max"]
        if low is not None and high is not None and low > high:
            raise ShapeError(f"clamp from {low} to {high}: min is above max", hint=f"write {{min: {high}, max: {low}}}")
        return types[0]

    def arguments(self, attributes: Attributes) -> tuple[object, ...]:
        """The bounds."""
        return attributes["min"], attributes["max"]

    def derivative(self, attributes: Attributes, v: Code) -> Code:
        """1 inside the bounds, ends included."""
        bounds = ((">=", attributes["min"]), ("<=", attributes["max"]))
        inside = [where_true(compare(v, sign, literal(b)), v) for sign, b in bounds if b is not None]
        return inside[0] if len(inside) == 1 else product(*inside)


OP = Clamp()
