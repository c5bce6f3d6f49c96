"""The sizes that are known at the call only, and what f reads them from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from deqc.ir.graph import Node, Program, body
from deqc.types import Type, dims, named


def axes(kind: Type) -> dict[str, int]:
    """The axes of a tensor of this type that the names of dimensions stand for, the first of each name."""
    found: dict[str, int] = {}
    for axis, size in enumerate(kind.shape):
        if named(size) and size.name is not None:
            found.setdefault(size.name, axis + kind.batched)
    return found


def names(types: Iterable[Type]) -> tuple[str, ...]:
    """The names in shapes, in the order in which they appear there."""
    return tuple(dict.fromkeys(name for kind in types for size in dims(kind.shape) for name in sorted(size.names)))


def arranged(program: Program) -> Program:
    """The program whose weights tell every size that f may read, those without a gradient last.

    Where no weight has an axis of that size, the input itself becomes one.
    """
    known = {name for node in program.boundary for name in axes(node.type)}
    added: dict[Node, None] = {}
    for name in names([program.state.type, *(node.type for node in body(program))]):
        if name not in known:
            added[next(i for i in program.inputs if name in axes(i.type))] = None
    weights = (*program.boundary, *added)
    return replace(program, boundary=tuple(sorted(weights, key=lambda node: not node.type.differentiable)))
