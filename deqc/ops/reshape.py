"""`reshape`: the same numbers under another shape."""

from __future__ import annotations

from math import prod
from typing import Any

from deqc.fields import Field, Kind
from deqc.ops.base import ANY, Attributes, ShapeError
from deqc.ops.code import Attribute, Code, Index, literal, method
from deqc.ops.views import View
from deqc.types import Type, show


class Reshape(View):
    """The entries in the same order under another shape."""

    name = "reshape"
    summary = "The same entries, in the same order, under another shape of one sample."
    fields = (Field("shape", Kind.SHAPE, "The new shape of one sample.", examples=([1, 28, 28],)),)
    dtypes = ANY
    unbatched = True
    principal = "shape"

    def infer(self, attributes: Attributes, *types: Type) -> Type:
        """Any shape to one of as many entries."""
        shape = tuple(attributes["shape"])
        if prod(shape) != types[0].size:
            raise ShapeError(
                f"reshape from {show(types[0].shape)} ({types[0].size} numbers) to {show(shape)} ({prod(shape)})",
                f"a shape of {types[0].size} numbers",
            )
        return types[0].with_shape(*shape)

    def meaning(self, torch: Any, attributes: Attributes, *tensors: Any) -> Any:
        """Reshape behind the batch."""
        lead = tensors[0].shape[:1] if attributes.get("batched", True) else ()
        return tensors[0].reshape(*lead, *attributes["shape"])

    def emit(self, attributes: Attributes, result: Type, *operands: Code) -> Code:
        """`x.reshape(x.shape[0], 1, 28, 28)`."""
        if not result.batched:
            sizes = tuple(literal(n) for n in result.shape)
            return method(operands[0], "view", *(sizes or (literal(()),)))
        if len(result.shape) == 1 and result.size != 1:  # a scalar has no axis to flatten
            return method(operands[0], "reshape", -1, literal(result.shape[0]))
        return method(
            operands[0], "reshape", Index(Attribute(operands[0], "shape"), "0"), *(literal(n) for n in result.shape)
        )

    repeats = True


OP = Reshape()
