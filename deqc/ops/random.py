"""`random`: a random state, where z_0 is made."""

from __future__ import annotations

from typing import Any

from deqc.fields import Field, Kind
from deqc.ops.base import INIT, Attributes, Op
from deqc.ops.code import Code, call, literal
from deqc.types import Type


class Random(Op):
    """Normal numbers, of which each stays with probability `keep`, else is zero."""

    name = "random"
    summary = "A random state, drawn anew in every call; only in `init`."
    fields = (
        Field("distribution", Kind.CHOICE, "How the numbers are drawn.", default="normal", choices=("normal",)),
        Field(
            "keep",
            Kind.NUMBER,
            "The probability with which a number stays; the others are zero.",
            default=1.0,
            exclusive_minimum=0.0,
            maximum=1.0,
            examples=(0.5,),
        ),
    )
    principal = "distribution"
    takes = ()
    where = frozenset({INIT})
    pure = False
    function = "_noise"

    def infer(self, attributes: Attributes, *types: Type) -> Type:
        """The shape of the scale."""
        return Type(tuple(attributes["shape"]))

    def meaning(self, torch: Any, attributes: Attributes, *tensors: Any) -> Any:
        """The definition."""
        noise = tensors[0].new_empty(tensors[0].shape[0], *attributes["shape"]).normal_()
        return noise * noise.new_empty(noise.shape).bernoulli_(attributes["keep"])

    def emit(self, attributes: Attributes, result: Type, *operands: Code) -> Code:
        """`_noise(x, (64,), 0.5)`."""
        return call("_noise", operands[0], literal(tuple(attributes["shape"])), float(attributes["keep"]))


OP = Random()
