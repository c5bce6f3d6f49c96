"""Constant folding: steps that do nothing go, numbers that meet are computed now."""

from __future__ import annotations

from deqc.ir.builder import Builder, counted, noted, rebuild
from deqc.ir.graph import Node, Program

LARGEST = 1e30  # a number beyond it, or a factor below its inverse, may not be one in single precision


def fold(program: Program) -> Program:
    """The program without steps that do nothing."""
    count = 0

    def visit(builder: Builder, node: Node, operands: tuple[Node, ...]) -> Node:
        nonlocal count
        simpler = _simpler(builder, node, operands)
        if simpler is None:
            return builder.copy(node, operands)
        count += 1
        return simpler

    folded = rebuild(program, visit)
    return noted(folded, f"fold: {counted(count, 'step')} computed at compile time") if count else folded


def _simpler(builder: Builder, node: Node, operands: tuple[Node, ...]) -> Node | None:
    x = operands[0] if operands else None
    if x is None:
        return None
    if node.op in ("times", "plus"):
        return _number(builder, node, x)
    if node.op == "sum":
        kept = [t for t in operands if t.op != "zeros"]
        if kept and len(kept) < len(operands) and any(t.type == node.type for t in kept):
            return kept[0] if len(kept) == 1 else builder.make("sum", *kept, hint=node.hint, span=node.span)
    if node.op in ("reshape", "flatten", "slice") and node.type == x.type:
        return x
    if node.op == "upsample" and node.attributes["factor"] == 1:
        return x
    return None


def _number(builder: Builder, node: Node, x: Node) -> Node | None:
    by, neutral = node.attributes["by"], 1 if node.op == "times" else 0
    if by == neutral:
        return x
    if x.op == node.op:
        both = float(by) * x.attributes["by"] if node.op == "times" else float(by) + x.attributes["by"]
        if both == neutral:
            return x.operands[0]
        if abs(both) < LARGEST and (node.op == "plus" or abs(both) > 1 / LARGEST):
            return builder.make(node.op, x.operands[0], by=both, hint=node.hint, span=node.span)
    return None
