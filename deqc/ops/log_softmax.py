"""`log_softmax`: y = x - log Σ exp(x) along one axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deqc.ops.base import Attributes, Make, Op, Value
from deqc.ops.code import Code, Text, call, method, product, subtract
from deqc.ops.shapes import axis, tensor_dim
from deqc.ops.softmax import DIM
from deqc.types import Type


class LogSoftmaxPull(Op):
    """The cotangent of x: g - exp(y) Σ g."""

    name = "log_softmax_pull"
    summary = "g - exp(y) Σ g, the cotangent of the input of log_softmax."
    step = False
    repeats = True

    def emit(self, attributes: Attributes, result: Type, *operands: Code) -> Code:
        """One exponential, one sum."""
        g, y = operands
        dim = tensor_dim(attributes["dim"] % result.rank, result)
        return subtract(g, product(call("torch.exp", y), method(g, "sum", dim, keepdim=Text("True"))))

    def adjoint(self, make: Make, node: Value, g: Any) -> Sequence[Any]:
        """The other way."""
        return [make("log_softmax_push", g, node.operands[1], **node.attributes), None]


class LogSoftmaxPush(Op):
    """The tangent of y: v - Σ exp(y) v."""

    name = "log_softmax_push"
    summary = "v - Σ exp(y) v, the tangent of log_softmax."
    step = False
    repeats = True

    def emit(self, attributes: Attributes, result: Type, *operands: Code) -> Code:
        """One exponential, one sum."""
        v, y = operands
        dim = tensor_dim(attributes["dim"] % result.rank, result)
        return subtract(v, method(product(call("torch.exp", y), v), "sum", dim, keepdim=Text("True")))

    def adjoint(self, make: Make, node: Value, g: Any) -> Sequence[Any]:
        """The other way."""
        return [make("log_softmax_pull", g, node.operands[1], **node.attributes), None]


class LogSoftmax(Op):
    """y = x - log Σ exp(x) along one axis."""

    name = "log_softmax"
    summary = "y = x - log Σ exp(x) along one axis."
    fields = (DIM,)
    principal = "dim"
    unbatched = True
    companions = (LogSoftmaxPull(), LogSoftmaxPush())

    def infer(self, attributes: Attributes, *types: Type) -> Type:
        """Unchanged; the axis dim must be there."""
        axis("log_softmax", attributes["dim"], types[0])
        return types[0]

    def flops(self, attributes: Attributes, types: Sequence[Type], result: Type) -> int:
        """Exponential, sum, difference."""
        return 3 * result.size

    def meaning(self, torch: Any, attributes: Attributes, *tensors: Any) -> Any:
        """The definition."""
        dim = attributes["dim"]
        batched = bool(attributes.get("batched", True))
        return tensors[0] - torch.logsumexp(tensors[0], dim + batched if dim >= 0 else dim, keepdim=True)

    def emit(self, attributes: Attributes, result: Type, *operands: Code) -> Code:
        """`torch.log_softmax(x, -1)`."""
        return call("torch.log_softmax", operands[0], tensor_dim(attributes["dim"] % result.rank, result))

    def adjoint(self, make: Make, node: Value, g: Any) -> Sequence[Any]:
        """g - exp(y) Σ g."""
        return (make("log_softmax_pull", g, node, dim=node.attributes["dim"]),)


OP = LogSoftmax()
