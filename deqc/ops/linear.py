"""`linear`: y = W x + b on the last axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deqc.fields import Field, Kind
from deqc.ops.base import Attributes, Layer, Make, Op, ShapeError, Value
from deqc.ops.code import Code, call, matmul, method
from deqc.types import Type


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
            g, x = method(g, "flatten", 0, -2), method(x, "flatten", 0, -2)
        return matmul(method(g, "t"), x)


class Linear(Op):
    """y = W x + b on the last axis; torch's nn.Linear."""

    name = "linear"
    summary = "y = W x + b on the last axis, with weights of its own: nn.Linear. The input size is inferred."
    fields = (
        Field("out", Kind.INT, "Features of the result.", minimum=1, examples=(64, "${scale.features}")),
        Field("bias", Kind.BOOL, "Whether a learned vector is added.", default=True),
    )
    principal = "out"
    companions = (LinearInput(), LinearWeight())

    def layer(self, attributes: Attributes, *types: Type) -> Layer | None:
        """nn.Linear."""
        x = types[0]
        if x.rank == 0:
            raise ShapeError("linear needs a value with at least one axis")
        n, out, bias = x.shape[-1], attributes["out"], attributes["bias"]
        tail = "" if bias else ", bias=False"
        parameters = (("weight", (out, n)), ("bias", (out,)))[: 1 + bias]
        return Layer(f"nn.Linear({n}, {out}{tail})", parameters)

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


OP = Linear()
