"""`variational_dropout`: one mask a solve (Gal & Ghahramani 2016)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deqc.fields import Field, Kind
from deqc.ops.base import Attributes, Op, ShapeError
from deqc.ops.code import Attribute, Code, Index, Text, call, literal, method
from deqc.ops.dropout import PROBABILITY
from deqc.types import Type, show


class DropoutMask(Op):
    """Ones in evaluation; in training 0 with probability p, else 1 / (1 - p). Drawn once a solve."""

    name = "dropout_mask"
    summary = "The mask of variational_dropout, drawn once a solve."
    step = False
    pure = False
    repeats = True

    def infer(self, attributes: Attributes, *types: Type) -> Type:
        """One number an entry, channel or token."""
        return Type(tuple(attributes["shape"]))

    def meaning(self, torch: Any, attributes: Attributes, *tensors: Any) -> Any:
        """Ones: the reference is of evaluation."""
        return tensors[0].new_ones(tensors[0].shape[0], *attributes["shape"])

    def emit(self, attributes: Attributes, result: Type, *operands: Code) -> Code:
        """`F.dropout(x.new_ones(…), p, self.training)`."""
        sizes = tuple(literal(n) for n in attributes["shape"])
        ones = method(operands[0], "new_ones", Index(Attribute(operands[0], "shape"), "0"), *sizes)
        return call("F.dropout", ones, attributes["p"], Text("self.training"))


class VariationalDropout(Op):
    """y = mask · x with one mask for the whole solve, so that f stays one map; lowered to `mul` with `dropout_mask`."""

    name = "variational_dropout"
    summary = "Dropout with one mask for a whole solve, so that f stays one map (Gal & Ghahramani 2016)."
    fields = (
        PROBABILITY,
        Field(
            "per",
            Kind.CHOICE,
            "What is dropped together: an element, a channel (axis 0), or a token (axis 0 of [tokens, features]).",
            default="element",
            choices=("element", "channel", "token"),
        ),
    )
    principal = "p"
    companions = (DropoutMask(),)

    def mask_shape(self, attributes: Attributes, x: Type) -> tuple[int, ...]:
        """The shape of the mask for a value of type x."""
        if attributes["per"] == "element":
            return x.shape
        if attributes["per"] == "token" and x.rank != 2:
            raise ShapeError(f"variational_dropout per token on a value of shape {show(x.shape)}", "[tokens, features]")
        if x.rank < 2:
            raise ShapeError(f"variational_dropout per channel on a value of shape {show(x.shape)}", "[channels, …]")
        return (x.shape[0], *(1 for _ in x.shape[1:]))

    def infer(self, attributes: Attributes, *types: Type) -> Type:
        """Unchanged; what is dropped must be there."""
        self.mask_shape(attributes, types[0])
        return types[0]

    def flops(self, attributes: Attributes, types: Sequence[Type], result: Type) -> int:
        """One product an entry."""
        return result.size


OP = VariationalDropout()
