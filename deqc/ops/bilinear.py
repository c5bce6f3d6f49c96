"""`bilinear`: y_k = aᵀ W_k b + c_k of two branches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deqc.fields import Field, Kind
from deqc.ops.base import Attributes, Layer, Make, Op, ShapeError, Value, reduced
from deqc.ops.code import Code, call, literal, matmul, method
from deqc.ops.weights import NAME, WEIGHT_FIELDS
from deqc.types import Type, show


class BilinearPull(Op):
    """The cotangent of one of the two factors: the sum of g_k W_k, times the other factor."""

    step = False
    function = "_weighted_sum"

    def __init__(self, name: str, axis: int) -> None:
        self.name = f"bilinear_{name}"
        self.summary = f"The cotangent of the {name} factor of bilinear."
        self.axis = axis  # of the weight

    def infer(self, attributes: Attributes, *types: Type) -> Type:
        """The last axis becomes that of the factor."""
        g, w, _ = types
        return g.with_shape(*g.shape[:-1], w.shape[self.axis])

    def flops(self, attributes: Attributes, types: Sequence[Type], result: Type) -> int:
        """One multiply-add a weight and position."""
        return _flops(types[1], result)

    def emit(self, attributes: Attributes, result: Type, *operands: Code) -> Code:
        """`(_weighted_sum(g, w) @ b.unsqueeze(-1)).squeeze(-1)`; from the left that of the second."""
        g, w, other = operands
        matrix = call("_weighted_sum", g, w)
        if self.axis == 1:
            return method(matmul(matrix, method(other, "unsqueeze", -1)), "squeeze", -1)
        return method(matmul(method(other, "unsqueeze", -2), matrix), "squeeze", -2)

    def adjoint(self, make: Make, node: Value, g: Any) -> Sequence[Any]:
        """`bilinear` with g in the place of this factor; W and the other are fixed."""
        pulled, w, other = node.operands
        factors = (g, other) if self.axis == 1 else (other, g)
        return [reduced(make, make("bilinear", *factors, w), pulled.type), None, None]


class BilinearWeight(Op):
    """The cotangent of W: g_k a_i b_j, summed over the batch."""

    name = "bilinear_weight"
    summary = "g_k a_i b_j summed over the batch, the cotangent of the weight of bilinear."
    step = False
    rows = False
    function = "_pairs"

    def infer(self, attributes: Attributes, *types: Type) -> Type:
        """(out, n, m), no batch."""
        return Type(tuple(t.shape[-1] for t in types), batched=False)

    def flops(self, attributes: Attributes, types: Sequence[Type], result: Type) -> int:
        """One multiply-add a weight and position."""
        return _flops(result, types[0])

    def emit(self, attributes: Attributes, result: Type, *operands: Code) -> Code:
        """`(g.t() @ _pairs(a, b)).view(k, n, m)`, with all but the last axis flattened where there are more."""
        g, pairs = operands[0], call("_pairs", *operands[1:])
        out, n, m = result.shape
        if attributes["flatten"]:
            g, pairs = method(g, "reshape", -1, literal(out)), method(pairs, "reshape", -1, literal(n * m))
        return method(matmul(method(g, "t"), pairs), "view", literal(out), literal(n), literal(m))


class Bilinear(Op):
    """y_k = aᵀ W_k b + c_k on the last axes of two branches; torch's nn.Bilinear."""

    name = "bilinear"
    unbatched = True
    summary = "y_k = aᵀ W_k b + c_k on the last axes of two branches, with weights of its own: nn.Bilinear."
    fields = (
        Field(
            "of",
            Kind.BRANCHES,
            "The two factors, each a computation that starts from the incoming value.",
            branches=2,
            examples=(["identity", "$x"],),
        ),
        Field("out", Kind.INT, "Features of the result.", minimum=1, examples=(64,)),
        Field("bias", Kind.BOOL, "Whether a learned vector is added.", default=True),
        *WEIGHT_FIELDS,
        NAME,
    )
    principal = "of"
    takes = ("of",)
    function = "_pairs"
    companions = (
        BilinearPull("first", 1),
        BilinearPull("second", 2),
        BilinearWeight(),
    )

    def layer(self, attributes: Attributes, *types: Type) -> Layer | None:
        """nn.Bilinear."""
        a, b = types
        if a.rank == 0 or b.shape[:-1] != a.shape[:-1] or b.rank != a.rank:
            raise ShapeError(
                f"bilinear of shapes {show(a.shape)} and {show(b.shape)}", "shapes that are equal but for the last axis"
            )
        n, m, out, bias = a.shape[-1], b.shape[-1], attributes["out"], attributes["bias"]
        tail = "" if bias else ", bias=False"
        parameters = (("weight", (out, n, m)), ("bias", (out,)))[: 1 + bias]
        return Layer(f"nn.Bilinear({n}, {m}, {out}{tail})", parameters)

    def lowered(self, make: Make, attributes: Attributes, *operands: Any) -> Any:
        """Never a call of the layer, which wants a batch in both factors and is slow under vmap."""
        return make("bilinear", *operands, **{name: value for name, value in attributes.items() if name != "layer"})

    def infer(self, attributes: Attributes, *types: Type) -> Type:
        """(…, n), (…, m) -> (…, out)."""
        a, b, w, *_ = types
        return Type((*a.shape[:-1], w.shape[0]), a.batched or b.batched)

    def flops(self, attributes: Attributes, types: Sequence[Type], result: Type) -> int:
        """One multiply-add a weight and position, one for each factor."""
        return _flops(types[2], result)

    def meaning(self, torch: Any, attributes: Attributes, *tensors: Any) -> Any:
        """The definition."""
        a, b, w, *bias = tensors
        y = torch.einsum("...i,kij,...j->...k", a, w, b)
        return y + bias[0] if bias else y

    def emit(self, attributes: Attributes, result: Type, *operands: Code) -> Code:
        """`F.linear(_pairs(a, b), w.flatten(1), c)`."""
        a, b, w, *bias = operands
        return call("F.linear", call("_pairs", a, b), method(w, "flatten", 1), *bias)

    def adjoint(self, make: Make, node: Value, g: Any) -> Sequence[Any]:
        """Each factor through W and the other."""
        a, b, w, *bias = node.operands
        return [
            reduced(make, make("bilinear_first", g, w, b), a.type),
            reduced(make, make("bilinear_second", g, w, a), b.type),
            make("bilinear_weight", g, a, b, flatten=g.type.rank > 1 or not g.type.batched),
            *(make("sum_to", g, shape=c.type.shape, batched=False) for c in bias),
        ]


def _flops(weight: Type, result: Type) -> int:
    return 2 * result.size * weight.size // max(result.shape[-1], 1)


OP = Bilinear()
