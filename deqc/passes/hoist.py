"""Loop-invariant hoisting: what does not depend on z is computed once a solve, outside the loop.

The boundary moves to the last values before dependence on the state begins.
"""

from __future__ import annotations

from dataclasses import replace

from deqc.ir.builder import counted, noted
from deqc.ir.graph import Program, body, depends


def hoist(program: Program) -> Program:
    """The program with every invariant of f behind the boundary."""
    moving = depends(program.nodes, program.state)
    inside = body(program)
    read = [o for node in inside if node in moving for o in node.operands if o not in moving]
    if program.f not in moving:
        read.append(program.f)
    boundary = tuple(dict.fromkeys(read))
    moved = [node for node in inside if node not in moving and not node.leaf]
    hoisted = replace(program, boundary=boundary)
    if not moved:
        return hoisted
    names = ", ".join(dict.fromkeys(node.op for node in moved))
    return noted(hoisted, f"hoist: {counted(len(moved), 'value')} computed once a solve, not in every step ({names})")
