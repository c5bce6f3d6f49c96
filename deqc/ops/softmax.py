"""`softmax`: y = exp(x) / Σ exp(x) along one axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deqc.fields import Field, Kind
from deqc.ops.base import Attributes, Make, Op, Value
from deqc.ops.code import Code, Text, call, method, product, subtract
from deqc.ops.shapes import axis, tensor_dim
from deqc.types import Type

DIM = Field("dim", Kind.INT, "The axis of one sample; -1 is the last.", default=-1)


class SoftmaxPull(Op):
    """y (g - Σ g y)."""

    name = "softmax_pull"
    summary = "y (g - Σ g y), the cotangent of the input of softmax."
    step = False
    repeats = True

    def emit(self, attributes: Attributes, result: Type, *operands: Code) -> Code:
        """One product, one sum."""
        g, y = operands
        dim = tensor_dim(attributes["dim"] % result.rank, result)
        return product(y, subtract(g, method(product(g, y), "sum", dim, keepdim=Text("True"))))

    def adjoint(self, make: Make, node: Value, g: Any) -> Sequence[Any]:
        """Itself: the Jacobian is symmetric."""
        return [make(self.name, g, node.operands[1], **node.attributes), None]


class Softmax(Op):
    """y = exp(x) / Σ exp(x) along one axis."""

    name = "softmax"
    summary = "y = exp(x) / Σ exp(x) along one axis."
    fields = (DIM,)
    principal = "dim"
    unbatched = True
    companions = (SoftmaxPull(),)

    def infer(self, attributes: Attributes, *types: Type) -> Type:
        """Unchanged; the axis dim must be there."""
        axis("softmax", attributes["dim"], types[0])
        return types[0]

    def flops(self, attributes: Attributes, types: Sequence[Type], result: Type) -> int:
        """Exponential, sum, division."""
        return 3 * result.size

    def meaning(self, torch: Any, attributes: Attributes, *tensors: Any) -> Any:
        """torch.softmax."""
        dim = attributes["dim"]
        return torch.softmax(tensors[0], dim + bool(attributes.get("batched", True)) if dim >= 0 else dim)

    def emit(self, attributes: Attributes, result: Type, *operands: Code) -> Code:
        """`torch.softmax(x, -1)`."""
        return call("torch.softmax", operands[0], tensor_dim(attributes["dim"] % result.rank, result))

    def adjoint(self, make: Make, node: Value, g: Any) -> Sequence[Any]:
        """Y (g - Σ g y)."""
        return (make("softmax_pull", g, node, dim=node.attributes["dim"]),)


OP = Softmax()
