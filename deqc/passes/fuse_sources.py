"""Layers that share a source run as one product, or one convolution, with stacked outputs.

    [A h; B h]  =  [A; B] h,   and φ(A h), φ(B h) are slices of φ([A; B] h)

Slices of equal width that are all added up become `fold`, one view and one sum; slices put together again go.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from deqc.ir.builder import Builder, noted, rebuild
from deqc.ir.graph import Node, Program, depends, reachable, readers
from deqc.ops import OPS
from deqc.ops.base import spatial
from deqc.ops.convolution import Convolution, padding_of
from deqc.types import named

CONVOLUTIONS = {name: op for name, op in OPS.items() if isinstance(op, Convolution)}
FUSED = frozenset({"linear", *CONVOLUTIONS})


def fuse_sources(program: Program) -> Program:
    """The program with layers on one source stacked."""
    moving = depends(program.nodes, program.state)
    nodes = (*(n for n in program.nodes if n not in moving), *(n for n in program.nodes if n in moving))
    program = replace(program, nodes=nodes)  # weights stand before all that depends on z
    readers_of = readers(program)
    live = set(reachable(program.roots))
    groups: dict[Any, list[Node]] = {}
    for node in nodes:
        if node in live and node in moving and node.op in FUSED and _plain(node, moving):
            groups.setdefault(_key(node), []).append(node)
    stacks = {member: group for group in groups.values() if len(group) > 1 for member in group}
    lifted = {
        readers_of[m][0]: group
        for group in groups.values()
        if len(group) > 1 and _one_activation(group, readers_of)
        for m in group
    }
    whole: dict[int, Node] = {}
    notes = _apart(live, moving, nodes, stacks)

    def visit(builder: Builder, node: Node, operands: tuple[Node, ...]) -> Node:
        group = stacks.get(node)
        if group is not None:
            if id(group) not in whole:
                new = [_operands(builder, member) for member in group]
                whole[id(group)] = _stack(builder, node, operands[0], new)
                act = next(iter(readers_of[node]), None)
                if act is not None and act in lifted:
                    whole[id(group)] = builder.make(act.op, whole[id(group)], **act.attributes, span=act.span)
                out = "features" if node.op == "linear" else "channels"
                total = whole[id(group)].type.shape[-1 if node.op == "linear" else 0]
                notes.append(
                    f"fuse_sources: {len(group)} {node.op} layers on {_called(node.operands[0])} "
                    f"run as one with {total} {out}"
                )
            return _slice(builder, group, node, whole[id(group)])
        if node in lifted:
            return operands[0]  # the slice, cut after the activation
        if node.op == "sum":
            return _folded(builder, node, operands)
        return _whole(node, operands) or builder.copy(node, operands)

    def _operands(builder: Builder, member: Node) -> tuple[Node, ...]:
        return member.operands[1:]  # weights and biases, unchanged by this pass

    return noted(rebuild(program, visit), *notes)


def _called(node: Node) -> str:
    return node.hint or node.op


def _apart(
    live: set[Node], moving: frozenset[Node], nodes: tuple[Node, ...], stacks: dict[Node, list[Node]]
) -> list[str]:
    """Why convolutions that share a source do not all run as one."""
    found: dict[tuple[Node, str], list[Node]] = {}
    for node in nodes:
        if node.op in CONVOLUTIONS and node in live and node in moving:
            found.setdefault((node.operands[0], node.op), []).append(node)
    counts = {on: (sum(n not in stacks for n in group), len(group)) for on, group in found.items()}
    return [
        f"fuse_sources: {apart} of {count} {op} layers on {_called(x)} run apart: geometry or groups differ"
        for (x, op), (apart, count) in counts.items()
        if apart and count > 1
    ]


def _plain(node: Node, moving: frozenset[Node]) -> bool:
    weights = node.operands[1:]
    if any(w in moving or w.type.batched for w in weights):
        return False
    return node.op == "linear" or (node.attributes["groups"] == 1 and node.attributes["padding_mode"] == "zeros")


def _key(node: Node) -> Any:
    if node.op == "linear":
        return node.op, id(node.operands[0])
    rank = CONVOLUTIONS[node.op].rank
    sizes = tuple(spatial(node.attributes, name, rank) for name in ("kernel", "stride", "dilation"))
    return node.op, id(node.operands[0]), sizes, padding_of(node.attributes, rank)


def _one_activation(group: list[Node], readers_of: dict[Node, list[Node]]) -> bool:
    """Whether each layer is read by one activation alone, the same for all."""
    if any(len(readers_of[m]) != 1 for m in group):
        return False
    acts = [readers_of[m][0] for m in group]
    first = acts[0]
    return OPS[first.op].elementwise and all(a.op == first.op and a.attributes == first.attributes for a in acts)


def _stack(builder: Builder, node: Node, x: Node, weights: list[tuple[Node, ...]]) -> Node:
    weight = joined(builder, [w[0] for w in weights])
    bias: list[Node] = []
    if any(len(w) == 2 for w in weights):
        parts = [
            w[1] if len(w) == 2 else builder.make("zeros", w[0], shape=(w[0].type.shape[0],), batched=False)
            for w in weights
        ]
        flat = [piece for part in parts for piece in (part.operands if part.op == "concat" else (part,))]
        bias = [builder.make("concat", *flat, dim=0, batched=False)]
    attributes = {k: v for k, v in node.attributes.items() if k not in ("layer", "out", "bias")}
    return builder.make(
        node.op, x, weight, *bias, **attributes, out=weight.type.shape[0], bias=bool(bias), span=node.span
    )


def joined(builder: Builder, weights: list[Node]) -> Node:
    """Weights above each other; block matrices of one width become one."""
    if all(w.op == "rows" for w in weights) and len({w.attributes["width"] for w in weights}) == 1:
        above = [sum(v.attributes["height"] for v in weights[:k]) for k in range(len(weights))]
        return builder.make(
            "rows",
            *(block for w in weights for block in w.operands),
            tops=tuple(top + t for top, w in zip(above, weights, strict=True) for t in w.attributes["tops"]),
            lefts=tuple(left for w in weights for left in w.attributes["lefts"]),
            height=sum(w.attributes["height"] for w in weights),
            width=weights[0].attributes["width"],
        )
    return builder.make("concat", *weights, dim=0, batched=False)


def _slice(builder: Builder, group: list[Node], node: Node, whole: Node) -> Node:
    dim = node.type.rank - 1 if node.op == "linear" else 0
    start = sum(m.type.shape[dim] for m in group[: group.index(node)])
    return builder.make("slice", whole, dim=dim, start=start, stop=start + node.type.shape[dim], span=node.span)


def _folded(builder: Builder, node: Node, operands: tuple[Node, ...]) -> Node:
    """Slices that tile one value evenly and are all added: one `fold`."""
    pieces: dict[Node, list[Node]] = {}
    for operand in operands:
        if operand.op == "slice" and operand.attributes["dim"] == operand.type.rank - 1 == 0:
            pieces.setdefault(operand.operands[0], []).append(operand)
    for source, parts in pieces.items():
        width = node.type.shape[-1]
        if named(width) or named(source.type.size):
            continue
        starts = sorted(p.attributes["start"] for p in parts)
        if len(parts) > 1 and starts == list(range(0, source.type.shape[-1], width)):
            rest = [o for o in operands if o not in parts]
            total = builder.make("fold", source, parts=len(parts), span=node.span)
            return builder.make("sum", *rest, total, hint=node.hint, span=node.span) if rest else total
    return builder.copy(node, operands)


def _whole(node: Node, operands: tuple[Node, ...]) -> Node | None:
    """The value of which the operands are all slices, in order."""
    if node.op not in ("concat", "pack") or any(o.op != "slice" or o.type.rank != 1 for o in operands):
        return None
    sources, starts = {o.operands[0] for o in operands}, [o.attributes["start"] for o in operands]
    stops = [start + o.type.size for start, o in zip(starts, operands, strict=True)]
    source = operands[0].operands[0]
    return source if len(sources) == 1 and starts == [0, *stops[:-1]] and source.type == node.type else None
