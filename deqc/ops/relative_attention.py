"""`relative_attention`: attention by content and by relative position (Dai et al. 2019)."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import Any

from deqc.fields import Field, Kind
from deqc.ops.attention import fit
from deqc.ops.base import Attributes, Make, Op, ShapeError, Value
from deqc.ops.code import Code, call
from deqc.types import Type, show


class ByKey(Op):
    """y[i, j] = x[i, j + L - 1 - i] for L rows: scores by distance, the largest first, as scores by key."""

    name = "by_key"
    summary = "Scores by the distance of query and key as scores by key."
    step = False
    rows = False
    function = "_by_key"

    def infer(self, attributes: Attributes, *types: Type) -> Type:
        """As many columns as keys."""
        return types[0].with_shape(*types[0].shape[:-1], attributes["keys"])

    def flops(self, attributes: Attributes, types: Sequence[Type], result: Type) -> int:
        """None: it moves numbers."""
        return 0

    def meaning(self, torch: Any, attributes: Attributes, *tensors: Any) -> Any:
        """Looked up; what no distance belongs to, keys after the query, is zero."""
        x = tensors[0]
        length, distances = x.shape[-2:]
        index = torch.arange(attributes["keys"], device=x.device) + length - 1
        index = index - torch.arange(length, device=x.device)[:, None]
        found = x.gather(-1, index.clamp(max=distances - 1).expand(*x.shape[:-1], -1))
        return found.masked_fill(index >= distances, 0.0)

    def emit(self, attributes: Attributes, result: Type, *operands: Code) -> Code:
        """`_by_key(scores, keys)`."""
        return call("_by_key", operands[0], result.shape[-1])

    def adjoint(self, make: Make, node: Value, g: Any) -> Sequence[Any]:
        """Back to the distances."""
        return (make("by_distance", g, distances=node.operands[0].type.shape[-1]),)


class ByDistance(Op):
    """The transpose of `by_key`."""

    name = "by_distance"
    summary = "The cotangent of scores by distance, from that of scores by key."
    step = False
    rows = False
    function = "_by_distance"

    def infer(self, attributes: Attributes, *types: Type) -> Type:
        """As many columns as distances."""
        return types[0].with_shape(*types[0].shape[:-1], attributes["distances"])

    def flops(self, attributes: Attributes, types: Sequence[Type], result: Type) -> int:
        """None: it moves numbers."""
        return 0

    def emit(self, attributes: Attributes, result: Type, *operands: Code) -> Code:
        """`_by_distance(g, distances)`."""
        return call("_by_distance", operands[0], result.shape[-1])

    def adjoint(self, make: Make, node: Value, g: Any) -> Sequence[Any]:
        """Forwards again."""
        return (make("by_key", g, keys=node.operands[0].type.shape[-1]),)


def _computation(name: str, text: str, example: object) -> Field:
    return Field(name, Kind.COMPUTATION, text, examples=(example,))


class RelativeAttention(Op):
    """softmax(((q + u) kᵀ + (q + w) rᵀ) / sqrt(d)) v, r by the distance of query and key."""

    name = "relative_attention"
    summary = (
        "Attention with scores by content, (q + u)·k, and by the distance of query and key, (q + w)·r (Dai et al. "
        "2019). The last key is that of the last query; there may be more keys than queries: those of a memory."
    )
    fields = (
        Field("heads", Kind.INT, "Heads; their number divides the features.", minimum=1, examples=(8,)),
        _computation("query", "What asks, [length, d].", {"linear": 64}),
        _computation("key", "What is asked, [keys, d].", {"linear": 64}),
        _computation("value", "What is averaged, [keys, features].", {"linear": 64}),
        _computation(
            "positions",
            "A row for each distance, the largest first: [keys, d] for the distances keys - 1 to 0, as of a projected "
            "descending `sinusoidal`; without causal [keys + length - 1, d], down to 1 - length.",
            [{"sinusoidal": {"out": 64, "order": "descending"}}, {"linear": 64}],
        ),
        _computation(
            "content_bias", "u, added to the query where it meets a key: [heads, d / heads].", "$content_bias"
        ),
        _computation(
            "position_bias", "w, added to the query where it meets a position: [heads, d / heads].", "$position_bias"
        ),
        Field("causal", Kind.BOOL, "Whether keys after a query's own have no weight for it.", default=True),
        Field(
            "window",
            Kind.INT,
            "With causal, how many keys a query sees, its own counted; all if absent.",
            default=None,
            nullable=True,
            minimum=1,
        ),
    )
    takes = ("query", "key", "value", "positions", "content_bias", "position_bias")
    unbatched = True
    companions = (ByKey(), ByDistance())

    def lowered(self, make: Make, attributes: Attributes, *operands: Any) -> Any:
        """Heads apart, scores of both kinds, weights, heads side by side."""
        self._fit(attributes, *(o.type for o in operands))
        q, k, v, r = (make("split_heads", one, heads=attributes["heads"]) for one in operands[:4])
        u, w = (make("reshape", one, shape=(one.type.shape[0], 1, one.type.shape[1])) for one in operands[4:])
        content = make("matmul", make("sum", q, u), k, turn_a=False, turn_b=True)
        distance = make("matmul", make("sum", q, w), r, turn_a=False, turn_b=True)
        scores = make("sum", content, make("by_key", distance, keys=k.type.shape[1]))
        scores = make("times", scores, by=1 / sqrt(q.type.shape[-1]))
        if attributes["causal"]:
            scores = make("causal", scores, window=attributes["window"])
        weights = make("softmax", scores, dim=-1, hint="attention")
        return make("join_heads", make("matmul", weights, v, turn_a=False, turn_b=False))

    def _fit(self, attributes: Attributes, q: Type, k: Type, v: Type, r: Type, u: Type, w: Type) -> None:
        """Raises ShapeError where the values do not go together."""
        heads, causal = attributes["heads"], attributes["causal"]
        fit(self.name, heads, q, k, v)
        length, keys = q.shape[0], k.shape[0]
        if length > keys:
            raise ShapeError(f"{self.name} of {length} queries to {keys} keys", "at least as many keys as queries")
        rows = keys if causal else keys + length - 1
        if r.shape != (rows, q.shape[1]):
            raise ShapeError(
                f"{self.name} with positions of shape {show(r.shape)}",
                f"a row for each of the distances {keys - 1} to {0 if causal else 1 - length}: "
                f"{show((rows, q.shape[1]))}",
            )
        for name, bias in (("content_bias", u), ("position_bias", w)):
            if bias.shape != (heads, q.shape[1] // heads):
                raise ShapeError(
                    f"{self.name} with a {name} of shape {show(bias.shape)}",
                    f"[heads, features of a head]: {show((heads, q.shape[1] // heads))}",
                )
        if attributes["window"] is not None and not causal:
            raise ShapeError(f"{self.name} with a window and without causal", "window goes with `causal: true`")


OP = RelativeAttention()
