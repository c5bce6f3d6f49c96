"""`matmul`: the product with another value, a matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deqc.fields import Field, Kind
from deqc.ops.base import GIVEN, INCOMING, Attributes, Make, Op, ShapeError, Value, reduced
from deqc.ops.code import Code, Text, call, matmul, method, product, transposed
from deqc.types import Type, show


class Outer(Op):
    """y = a bᵀ, the cotangent of a matrix that vectors are multiplied by."""

    name = "outer"
    summary = "a bᵀ of two vectors, the cotangent of a matrix that vectors are multiplied by."
    step = False
    rows = False

    def infer(self, attributes: Attributes, *types: Type) -> Type:
        """(n), (m) -> (n, m)."""
        a, b = types
        return Type((*a.shape, *b.shape), a.batched or b.batched)

    def emit(self, attributes: Attributes, result: Type, *operands: Code) -> Code:
        """`a.unsqueeze(-1) * b.unsqueeze(-2)`."""
        a, b = operands
        return product(method(a, "unsqueeze", -1), method(b, "unsqueeze", -2))

    def adjoint(self, make: Make, node: Value, g: Any) -> Sequence[Any]:
        """The products of g with the other vector."""
        a, b = node.operands
        of_a, of_b = (
            make("matmul", other, g, turn_a=False, turn_b=turn, vectors=True) for other, turn in ((b, True), (a, False))
        )
        return [reduced(make, of_a, a.type), reduced(make, of_b, b.type)]


class SparseMatmul(Op):
    """y = A x with a sparse matrix A that is the same for all samples, and has no cotangent."""

    name = "sparse_matmul"
    summary = "A x or Aᵀ x, A a sparse matrix."
    step = False
    rows = False
    function = "_sparse_product"

    def infer(self, attributes: Attributes, *types: Type) -> Type:
        """(m, n)·(n, d) -> (m, d)."""
        a, x = types
        return x.with_shape(a.shape[1 if attributes["turn"] else 0], x.shape[1])

    def flops(self, attributes: Attributes, types: Sequence[Type], result: Type) -> int:
        """Not known: those of the entries that are there."""
        return 0

    def meaning(self, torch: Any, attributes: Attributes, *tensors: Any) -> Any:
        """The product with the whole matrix."""
        a, x = tensors
        dense = a.to_dense()
        return (dense.mT if attributes["turn"] else dense) @ x

    def emit(self, attributes: Attributes, result: Type, *operands: Code) -> Code:
        """`_sparse_product(a, x)`."""
        return call("_sparse_product", *operands, **({"turn": Text("True")} if attributes["turn"] else {}))

    def adjoint(self, make: Make, node: Value, g: Any) -> Sequence[Any]:
        """The product with the transposed matrix."""
        return [None, make("sparse_matmul", node.operands[0], g, turn=not node.attributes["turn"])]


class Matmul(Op):
    """y = A x or y = x A with a matrix A that another computation gives."""

    name = "matmul"
    summary = (
        "The product with a matrix that another computation gives: from the left with [n, d], or from the right on the "
        "last axis."
    )
    fields = (
        Field(
            "left",
            Kind.COMPUTATION,
            "A matrix A of [m, n] by which the incoming value of [n, d] is multiplied from the left: y = A x.",
            default=None,
            nullable=True,
            examples=("$adjacency",),
        ),
        Field(
            "right",
            Kind.COMPUTATION,
            "A matrix A of [n, m] by which the last axis, of n, is multiplied: y = x A.",
            default=None,
            nullable=True,
            examples=("$mixing",),
        ),
        Field("transpose", Kind.BOOL, "Whether the transposed matrix is meant.", default=False),
    )
    takes = (INCOMING, "left", "right")
    sparse = frozenset({"left"})
    unbatched = True
    companions = (Outer(), SparseMatmul())

    def lowered(self, make: Make, attributes: Attributes, *operands: Any) -> Any:
        """One matrix, on its side."""
        sides = [side for side in ("left", "right") if side in attributes[GIVEN]]
        if len(sides) != 1:
            found = "neither" if not sides else "both"
            raise ShapeError(f"matmul with {found} of left and right", "one of them", "write `{matmul: {left: $a}}`")
        x, a = operands
        self._fit(sides[0], x.type, a.type, attributes["transpose"])
        if a.type.sparse:
            return make("sparse_matmul", a, x, turn=attributes["transpose"])
        if sides == ["left"]:
            return make("matmul", a, x, turn_a=attributes["transpose"], turn_b=False)
        vectors = x.type.rank == 1 and a.type.batched
        return make("matmul", x, a, turn_a=False, turn_b=attributes["transpose"], vectors=vectors)

    def _fit(self, side: str, x: Type, a: Type, transpose: bool) -> None:
        """Raises ShapeError where the value and the matrix do not go together."""
        if a.rank != 2:
            raise ShapeError(f"matmul with a value of shape {show(a.shape)}", "a matrix: [rows, columns]")
        rows, columns = reversed(a.shape) if transpose else a.shape
        if side == "left" and x.rank != 2:
            hint = "a vector is multiplied from the right: `{matmul: {right: $a, transpose: true}}` is A x"
            message = f"matmul from the left of a value of shape {show(x.shape)}"
            raise ShapeError(message, "[rows, features]", hint if x.rank == 1 else None)
        if side == "right" and (x.rank == 0 or (a.batched and x.rank > 2)):
            expected = "[features]" if x.rank == 0 else "[features] or [rows, features], each sample having a matrix"
            raise ShapeError(f"matmul from the right of a value of shape {show(x.shape)}", expected)
        size, meets = (x.shape[0], columns) if side == "left" else (x.shape[-1], rows)
        if size != meets:
            product = [f"[{rows}, {columns}]", show(x.shape)]
            other = rows if side == "left" else columns
            raise ShapeError(
                f"matmul of {' · '.join(product if side == 'left' else reversed(product))}",
                f"a matrix with {size} {'columns' if side == 'left' else 'rows'}",
                f"it fits the other way round: `transpose: {str(not transpose).lower()}`" if other == size else None,
            )

    def infer(self, attributes: Attributes, *types: Type) -> Type:
        """(…, m, n)·(…, n, p) -> (…, m, p), (…, n)·(n, p) -> (…, p)."""
        a, b = types
        columns = b.shape[-2] if attributes["turn_b"] else b.shape[-1]
        rows = () if a.rank == 1 else (a.shape[-1] if attributes["turn_a"] else a.shape[-2],)
        return Type((*a.shape[:-2], *rows, columns), a.batched or b.batched)

    def flops(self, attributes: Attributes, types: Sequence[Type], result: Type) -> int:
        """One multiply-add an entry and column."""
        return 2 * result.size * types[1].shape[-1 if attributes["turn_b"] else -2]

    def meaning(self, torch: Any, attributes: Attributes, *tensors: Any) -> Any:
        """The definition; a vector for each sample is a matrix of one row."""
        a, b = tensors
        a = a.mT if attributes["turn_a"] else a
        b = b.mT if attributes["turn_b"] else b
        return (a.unsqueeze(-2) @ b).squeeze(-2) if attributes.get("vectors") else a @ b

    def emit(self, attributes: Attributes, result: Type, *operands: Code) -> Code:
        """`a @ b`; a vector for each sample is a matrix of one row."""
        a, b = operands
        a = transposed(a) if attributes["turn_a"] else a
        b = transposed(b) if attributes["turn_b"] else b
        if attributes.get("vectors"):
            return method(matmul(method(a, "unsqueeze", -2), b), "squeeze", -2)
        return matmul(a, b)

    def row_wise(self, node: Value) -> bool:
        """Of vectors."""
        return bool(node.type.rank == 1)

    def adjoint(self, make: Make, node: Value, g: Any) -> Sequence[Any]:
        """The product with the other factor, transposed; over the batch where a factor has none."""
        a, b = node.operands
        turn_a, turn_b = node.attributes["turn_a"], node.attributes["turn_b"]
        vectors = node.attributes.get("vectors", False)
        if _shared(a, node):  # g Bᵀ
            of_a = _summed(make, _turned(make, g), b if turn_b else _turned(make, b), turn_a)
        elif turn_a:
            of_a = make("matmul", b, g, turn_a=turn_b, turn_b=True)
        else:
            of_a = make("matmul", g, b, turn_a=False, turn_b=not turn_b, vectors=vectors)
        if vectors:
            of_b = make("outer", *((g, a) if turn_b else (a, g)))
        elif _shared(b, node):  # Aᵀ g
            of_b = _summed(make, _turned(make, a) if turn_a else a, g, turn_b)
        elif turn_b:
            of_b = make("matmul", g, a, turn_a=True, turn_b=turn_a)
        else:
            of_b = make("matmul", a, g, turn_a=not turn_a, turn_b=False)
        return [reduced(make, of_a, a.type), reduced(make, of_b, b.type)]


def _shared(factor: Value, node: Value) -> bool:
    """Whether it is one matrix for all samples, or for all axes before the last two."""
    return factor.type.rank == 2 and (node.type.rank != 2 or (node.type.batched and not factor.type.batched))


def _turned(make: Make, x: Any) -> Any:
    """xᵀ of every sample."""
    return make("permute", x, dims=(1, 0))


def _summed(make: Make, u: Any, v: Any, turn: bool) -> Any:
    """uᵀ v, or its transpose, summed over the batch and all axes before the last."""
    u, v = (v, u) if turn else (u, v)
    return make("linear_weight", u, v, flatten=u.type.rank > 1 or not u.type.batched)


OP = Matmul()
