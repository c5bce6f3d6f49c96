"""What is added to a product and does not depend on z becomes its bias: one kernel instead of two.

W z + b + c  =  W z + (b + c),   c an injection, a row for every sample
"""

from __future__ import annotations

from deqc.ir.builder import Builder, counted, noted, rebuild
from deqc.ir.graph import Node, Program, depends, readers


def absorb(program: Program) -> Program:
    """The program with invariant addends of products as biases."""
    moving = depends(program.nodes, program.state)
    readers_of = readers(program)
    count = 0

    def visit(builder: Builder, node: Node, operands: tuple[Node, ...]) -> Node:
        nonlocal count
        if node.op != "sum" or node not in moving:
            return builder.copy(node, operands)
        products = [
            k for k, o in enumerate(node.operands)
            if o.op == "linear" and o in moving and o.type.rank == 1 and len(readers_of[o]) == 1
        ]  # fmt: skip
        still = [k for k, o in enumerate(node.operands) if o not in moving and o.type.shape == node.type.shape]
        if not products or not still:
            return builder.copy(node, operands)
        count += 1
        product = operands[products[0]]
        addends = [*product.operands[2:], *(operands[k] for k in still)]
        bias = addends[0] if len(addends) == 1 else builder.make("sum", *addends)
        attributes = {k: v for k, v in product.attributes.items() if k != "layer"}
        whole = builder.make(
            "linear",
            *product.operands[:2],
            bias,
            hint=product.hint,
            span=product.span,
            **{**attributes, "bias": True, "added": bias.type.batched},
        )
        rest = [operands[k] for k in range(len(operands)) if k not in (products[0], *still)]
        return builder.make("sum", whole, *rest, hint=node.hint, span=node.span) if rest else whole

    absorbed = rebuild(program, visit)
    return noted(absorbed, f"absorb: {counted(count, 'product')} with what was added as bias") if count else absorbed
