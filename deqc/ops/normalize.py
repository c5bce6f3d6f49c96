"""`normalize`: Euclidean length 1 along one axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deqc.ops.base import Attributes, Make, Op, Value
from deqc.ops.code import Code, Text, call, method, product, subtract
from deqc.ops.shapes import axis, tensor_dim
from deqc.ops.softmax import DIM
from deqc.types import Type

SMALLEST = 1e-12  # a shorter length counts as this one, as in torch


class NormalizeScale(Op):
    """1 / max(|x|, 1e-12)."""

    name = "normalize_scale"
    summary = "One over the length along the axis, by which normalize multiplies."
    step = False

    def infer(self, attributes: Attributes, *types: Type) -> Type:
        """The axis has size 1."""
        x = types[0]
        dim = attributes["dim"] % x.rank
        return x.with_shape(*(1 if d == dim else n for d, n in enumerate(x.shape)))

    def flops(self, attributes: Attributes, types: Sequence[Type], result: Type) -> int:
        """A square and an addition an entry."""
        return 2 * types[0].size

    def emit(self, attributes: Attributes, result: Type, *operands: Code) -> Code:
        """The reciprocal of the length."""
        dim = tensor_dim(attributes["dim"] % result.rank, result)
        length = call("torch.linalg.vector_norm", operands[0], dim=dim, keepdim=True)
        return method(method(length, "clamp", SMALLEST), "reciprocal")


class NormalizePull(Op):
    """(g - y Σ g y) / |x|."""

    name = "normalize_pull"
    summary = "(g - y Σ g y) / |x|, the cotangent of the input of normalize."
    step = False
    repeats = True

    def flops(self, attributes: Attributes, types: Sequence[Type], result: Type) -> int:
        """Two products, a sum, a difference and a product."""
        return 5 * result.size

    def emit(self, attributes: Attributes, result: Type, *operands: Code) -> Code:
        """One sum."""
        g, y, scale = operands
        dim = tensor_dim(attributes["dim"] % result.rank, result)
        along = method(product(g, y), "sum", dim, keepdim=Text("True"))
        return product(subtract(g, product(y, along)), scale)

    def adjoint(self, make: Make, node: Value, g: Any) -> Sequence[Any]:
        """Itself: the Jacobian is symmetric."""
        _, y, scale = node.operands
        return [make(self.name, g, y, scale, **node.attributes), None, None]


class Normalize(Op):
    """y = x / |x| along one axis."""

    name = "normalize"
    unbatched = True
    summary = "y = x / |x|: Euclidean length 1 along one axis."
    fields = (DIM,)
    principal = "dim"
    companions = (NormalizeScale(), NormalizePull())

    def infer(self, attributes: Attributes, *types: Type) -> Type:
        """Unchanged; the axis dim must be there."""
        axis("normalize", attributes["dim"], types[0])
        return types[0]

    def flops(self, attributes: Attributes, types: Sequence[Type], result: Type) -> int:
        """A square, an addition and a division an entry."""
        return 3 * result.size

    def meaning(self, torch: Any, attributes: Attributes, *tensors: Any) -> Any:
        """The definition."""
        dim = attributes["dim"]
        dim = dim + bool(attributes.get("batched", True)) if dim >= 0 else dim
        return tensors[0] / torch.linalg.vector_norm(tensors[0], dim=dim, keepdim=True).clamp(min=SMALLEST)

    def emit(self, attributes: Attributes, result: Type, *operands: Code) -> Code:
        """`F.normalize(x, dim=-1)`."""
        return call("F.normalize", operands[0], dim=tensor_dim(attributes["dim"] % result.rank, result))

    def adjoint(self, make: Make, node: Value, g: Any) -> Sequence[Any]:
        """What is along y goes, the rest is divided by the length."""
        dim = node.attributes["dim"]
        return (make("normalize_pull", g, node, make("normalize_scale", node.operands[0], dim=dim), dim=dim),)


OP = Normalize()
