"""Dead code: values that no result needs are not computed, weights that f does not read are not made."""

from __future__ import annotations

from dataclasses import replace

from deqc.ir.builder import noted
from deqc.ir.graph import Program, body, reachable


def dead(program: Program) -> Program:
    """The program without what nothing reads; inputs and layers stay, they are the module's interface."""
    used = {operand for node in body(program) for operand in node.operands} | {program.f}
    boundary = tuple(node for node in program.boundary if node in used)
    kept = replace(program, boundary=boundary)
    needed = set(reachable(kept.roots)) | {*program.inputs, program.state, program.solution}
    nodes = tuple(node for node in program.nodes if node in needed)
    gone = [n for n in program.nodes if n not in needed and not n.leaf]
    kept = replace(kept, nodes=nodes, hidden=tuple(h for h in program.hidden if h in needed))
    return noted(kept, f"dead: {len(gone)} values are not needed ({', '.join(n.op for n in gone)})") if gone else kept
