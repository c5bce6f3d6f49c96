"""Purely linear mappings into one target run as one product over the joined sources.

A h + B k  =  [A B] [h; k],   and  A h + B h  =  (A + B) h
"""

from __future__ import annotations

from deqc.ir.builder import Builder, noted, rebuild
from deqc.ir.graph import Node, Program, depends, readers


def fuse_targets(program: Program) -> Program:
    """The program with sums of products as one product."""
    moving = depends(program.nodes, program.state)
    readers_of = readers(program)
    notes: list[str] = []
    joined: dict[tuple[Node, ...], Node] = {}  # sources side by side: targets with the same ones share them

    def visit(builder: Builder, node: Node, operands: tuple[Node, ...]) -> Node:
        if node.op != "sum" or node not in moving:
            return builder.copy(node, operands)
        products = [
            k for k, o in enumerate(node.operands)
            if o.op == "linear" and o in moving and len(readers_of[o]) == 1 and o.type == node.type
        ]  # fmt: skip
        if len(products) < 2:
            return builder.copy(node, operands)
        whole = _join(builder, [operands[k] for k in products], joined)
        notes.append(f"fuse_targets: {len(products)} products into {node.hint or node.op} run as one")
        rest = [operands[k] for k in range(len(operands)) if k not in products]
        return builder.make("sum", *rest, whole, hint=node.hint, span=node.span) if rest else whole

    return noted(rebuild(program, visit), *notes)


def _join(builder: Builder, products: list[Node], joined: dict[tuple[Node, ...], Node]) -> Node:
    weights: dict[Node, list[Node]] = {}
    for p in products:
        weights.setdefault(p.operands[0], []).append(p.operands[1])
    sources = tuple(weights)
    stacked = [w[0] if len(w) == 1 else builder.make("sum", *w) for w in weights.values()]
    axis = sources[0].type.rank - 1
    if sources not in joined:
        joined[sources] = sources[0] if len(sources) == 1 else builder.make("concat", *sources, dim=axis)
    x = joined[sources]
    weight = stacked[0] if len(stacked) == 1 else builder.make("concat", *stacked, dim=1, batched=False)
    biases = [b for p in products for b in p.operands[2:]]
    bias = [] if not biases else biases if len(biases) == 1 else [builder.make("sum", *biases)]
    return builder.make("linear", x, weight, *bias, out=weight.type.shape[0], bias=bool(bias), span=products[0].span)
