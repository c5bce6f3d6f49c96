"""`matmul`: the product with another value, a matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deqc.fields import Field, Kind
from deqc.ops.base import GIVEN, INCOMING, Attributes, Make, Op, ShapeError, Value, reduced
from deqc.ops.code import Attribute, Code, call, matmul
from deqc.types import Type, show


class MatmulMatrix(Op):
    """The cotangent of the matrix: the products of all entries of g with those of x that it joins."""

    name = "matmul_matrix"
    summary = "The cotangent of the matrix of matmul, summed over the batch where the matrix has none."
    step = False
    rows = False

    def infer(self, attributes: Attributes, *types: Type) -> Type:
        """The shape of the matrix."""
        return Type(tuple(attributes["shape"]), attributes["batched"])

    def flops(self, attributes: Attributes, types: Sequence[Type], result: Type) -> int:
        """One multiply-add an entry of g and column of x."""
        return 2 * types[0].size * int(attributes["inner"])

    def emit(self, attributes: Attributes, result: Type, *operands: Code) -> Code:
        """One contraction."""
        g, x = operands
        first, second = (g, x) if (attributes["side"] == "left") != attributes["transpose"] else (x, g)
        if attributes["side"] == "left":
            return call("torch.einsum", "...id,...jd->" + ("...ij" if result.batched else "ij"), first, second)
        if not result.batched:
            return call("torch.einsum", "...i,...j->ij", first, second)
        return call(
            "torch.einsum", "...i,...j->...ij" if attributes["vectors"] else "...di,...dj->...ij", first, second
        )


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
    companions = (MatmulMatrix(),)

    def lowered(self, make: Make, attributes: Attributes, *operands: Any) -> Any:
        """One matrix, on its side."""
        sides = [side for side in ("left", "right") if side in attributes[GIVEN]]
        if len(sides) != 1:
            found = "neither" if not sides else "both"
            raise ShapeError(f"matmul with {found} of left and right", "one of them", "write `{matmul: {left: $a}}`")
        x, a = operands
        vectors = sides == ["right"] and x.type.rank == 1 and a.type.batched
        return make("matmul", x, a, side=sides[0], transpose=attributes["transpose"], vectors=vectors)

    def infer(self, attributes: Attributes, *types: Type) -> Type:
        """(m, n)·(n, d) -> (m, d), (…, n)·(n, m) -> (…, m)."""
        x, a = types
        if a.rank != 2:
            raise ShapeError(f"matmul with a value of shape {show(a.shape)}", "a matrix: [rows, columns]")
        rows, columns = reversed(a.shape) if attributes["transpose"] else a.shape
        turned = "the transposed matrix" if attributes["transpose"] else "the matrix"
        if attributes["side"] == "left":
            if x.rank != 2:
                hint = "a vector is multiplied from the right: `{matmul: {right: $a, transpose: true}}` is A x"
                raise ShapeError(
                    f"matmul from the left of a value of shape {show(x.shape)}",
                    "[rows, features]",
                    hint if x.rank == 1 else None,
                )
            if x.shape[0] != columns:
                raise self._apart(f"[{rows}, {columns}] · {show(x.shape)}", turned, a, columns == rows, x.shape[0])
            return Type((rows, x.shape[1]), x.batched or a.batched)
        if x.rank == 0 or (a.batched and x.rank > 2):
            raise ShapeError(
                f"matmul from the right of a value of shape {show(x.shape)}",
                "[features]" if x.rank == 0 else "[features] or [rows, features], where each sample has its own matrix",
            )
        if x.shape[-1] != rows:
            raise self._apart(f"{show(x.shape)} · [{rows}, {columns}]", turned, a, columns == rows, x.shape[-1])
        return Type((*x.shape[:-1], columns), x.batched or a.batched)

    def _apart(self, product: str, turned: str, a: Type, square: bool, size: int) -> ShapeError:
        fits = not square and size in a.shape
        hint = "the matrix fits the other way round: change `transpose`" if fits else None
        return ShapeError(f"matmul: {product}", f"{turned} with {size} where it meets the value", hint)

    def flops(self, attributes: Attributes, types: Sequence[Type], result: Type) -> int:
        """One multiply-add an entry and column."""
        inner = types[0].shape[0 if attributes["side"] == "left" else -1]
        return 2 * result.size * inner

    def meaning(self, torch: Any, attributes: Attributes, *tensors: Any) -> Any:
        """The definition."""
        x, a = tensors
        a = a.mT if attributes["transpose"] else a
        if attributes["side"] == "left":
            return a @ x
        return torch.einsum("...i,...ij->...j", x, a) if attributes["vectors"] else x @ a

    def emit(self, attributes: Attributes, result: Type, *operands: Code) -> Code:
        """`a @ x`, `x @ a`; a contraction of vectors with a matrix for each."""
        x, a = operands
        if attributes["vectors"]:
            return call("torch.einsum", "...i,...ji->...j" if attributes["transpose"] else "...i,...ij->...j", x, a)
        a = Attribute(a, "mT") if attributes["transpose"] else a
        return matmul(a, x) if attributes["side"] == "left" else matmul(x, a)

    def row_wise(self, node: Value) -> bool:
        """From the right, on vectors."""
        return bool(node.attributes["side"] == "right" and node.type.rank == 1)

    def adjoint(self, make: Make, node: Value, g: Any) -> Sequence[Any]:
        """The product with the transposed matrix, and the outer product."""
        x, a = node.operands
        attributes = node.attributes
        inner = x.type.shape[0 if attributes["side"] == "left" else -1]
        matrix = {"inner": inner, "shape": a.type.shape, "batched": a.type.batched}
        return [
            reduced(make, make("matmul", g, a, **{**attributes, "transpose": not attributes["transpose"]}), x.type),
            make("matmul_matrix", g, x, **attributes, **matrix),
        ]


OP = Matmul()
