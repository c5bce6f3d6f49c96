"""The model's equation as a reader would write it, for the docstring of the module."""

from __future__ import annotations

from deqc.emit.layout import WIDTH
from deqc.ir.graph import Node, Program, reachable, tensor_name
from deqc.types import show


def equation(program: Program, moves: bool = False) -> tuple[str, ...]:
    """z* = f(z*, x), or where it `moves` z' = f(z, x) - z, in the names of the ops, by scale where there are several.

    What is long is shortened.
    """
    known: dict[Node, str] = {program.state: "z", program.solution: "z*"}
    known |= {i: i.attributes["name"] for i in program.inputs}
    known |= {e: e.hint for e in program.encoded if e.hint and not e.leaf}
    single = len(program.scales) == 1
    for node in program.nodes:
        if node.op == "unpack" and node.operands[0] is program.state:
            index = next(k for k, s in enumerate(program.scales) if s.start == node.attributes["start"])
            known[node] = "z" if single else f"z_{index}"
    lines: list[str] = []
    if single:
        value = program.f.operands[0] if program.f.op == "pack" else program.f
        arguments = ", ".join(["z", *(i.attributes["name"] for i in program.inputs)])
        solved = f"z' = f({arguments}) - z" if moves else f"z* = f(z*, {arguments.removeprefix('z, ')})"
        lines.append(f"{solved},   f({arguments}) = {_text(value, known)}")
    else:
        for k, h in enumerate(program.hidden):
            lines.append(f"h_{k} = {_text(h, known)}")
            known.setdefault(h, f"h_{k}")
        values = program.f.operands if program.f.op == "pack" else (program.f,)
        lines += [f"f_{k} = {_text(v, known)}" for k, v in enumerate(values)]
    return tuple(line if len(line) + 4 <= WIDTH else line[: WIDTH - 8] + " …" for line in ("    " + x for x in lines))


def _text(node: Node, known: dict[Node, str]) -> str:
    """The value in the names of the ops; operands first, and no longer than a line shows, however deep it is."""
    texts = dict(known)
    for one in reachable((node,), frozenset(known)):
        texts[one] = _of(one, texts)[:WIDTH]
    return texts[node]


def _of(node: Node, texts: dict[Node, str]) -> str:
    if not node.type.batched and node.op != "input":
        made_of = {tensor_name(n) for n in reachable((node,)) if n.op == "parameter"}
        if len(made_of) == 1:
            return made_of.pop()[1]
    if node.op in ("reshape", "sum_to") and node.span is None:
        return texts[node.operands[0]]
    if node.op == "sum":
        return " + ".join(texts[o] for o in node.operands)
    operands = [o for k, o in enumerate(node.operands) if o.op != "parameters" and not (k and _is_weight(o, node))]
    if node.op == "mul":
        return " · ".join(_held(texts[o]) for o in operands)
    if node.op == "times":
        return f"{node.attributes['by']} · {_held(texts[operands[0]])}"
    if node.op == "plus":
        return f"{texts[operands[0]]} + {node.attributes['by']}"
    if node.op == "dropout_mask":
        return "mask"
    name = node.attributes["name"] if node.op == "module" else node.op
    return f"{name}({', '.join(texts[o] for o in operands)})"


def _is_weight(operand: Node, of: Node) -> bool:
    """Whether it is the weight or the bias of a layer, which its name stands for."""
    return not operand.type.batched and of.op not in ("sum", "mul", "concat")


def _held(text: str) -> str:
    return f"({text})" if " + " in text else text


def shapes(program: Program) -> str:
    """The scales: `(4), (3), (2), (1)`."""
    return ", ".join(show(s.shape) for s in program.scales)
