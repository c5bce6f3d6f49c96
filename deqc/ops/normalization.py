"""What layer_norm, rms_norm and group_norm share: affine parameters, and the derivative through the statistics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from deqc.fields import Field, Kind
from deqc.ops.base import Attributes, Make, Op, Value
from deqc.ops.code import Code, call
from deqc.ops.weights import NAME, WEIGHT_FIELDS
from deqc.types import Type

AFFINE = Field("affine", Kind.BOOL, "Whether learned factors (and shifts) follow.", default=True)
EPS = Field("eps", Kind.NUMBER, "Added to the variance.", default=1e-5, exclusive_minimum=0.0)
OWN = (*(field for field in WEIGHT_FIELDS if field.name.endswith("_init")), NAME)


class Scale(Op):
    """1 / the standard deviation (or root mean square) over which an op divides, as a factor of its adjoint."""

    step = False
    repeats = True

    def __init__(self, norm: Normalization) -> None:
        self.norm = norm
        self.name = f"{norm.name}_scale"
        self.summary = f"What {norm.name} multiplies by."
        self.function = f"_{norm.name}_scale" if norm.calls_for_scale else None
        self.rows = norm.rows

    def infer(self, attributes: Attributes, *types: Type) -> Type:
        """Sizes of 1 where it is shared."""
        return self.norm.scale_type(attributes, types[0])

    def emit(self, attributes: Attributes, result: Type, *operands: Code) -> Code:
        """The reciprocal root."""
        return self.norm.scale(attributes, operands[0])


class Pull(Op):
    """The cotangent of x, from that of the normalised value, the normalised value and the scale."""

    step = False

    def __init__(self, norm: Normalization) -> None:
        self.norm = norm
        self.name = f"{norm.name}_pull"
        self.summary = f"The cotangent of the input of {norm.name}."
        self.function = f"_{norm.name}_pull"
        self.rows = norm.rows

    def emit(self, attributes: Attributes, result: Type, *operands: Code) -> Code:
        """A call of the module's own function of that name."""
        return call(f"_{self.norm.name}_pull", *operands, *self.norm.pull_arguments(attributes))

    def adjoint(self, make: Make, node: Value, g: Any) -> Sequence[Any]:
        """Itself: the Jacobian of the normalised value is symmetric."""
        _, normed, scale = node.operands
        return [make(self.name, g, normed, scale, **node.attributes), None, None]


class Normalization(Op):
    """y = gain · (x - mean) · scale + shift."""

    calls_for_scale: ClassVar[bool] = True  # whether the module has a function for it
    channels: ClassVar[bool] = False  # whether gain and shift go by channel, else by feature

    def __init__(self) -> None:
        self.companions = (Scale(self), Pull(self))

    def scale_type(self, attributes: Attributes, x: Type) -> Type:
        """The type of the scale."""
        return x.with_shape(*x.shape[:-1], 1)

    def scale(self, attributes: Attributes, x: Code) -> Code:
        """A call of the module's own function of that name."""
        return call(f"_{self.name}_scale", x, *self.pull_arguments(attributes), attributes["eps"])

    def pull_arguments(self, attributes: Attributes) -> tuple[int, ...]:
        """Constants that the pull function takes after its tensors."""
        return ()

    def flops(self, attributes: Attributes, types: Sequence[Type], result: Type) -> int:
        """Statistics, then one multiply-add an entry."""
        return 8 * result.size

    def adjoint(self, make: Make, node: Value, g: Any) -> Sequence[Any]:
        """Through gain and shift, then through the statistics."""
        x, *affine = node.operands
        attributes = {**node.attributes, "affine": False}
        normed = make(self.name, x, **attributes)
        scale = make(f"{self.name}_scale", x, **attributes)
        q = g
        if affine:
            n, ones = affine[0].type.shape[0], (1,) * (x.type.rank - 1)
            shape = (n, *ones) if self.channels else (*ones, n)
            q = make("mul", g, make("reshape", affine[0], shape=shape) if ones else affine[0])
        target = {"batched": False, "channels": self.channels}
        grads = [make(f"{self.name}_pull", q, normed, scale, **attributes)]
        if affine:
            grads.append(make("sum_to", make("mul", g, normed), shape=affine[0].type.shape, **target))
        if len(affine) == 2:
            grads.append(make("sum_to", g, shape=affine[1].type.shape, **target))
        return grads
