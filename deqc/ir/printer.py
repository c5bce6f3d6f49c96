"""The program as text, the same for the same program; what `deqc explain --ir` shows."""

from __future__ import annotations

from deqc.ir.graph import Node, Program, reachable


def show_program(program: Program) -> str:
    """Sections in the order they run: weights once a solve, f in the loop, then the head."""
    names: dict[Node, str] = {}
    for number, node in enumerate(program.nodes):
        names[node] = f"%{number}"
    lines = [f"program {program.name}"]
    done: set[Node] = set()

    def section(title: str, roots: tuple[Node, ...], stop: frozenset[Node], results: tuple[Node, ...]) -> None:
        lines.append(f"{title}:")
        for node in reachable(roots, stop):
            lines.append(f"  {show_node(node, names)}")
            done.add(node)
        lines.append(f"  return {', '.join(names[r] for r in results)}")

    section("weights", program.boundary, frozenset(), program.boundary)
    section("f", (program.f,), frozenset(program.boundary), (program.f,))
    if program.start is not None:
        section("start", (program.start,), frozenset(done), (program.start,))
    if program.outputs:
        section("head", program.outputs, frozenset(done), program.outputs)
    dead = [node for node in program.nodes if node not in done and not node.leaf]
    if dead:
        lines.append("unused:")
        lines += [f"  {show_node(node, names)}" for node in dead]
    return "\n".join(lines) + "\n"


def show_node(node: Node, names: dict[Node, str]) -> str:
    """`%3 = linear(%1, %2; out=4) : (B, 4)  # spec.yaml:7:5`."""
    operands = ", ".join(names.get(o, "?") for o in node.operands)
    constants = ", ".join(f"{k}={v!r}" for k, v in sorted(node.attributes.items()))
    inner = "; ".join(part for part in (operands, constants) if part)
    place = f"  # {node.span.line}:{node.span.column}" if node.span else ""
    return f"{names[node]} = {node.op}({inner}) : {node.type}{place}"
