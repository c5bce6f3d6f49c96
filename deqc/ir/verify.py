"""What holds for every program, checked before and after every pass."""

from __future__ import annotations

from deqc.ir.graph import Program, body, depends
from deqc.ops import OPS


class InvalidProgramError(AssertionError):
    """A pass made a program that breaks the rules: a defect of deqc, never of a spec."""


def verify(program: Program, after: str) -> None:
    """Operands stand first, types are what the ops say, f reads the state and the boundary and nothing else."""

    def need(holds: bool, what: str) -> None:
        if not holds:
            raise InvalidProgramError(f"after {after}: {what}")

    seen = set()
    for node in program.nodes:
        need(all(o in seen for o in node.operands), f"{node.op} stands before an operand")
        need(node not in seen, f"{node.op} stands twice")
        seen.add(node)
        if not node.leaf:
            inferred = OPS[node.op].infer(node.attributes, *(o.type for o in node.operands))
            need(inferred == node.type, f"{node.op} says {node.type}, its operands say {inferred}")
    need(all(root in seen for root in program.roots), "a root is not among the nodes")
    need(program.state in seen and program.solution in seen, "the state is not among the nodes")
    need(program.f.type.shape == (program.size,), f"f makes {program.f.type}, the state has {program.size} numbers")
    state, solution = (depends(program.nodes, leaf) for leaf in (program.state, program.solution))
    need(not any(n in state or n in solution for n in program.boundary), "a weight depends on the state")
    for node in body(program):
        need(node.op not in ("input", "parameter", "parameters", "solution"), f"f reads {node.op} past the boundary")
        need(OPS[node.op].pure, f"f holds {node.op}, which changes from call to call")
    need(
        program.start is None or not (program.start in state or program.start in solution), "the start reads the state"
    )
    need(not any(n in state for n in program.outputs), "the head reads the state, not the solution")
    need(len(program.output_names) in (0, len(program.outputs)), "there are more or fewer names than outputs")
