"""`linear`: y = W x + b on the last axis."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import Any

from deqc.fields import Field, Kind
from deqc.ops.base import GIVEN, INCOMING, Attributes, Layer, Make, Op, ShapeError, Value, within
from deqc.ops.code import Code, call, literal, matmul, method
from deqc.ops.weights import NAME, WEIGHT_FIELDS
from deqc.types import Type, show


class LinearInput(Op):
    """The cotangent of x: g W."""

    name = "linear_input"
    summary = "g W, the cotangent of the input of linear."
    step = False

    def infer(self, attributes: Attributes, *types: Type) -> Type:
        """The last axis becomes that of x."""
        return types[0].with_shape(*types[0].shape[:-1], types[1].shape[1])

    def flops(self, attributes: Attributes, types: Sequence[Type], result: Type) -> int:
        """One multiply-add a weight and position."""
        return 2 * types[0].size * types[1].shape[1]

    def emit(self, attributes: Attributes, result: Type, *operands: Code) -> Code:
        """`g @ w`."""
        return matmul(*operands)

    def adjoint(self, make: Make, node: Value, g: Any) -> Sequence[Any]:
        """W g; the weight is fixed."""
        return [make("linear", g, node.operands[1]), None]


class LinearWeight(Op):
    """The cotangent of W: gᵀ x, summed over the batch."""

    name = "linear_weight"
    summary = "gᵀ x summed over the batch, the cotangent of the weight of linear."
    step = False
    rows = False

    def infer(self, attributes: Attributes, *types: Type) -> Type:
        """(out, in), no batch."""
        return Type((types[0].shape[-1], types[1].shape[-1]), batched=False)

    def flops(self, attributes: Attributes, types: Sequence[Type], result: Type) -> int:
        """One multiply-add a weight and position."""
        return 2 * types[0].size * types[1].shape[-1]

    def emit(self, attributes: Attributes, result: Type, *operands: Code) -> Code:
        """`g.t() @ x`, with all but the last axis flattened where there are more."""
        g, x = operands
        if attributes["flatten"]:
            out, features = result.shape
            g, x = method(g, "reshape", -1, literal(out)), method(x, "reshape", -1, literal(features))
        return matmul(method(g, "t"), x)


class Linear(Op):
    """y = W x + b on the last axis; torch's nn.Linear."""

    name = "linear"
    unbatched = True
    summary = "y = W x + b on the last axis, with weights of its own: nn.Linear. The input size is inferred."
    fields = (
        Field("out", Kind.INT, "Features of the result.", minimum=1, examples=(64, "${scale.features}")),
        Field("bias", Kind.BOOL, "Whether a learned vector is added.", default=True),
        Field(
            "weight",
            Kind.COMPUTATION,
            "A matrix from elsewhere in place of one of its own and of `out`: most often `$name`, a parameter.",
            default=None,
            nullable=True,
            examples=("$W",),
        ),
        Field("transpose", Kind.BOOL, "Whether that matrix is used transposed: y = Wᵀ x + b.", default=False),
        *WEIGHT_FIELDS,
        NAME,
    )
    principal = "out"
    takes = (INCOMING, "weight")
    source = "weight"
    instead = ("out",)
    companions = (LinearInput(), LinearWeight())

    def layer(self, attributes: Attributes, *types: Type) -> Layer | None:
        """nn.Linear."""
        x, *given = types
        if x.rank == 0:
            raise ShapeError("linear needs a value with at least one axis")
        n, bias = x.shape[-1], attributes["bias"]
        if given:
            out = _outputs(n, given[0], attributes["transpose"])
            return Layer(None, (("bias", (out,)),), within(1 / sqrt(n))) if bias else None
        if attributes["transpose"]:
            raise ShapeError("transpose goes with a weight from elsewhere", "`weight: $name` beside it")
        out = attributes["out"]
        tail = "" if bias else ", bias=False"
        parameters = (("weight", (out, n)), ("bias", (out,)))[: 1 + bias]
        return Layer(f"nn.Linear({n}, {out}{tail})", parameters)

    def lowered(self, make: Make, attributes: Attributes, *operands: Any) -> Any:
        """The product with the weight as it is used."""
        constants = {name: value for name, value in attributes.items() if name not in ("transpose", GIVEN)}
        x, w, *bias = operands
        if attributes["transpose"]:
            w = make("permute", w, dims=(1, 0), batched=False)
        constants["out"] = w.type.shape[0]
        return make("linear", x, w, *bias, **constants)

    def infer(self, attributes: Attributes, *types: Type) -> Type:
        """(…, n) -> (…, out)."""
        return types[0].with_shape(*types[0].shape[:-1], types[1].shape[0])

    def flops(self, attributes: Attributes, types: Sequence[Type], result: Type) -> int:
        """One multiply-add a weight and position."""
        return 2 * result.size * types[0].shape[-1]

    def meaning(self, torch: Any, attributes: Attributes, *tensors: Any) -> Any:
        """X Wᵀ + b."""
        y = tensors[0] @ tensors[1].mT
        return y + tensors[2] if len(tensors) == 3 else y

    def emit(self, attributes: Attributes, result: Type, *operands: Code) -> Code:
        """`F.linear(x, w, b)`; `torch.addmm(b, x, w.t())` where b has a row for every sample."""
        if attributes.get("added"):
            return call("torch.addmm", operands[2], operands[0], method(operands[1], "t"))
        return call("F.linear", *operands)

    def adjoint(self, make: Make, node: Value, g: Any) -> Sequence[Any]:
        """G W, gᵀ x and the sum of g."""
        x, w, *bias = node.operands
        sums = [g if b.type.batched else make("sum_to", g, shape=b.type.shape, batched=False) for b in bias]
        return [
            make("linear_input", g, w),
            make("linear_weight", g, x, flatten=x.type.rank > 1),
            *sums,
        ]


def _outputs(n: int, weight: Type, transpose: bool) -> int:
    """Features of the result where the weight is given; raises ShapeError where it does not fit."""
    if weight.batched or weight.rank != 2:
        kind = "a value with a batch" if weight.batched else f"a weight of shape {show(weight.shape)}"
        raise ShapeError(f"linear's weight is a matrix, found {kind}", "a parameter of shape [out, in]")
    out, fan_in = reversed(weight.shape) if transpose else weight.shape
    if fan_in != n:
        turned = " transposed" if transpose else ""
        other = weight.shape[0] if not transpose else weight.shape[1]
        hint = f"write `transpose: {str(not transpose).lower()}`" if other == n else None
        message = f"linear with a weight of shape {show(weight.shape)}{turned} on {n} features"
        raise ShapeError(message, f"a value of {fan_in} features", hint)
    return out


OP = Linear()
