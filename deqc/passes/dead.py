"""Dead code: values that no result needs are not computed, weights that f does not read are not made."""

from __future__ import annotations

from deqc.ir.builder import counted, noted, pruned
from deqc.ir.graph import Program


def dead(program: Program) -> Program:
    """The program without what nothing reads; inputs and layers stay, they are the module's interface."""
    kept = pruned(program)
    left = set(kept.nodes)
    gone = [node.op for node in program.nodes if node not in left and not node.leaf]
    if not gone:
        return kept
    return noted(kept, f"dead: {counted(len(gone), 'value')} not needed ({', '.join(dict.fromkeys(gone))})")
