"""`attention`: softmax(q kᵀ / sqrt(d)) v in several heads (Vaswani et al. 2017).

Lowered to products and a softmax, whose derivatives of every order are known: torch's fused kernels have no second
one, which derivatives through an equilibrium in forward mode, and second ones, need.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from types import MappingProxyType
from typing import Any, Final

from deqc.fields import IDENTITY, Field, Kind
from deqc.ops.base import Attributes, Make, Op, ShapeError, Value
from deqc.ops.code import Code, call, method
from deqc.types import Type, show

HIDDEN: Final = -3e4  # a score so low that softmax gives it no weight, also in half precision


class SplitHeads(Op):
    """[length, heads · d] as [heads, length, d]."""

    name = "split_heads"
    summary = "[length, heads · d] as [heads, length, d]."
    step = False
    view = True
    rows = False
    function = "_heads"

    def infer(self, attributes: Attributes, *types: Type) -> Type:
        """Heads in front."""
        x, heads = types[0], attributes["heads"]
        return x.with_shape(heads, x.shape[0], x.shape[1] // heads)

    def flops(self, attributes: Attributes, types: Sequence[Type], result: Type) -> int:
        """None: it is a view."""
        return 0

    def meaning(self, torch: Any, attributes: Attributes, *tensors: Any) -> Any:
        """Stretches of features, one a head."""
        return torch.stack(tensors[0].chunk(attributes["heads"], -1), -3)

    def emit(self, attributes: Attributes, result: Type, *operands: Code) -> Code:
        """`_heads(x, heads)`."""
        return call("_heads", operands[0], result.shape[0])

    def adjoint(self, make: Make, node: Value, g: Any) -> Sequence[Any]:
        """Side by side again."""
        return (make("join_heads", g),)


class JoinHeads(Op):
    """[heads, length, d] as [length, heads · d]."""

    name = "join_heads"
    summary = "[heads, length, d] as [length, heads · d]."
    step = False
    view = True
    rows = False
    function = "_joined"

    def infer(self, attributes: Attributes, *types: Type) -> Type:
        """Heads side by side on the last axis."""
        heads, length, d = types[0].shape
        return types[0].with_shape(length, heads * d)

    def flops(self, attributes: Attributes, types: Sequence[Type], result: Type) -> int:
        """None: it moves numbers."""
        return 0

    def meaning(self, torch: Any, attributes: Attributes, *tensors: Any) -> Any:
        """Side by side."""
        return torch.cat(tensors[0].unbind(-3), -1)

    def emit(self, attributes: Attributes, result: Type, *operands: Code) -> Code:
        """`_joined(x)`."""
        return call("_joined", *operands)

    def adjoint(self, make: Make, node: Value, g: Any) -> Sequence[Any]:
        """Apart again."""
        return (make("split_heads", g, heads=node.operands[0].type.shape[0]),)


class Causal(Op):
    """-inf where a key comes after the query, so that its weight is 0; the last key is that of the last query.

    With a window, also where it comes so many places before the query, or more.
    """

    name = "causal"
    summary = "Scores of attention with -inf where a key comes after the query, or too long before it."
    step = False
    rows = False
    function = "_causal"

    def meaning(self, torch: Any, attributes: Attributes, *tensors: Any) -> Any:
        """By the distance of query and key."""
        x, window = tensors[0], attributes["window"]
        length, keys = x.shape[-2:]
        distance = torch.arange(length)[:, None] + keys - length - torch.arange(keys)
        hidden = (distance < 0) | (distance >= (keys if window is None else window))
        return x.masked_fill(hidden.to(x.device), -torch.inf)

    def emit(self, attributes: Attributes, result: Type, *operands: Code) -> Code:
        """`_causal(scores)`."""
        window = {} if attributes["window"] is None else {"window": attributes["window"]}
        return call("_causal", *operands, **window)

    def adjoint(self, make: Make, node: Value, g: Any) -> Sequence[Any]:
        """G, in which softmax has put zeros there."""
        return (g,)


def fit(what: str, heads: int, q: Type, k: Type, v: Type) -> None:
    """Raises ShapeError where queries, keys and values do not go together."""
    for name, one in (("query", q), ("key", k), ("value", v)):
        if one.rank != 2:
            raise ShapeError(f"{what} with a {name} of shape {show(one.shape)}", "[length, features]")
        if one.shape[1] % heads:
            expected = f"a divisor of {one.shape[1]}"
            raise ShapeError(f"{what} with {heads} heads on a {name} of {one.shape[1]} features", expected)
    if q.shape[1] != k.shape[1]:
        message = f"{what} of a query of shape {show(q.shape)} to keys of {show(k.shape)}"
        raise ShapeError(message, "as many features in both")
    if k.shape[0] != v.shape[0]:
        raise ShapeError(f"{what} with keys of shape {show(k.shape)} and values of {show(v.shape)}", "as many of each")


class Masked(Op):
    """The scores where a mask is true; elsewhere so low that softmax gives them no weight.

    A query of whose keys all are hidden weighs them alike, whatever the scores: it gives them no cotangent.
    """

    name = "masked"
    summary = "Numbers where a mask is true, elsewhere one that is given."
    step = False
    rows = False

    def infer(self, attributes: Attributes, *types: Type) -> Type:
        """That of the scores."""
        return Type(types[0].shape, types[0].batched or types[1].batched)

    def meaning(self, torch: Any, attributes: Attributes, *tensors: Any) -> Any:
        """The definition."""
        scores, mask = tensors
        return torch.where(mask, scores, torch.full_like(scores, attributes["fill"]))

    def emit(self, attributes: Attributes, result: Type, *operands: Code) -> Code:
        """`scores.masked_fill(mask.logical_not(), -3e4)`."""
        scores, mask = operands
        return method(scores, "masked_fill", method(mask, "logical_not"), attributes["fill"])

    def adjoint(self, make: Make, node: Value, g: Any) -> Sequence[Any]:
        """G where the mask is true, 0 elsewhere."""
        return make("masked", g, node.operands[1], fill=0.0), None


class Attention(Op):
    """y = softmax(q kᵀ / sqrt(d)) v, each head on its own stretch of the features."""

    name = "attention"
    summary = (
        "softmax(q kᵀ / sqrt(d)) v in several heads, each on its own stretch of the features (Vaswani et al. 2017). It "
        "has no weights: write `{linear: 64}` in query, key and value for them, and after it for those of the output."
    )
    fields = (
        Field("heads", Kind.INT, "Heads; their number divides the features.", default=1, minimum=1, examples=(4,)),
        *(
            Field(name, Kind.COMPUTATION, text, default=IDENTITY, examples=({"linear": 64},))
            for name, text in (
                ("query", "What asks, [length, d]: a computation that starts from the incoming value."),
                ("key", "What is asked, [keys, d]: a computation that starts from the incoming value."),
                ("value", "What is averaged, [keys, features]: a computation that starts from the incoming value."),
            )
        ),
        Field(
            "mask",
            Kind.COMPUTATION,
            "Numbers of [length, keys] that are added to the scores before the softmax; or truth values: what is false "
            "is not looked at.",
            default=None,
            nullable=True,
            examples=("$mask",),
        ),
        Field("causal", Kind.BOOL, "Whether entries after a query's own have no weight for it.", default=False),
    )
    takes = ("query", "key", "value", "mask")
    dtypes = MappingProxyType({"mask": frozenset({"bool"})})
    unbatched = True
    companions = (SplitHeads(), JoinHeads(), Causal(), Masked())

    def lowered(self, make: Make, attributes: Attributes, *operands: Any) -> Any:
        """(L, d) -> (L, d_v): heads apart, scores, weights, heads side by side."""
        q, k, v, *mask = operands
        heads = attributes["heads"]
        self._fit(heads, attributes["causal"], *(o.type for o in operands))
        if heads > 1:
            q, k, v = (make("split_heads", one, heads=heads) for one in (q, k, v))
        q = make("times", q, by=1 / sqrt(q.type.shape[-1]))
        scores = make("matmul", q, k, turn_a=False, turn_b=True)
        if mask:
            one = mask[0] if heads == 1 else make("reshape", mask[0], shape=(1, *mask[0].type.shape))
            is_bool = one.type.dtype == "bool"
            scores = make("masked", scores, one, fill=HIDDEN) if is_bool else make("sum", scores, one)
        if attributes["causal"]:
            scores = make("causal", scores, window=None)
        y = make("matmul", make("softmax", scores, dim=-1, hint="attention"), v, turn_a=False, turn_b=False)
        return make("join_heads", y) if heads > 1 else y

    def _fit(self, heads: int, causal: bool, q: Type, k: Type, v: Type, mask: Type | None = None) -> None:
        """Raises ShapeError where the values do not go together."""
        fit("attention", heads, q, k, v)
        if causal and q.shape[0] != k.shape[0]:
            raise ShapeError(f"causal attention of {q.shape[0]} queries to {k.shape[0]} keys", "as many of each")
        if mask is not None and mask.shape != (q.shape[0], k.shape[0]):
            raise ShapeError(
                f"attention with a mask of shape {show(mask.shape)}",
                f"[queries, keys]: {show((q.shape[0], k.shape[0]))}",
                "a row for each query: one of keys alone is repeated before it is handed over",
            )


OP = Attention()
