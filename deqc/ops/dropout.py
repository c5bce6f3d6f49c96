"""`dropout`: entries set to zero at random in training; in encoder and head only."""

from __future__ import annotations

from typing import Any

from deqc.fields import Field, Kind
from deqc.ops.base import OUTSIDE, Attributes, Layer, Op
from deqc.types import Type

PROBABILITY = Field(
    "p",
    Kind.NUMBER,
    "The probability of a zero; what stays is divided by 1 - p.",
    minimum=0.0,
    exclusive_maximum=1.0,
    examples=(0.1,),
)


class Dropout(Op):
    """In training each entry is zero with probability p, else divided by 1 - p (Srivastava et al. 2014)."""

    name = "dropout"
    summary = (
        "In training each entry is zero with probability p, else divided by 1 - p. "
        "In encoder and head only: inside f a mask must not change from call to call, use variational_dropout there."
    )
    fields = (PROBABILITY,)
    principal = "p"
    where = OUTSIDE
    pure = False
    has_rule = False

    def layer(self, attributes: Attributes, *types: Type) -> Layer | None:
        """nn.Dropout."""
        return Layer(f"nn.Dropout({attributes['p']!r})", ())

    def meaning(self, torch: Any, attributes: Attributes, *tensors: Any) -> Any:
        """The identity: the reference is of evaluation."""
        return tensors[0]


OP = Dropout()
