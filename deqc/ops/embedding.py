"""`embedding`: a learned vector for each whole number."""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType
from typing import Any

from deqc.fields import Field, Kind
from deqc.ops.base import GIVEN, INCOMING, WHOLE, Attributes, Layer, Make, Op, ShapeError, Value
from deqc.ops.code import Code, call, literal, method
from deqc.ops.weights import NAME, WEIGHT_FIELDS
from deqc.types import Type, show


class EmbeddingWeight(Op):
    """The cotangent of the table: g added up in the rows that were looked up."""

    name = "embedding_weight"
    summary = "g added up by the number that was looked up, the cotangent of the table of embedding."
    step = False
    rows = False

    def infer(self, attributes: Attributes, *types: Type) -> Type:
        """The shape of the table."""
        return Type(tuple(attributes["shape"]), batched=False)

    def flops(self, attributes: Attributes, types: Sequence[Type], result: Type) -> int:
        """One addition an entry of g."""
        return types[0].size

    def emit(self, attributes: Attributes, result: Type, *operands: Code) -> Code:
        """`g.new_zeros(count, out).index_add(0, x.reshape(-1), g.reshape(-1, out))`."""
        g, x = operands
        table = method(g, "new_zeros", *(literal(n) for n in result.shape))
        rows = method(g, "reshape", -1, literal(result.shape[1]))
        return method(table, "index_add", 0, method(x, "reshape", -1), rows)

    repeats = True


class Embedding(Op):
    """y = row x of a learned table; torch's nn.Embedding."""

    name = "embedding"
    summary = "A learned vector for each whole number from 0 to count - 1: nn.Embedding. Of an input of dtype int64."
    fields = (
        Field("count", Kind.INT, "Rows of the table: the numbers are less.", minimum=1, examples=(1000,)),
        Field("out", Kind.INT, "Features of each vector.", minimum=1, examples=(64,)),
        Field(
            "weight",
            Kind.COMPUTATION,
            "A table of [count, out] from elsewhere in place of one of its own: most often `$name`, a parameter.",
            default=None,
            nullable=True,
            examples=("$table",),
        ),
        *(field for field in WEIGHT_FIELDS if field.name != "bias_init"),
        NAME,
    )
    takes = (INCOMING, "weight")
    source = "weight"
    instead = ("count", "out")
    dtypes = MappingProxyType({INCOMING: WHOLE})
    unbatched = True
    companions = (EmbeddingWeight(),)

    def layer(self, attributes: Attributes, *types: Type) -> Layer | None:
        """nn.Embedding."""
        x, *given = types
        if x.dtype not in WHOLE:
            raise ShapeError(
                "embedding of numbers that may have a fraction",
                "whole numbers",
                "declare the input with a dtype: `input: {tokens: {shape: [12], dtype: int64}}`",
            )
        if given:
            if given[0].batched or given[0].rank != 2:
                raise ShapeError(
                    f"embedding with a table of shape {show(given[0].shape)}", "a parameter of [count, out]"
                )
            return None
        count, out = attributes["count"], attributes["out"]
        return Layer(f"nn.Embedding({count}, {out})", (("weight", (count, out)),))

    def lowered(self, make: Make, attributes: Attributes, *operands: Any) -> Any:
        """The numbers, then the table."""
        return make("embedding", *operands, **{name: value for name, value in attributes.items() if name != GIVEN})

    def infer(self, attributes: Attributes, *types: Type) -> Type:
        """(…) -> (…, out)."""
        x, table = types
        return Type((*x.shape, table.shape[1]), x.batched)

    def flops(self, attributes: Attributes, types: Sequence[Type], result: Type) -> int:
        """A number read for each."""
        return result.size

    def meaning(self, torch: Any, attributes: Attributes, *tensors: Any) -> Any:
        """Rows of the table."""
        return tensors[1][tensors[0]]

    def emit(self, attributes: Attributes, result: Type, *operands: Code) -> Code:
        """`F.embedding(x, w)`."""
        return call("F.embedding", *operands)

    def adjoint(self, make: Make, node: Value, g: Any) -> Sequence[Any]:
        """None to the numbers; g added up in their rows."""
        x, table = node.operands
        return [None, make("embedding_weight", g, x, shape=table.type.shape)]


OP = Embedding()
