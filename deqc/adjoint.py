"""Reverse mode on the IR: u ↦ (∂f/∂z)ᵀu and u ↦ (∂f/∂w)ᵀu as nodes, from the ops' own rules.

What the rules read besides u depends on z* alone (tanh′, normalised values): it is computed once, in `linearize`, and
shared by all iterations of the adjoint's solver and by the final product. An op without a rule is left to torch.

v ↦ (∂f/∂z)v is the transpose of the first: that one is linear in u, and the same rules take it the other way (Radul et
al. 2023, "You only linearize once", go the opposite way round).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from deqc.ir.builder import Builder
from deqc.ir.graph import Node, Program, Scale, body, depends, reachable
from deqc.ops import OPS
from deqc.ops.base import Op
from deqc.types import Type, UnknownSizeError


@dataclass(frozen=True)
class Adjoint:
    """The derivatives of f as nodes over the program's own."""

    u: Node  # the cotangent of f
    nodes: tuple[Node, ...]
    vjp: Node  # the cotangent of the state
    pullback: tuple[Node | None, ...]  # of each weight of the boundary; None where f does not depend on it
    shared: tuple[Node, ...]  # what vjp and pullback read besides u, the boundary and, in pullback, the state
    rows: bool  # whether vjp takes a row axis
    cotangents: Mapping[Node, Node]  # of every value of f, by value
    autograd: tuple[str, ...]  # ops without a rule
    v: Node  # a tangent of the state
    jvp: Node | None  # the tangent of f; None where it was not asked for, or an op has no rule


@dataclass
class _Part:
    """A contribution to the cotangent of a stretch of a value."""

    dim: int
    start: int
    stop: int
    g: Node


class _Reverse:
    """Cotangents of what a value is made of, by the ops' rules; `scales` are those of the packed state."""

    def __init__(self, builder: Builder, scales: Sequence[Scale]) -> None:
        self.builder, self.scales_of_state = builder, scales
        self.full: dict[Node, list[Node]] = defaultdict(list)
        self.parts: dict[Node, list[_Part]] = defaultdict(list)  # from slices
        self.scales: dict[Node, list[_Part]] = defaultdict(list)  # of the packed state
        self.autograd: list[str] = []

    def run(self, root: Node, seed: Node, order: Sequence[Node], ends: Iterable[Node]) -> dict[Node, Node]:
        """The cotangents of the nodes in between and of the ends, that of the root being `seed`."""
        self.full[root].append(seed)
        found: dict[Node, Node] = {}
        inside = frozenset(order)
        for node in (*reversed(order), *ends):
            g = self._total(node)
            if g is None:
                continue
            found[node] = g
            if node in inside:
                self._push(node, g)
        return found

    def _push(self, node: Node, g: Node) -> None:
        op, x = OPS[node.op], node.operands[0] if node.operands else None
        if node.op == "unpack" and x is not None:
            self.scales[x].append(_Part(0, node.attributes["start"], node.attributes["stop"], g))
        elif node.op == "slice" and x is not None:
            dim = node.attributes["dim"] % node.type.rank
            start = node.attributes["start"]
            self.parts[x].append(_Part(dim, start, start + node.type.shape[dim], g))
        elif (cotangents := self._ruled(op, node, g)) is not None:
            for operand, cotangent in zip(node.operands, cotangents, strict=True):
                if cotangent is not None and operand.type.differentiable:
                    self.full[operand].append(cotangent)
        else:
            self.autograd.append(node.op)
            for index, operand in enumerate(node.operands):
                if not operand.type.differentiable:
                    continue
                attributes: dict[str, Any] = {
                    "of": op,
                    "constants": node.attributes,
                    "result": node.type,
                    "index": index,
                }
                self.full[operand].append(self.builder.make("autograd", g, *node.operands, **attributes))

    def _ruled(self, op: Op, node: Node, g: Node) -> Sequence[Node | None] | None:
        """The cotangents of the operands by the op's rule; None where it has none for these sizes."""
        try:
            return op.adjoint(self.builder.make, node, g) if op.rule(node) else None
        except UnknownSizeError:  # it computes with a size that is known at the call only
            return None

    def _total(self, node: Node) -> Node | None:
        """All contributions to a node's cotangent, added up."""
        terms = list(self.full[node])
        parts, scales = self.parts[node], self.scales[node]
        if scales:
            terms.append(self._packed(scales))
        for dim in sorted({p.dim for p in parts}):
            terms.append(self._joined(node, [p for p in parts if p.dim == dim]))
        if not terms:
            return None
        hint = f"g_{node.hint}" if node.hint and len(terms) > 1 else ""
        return terms[0] if len(terms) == 1 else self.builder.make("sum", *terms, hint=hint)

    def _merged(self, parts: list[_Part]) -> list[_Part]:
        """Parts in order, those of the same stretch added up."""
        stretches: dict[tuple[int, int], list[Node]] = defaultdict(list)
        for part in parts:
            stretches[part.start, part.stop].append(part.g)
        return [
            _Part(parts[0].dim, start, stop, gs[0] if len(gs) == 1 else self.builder.make("sum", *gs))
            for (start, stop), gs in sorted(stretches.items())
        ]

    def _joined(self, node: Node, parts: list[_Part]) -> Node:
        """Cotangents of slices side by side, zeros between them."""
        dim, size = parts[0].dim, node.type.shape[parts[0].dim]
        try:
            merged = self._merged(parts)
            apart = all(a.stop <= b.start for a, b in pairwise(merged))
        except UnknownSizeError:  # which of them comes first is known at the call only
            merged, apart = parts, len(parts) == 1
        if not apart:
            padded = [
                self.builder.make("pad", p.g, dim=dim, before=p.start, after=size - p.stop)
                if p.stop - p.start != size
                else p.g
                for p in merged
            ]
            return self.builder.make("sum", *padded)
        pieces, position = list[Node](), 0
        for part in merged:
            last = part is merged[-1]
            gap: dict[str, Any] = {"before": part.start - position, "after": size - part.stop if last else 0}
            pieces.append(self.builder.make("pad", part.g, dim=dim, **gap) if any(gap.values()) else part.g)
            position = part.stop
        return pieces[0] if len(pieces) == 1 else self.builder.make("concat", *pieces, dim=dim)

    def _packed(self, parts: list[_Part]) -> Node:
        """Cotangents of the scales, packed."""
        by_start = {p.start: p.g for p in self._merged(parts)}
        some = next(iter(by_start.values()))
        values = [
            by_start.get(s.start) or self.builder.make("zeros", some, shape=s.shape, batched=True)
            for s in self.scales_of_state
        ]
        if len(values) == 1 and values[0].type.rank == 1:
            return values[0]
        return self.builder.make("pack", *values, ranks=tuple(v.type.rank for v in values))


def _view_of_state(node: Node, state: Node) -> bool:
    return node is state or (node.op == "unpack" and node.operands[0] is state)


def _transposed(builder: Builder, program: Program, u: Node, vjp: Node, v: Node) -> Node | None:
    """The tangent (∂f/∂z)v of f; None where an op has no rule."""
    moving = depends(tuple(builder.nodes), u)
    order = [node for node in reachable((vjp,), frozenset({u})) if node in moving]
    reverse = _Reverse(builder, program.scales)
    found = reverse.run(vjp, v, order, (u,))
    return None if reverse.autograd else found.get(u)


def adjoint(program: Program, products: bool = False) -> Adjoint:
    """The derivatives of f; v ↦ (∂f/∂z)v only with `products`."""
    builder = Builder(share=True)
    builder.adopt(program.nodes)
    u = builder.leaf("cotangent", Type((program.size,)), hint="u")
    reverse = _Reverse(builder, program.scales)
    cotangents = reverse.run(program.f, u, body(program), (program.state, *program.boundary))
    vjp = cotangents.get(program.state) or builder.make("times", u, by=0.0)
    pullback = tuple(cotangents.get(node) for node in program.boundary)
    v = builder.leaf("tangent", Type((program.size,)), hint="v")
    jvp = _transposed(builder, program, u, vjp, v) if products else None
    nodes = tuple(builder.nodes)
    moving = depends(nodes, u) | depends(nodes, v)
    boundary = frozenset(program.boundary)
    shared: dict[Node, None] = {}
    weighed = tuple(p for p in pullback if p is not None)
    tangent = () if jvp is None else (jvp,)
    for roots, solving in (((vjp,), True), (tangent, True), (weighed, False)):  # a node is met once in each
        for node in reachable(roots, frozenset({u, v}) | boundary):
            if node not in moving:
                continue
            for operand in node.operands:
                if operand in moving or (operand in boundary and not (solving and operand.type.batched)):
                    continue
                if not solving and _view_of_state(operand, program.state):
                    continue
                if operand.op == "reshape" and operand.operands[0] in boundary and not operand.type.batched:
                    continue  # a view of a weight
                shared[operand] = None
    of_vjp = (node for node in reachable((vjp,), frozenset({u}) | boundary) if node in moving)
    rows = all(OPS[node.op].row_wise(node) for node in of_vjp) and all(node.type.batched for node in shared)
    order = {node: k for k, node in enumerate(nodes)}
    return Adjoint(
        u=u,
        nodes=nodes,
        vjp=vjp,
        pullback=pullback,
        shared=tuple(sorted(shared, key=order.__getitem__)),
        rows=rows,
        cotangents=cotangents,
        autograd=tuple(dict.fromkeys(reverse.autograd)),
        v=v,
        jvp=jvp,
    )
