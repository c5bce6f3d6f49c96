"""Makes nodes: types are inferred by the op's own rule, so that no node can lie about its shape."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from deqc.diagnostics import Span
from deqc.ir.graph import LEAVES, Node, Program, body, reachable
from deqc.ops import OPS
from deqc.types import Type


class Builder:
    """Collects nodes in the order they are made; with `share`, equal pure nodes are made once."""

    def __init__(self, share: bool = False) -> None:
        self.nodes: list[Node] = []
        self._share = share
        self._known: dict[Any, Node] = {}
        self._present: set[Node] = set()

    def leaf(self, op: str, type: Type, hint: str = "", span: Span | None = None, **attributes: Any) -> Node:
        """A node that reads nothing."""
        return self._keep(Node(op, (), attributes, type, span, hint))

    def make(self, op: str, /, *operands: Node, hint: str = "", span: Span | None = None, **attributes: Any) -> Node:
        """The node `op(operands…)`; raises ShapeError where the op does not take them."""
        if op == "sum_to":
            attributes.setdefault("source", operands[0].type.shape)
            attributes.setdefault("lead", operands[0].type.batched)
        if op == "pack":
            attributes.setdefault("sizes", tuple(o.type.size for o in operands))
        kind = OPS[op].infer(attributes, *(o.type for o in operands))
        return self._keep(Node(op, operands, attributes, kind, span, hint))

    def copy(self, node: Node, operands: tuple[Node, ...]) -> Node:
        """The node on other operands; itself where they are the same."""
        same = all(a is b for a, b in zip(node.operands, operands, strict=True))
        if same or node.op in LEAVES:
            return self._keep(node)
        return self.make(node.op, *operands, hint=node.hint, span=node.span, **node.attributes)

    def name(self, node: Node, hint: str) -> None:
        """Gives the node a name, if it was made last: the name of an older one is somebody else's.

        The node stays the same object, because others may hold it already, a branch beside this one for example.
        """
        if not node.leaf and self.nodes[-1] is node:
            object.__setattr__(node, "hint", hint)

    def adopt(self, nodes: tuple[Node, ...]) -> None:
        """Takes the nodes of a program as they are, equal ones too."""
        for node in nodes:
            self._known.setdefault(_key(node), node)
            self._present.add(node)
        self.nodes.extend(nodes)

    def _keep(self, node: Node) -> Node:
        if self._share and (node.leaf or OPS[node.op].pure):
            known = self._known.setdefault(_key(node), node)
            if known is not node:
                return known
        if node not in self._present:
            self._present.add(node)
            self.nodes.append(node)
        return node


def _key(node: Node) -> Any:
    attributes = tuple(sorted((name, repr(value)) for name, value in node.attributes.items()))
    return node.op, tuple(map(id, node.operands)), attributes, node.type


Visit = Callable[[Builder, Node, tuple[Node, ...]], Node]


def rebuild(program: Program, visit: Visit, share: bool = False) -> Program:
    """The program with every node replaced by what `visit(builder, node, new operands)` makes of it.

    Nodes that were needed and no longer are have been replaced, and go; those that never were stay for `dead` to find.
    """
    builder = Builder(share)
    new: dict[Node, Node] = {}
    for node in program.nodes:
        new[node] = visit(builder, node, tuple(new[o] for o in node.operands))
    boundary = tuple(dict.fromkeys(new[n] for n in program.boundary))
    live = set(reachable(program.roots))
    rebuilt = replace(
        program,
        nodes=tuple(builder.nodes),
        inputs=tuple(new[n] for n in program.inputs),
        state=new[program.state],
        solution=new[program.solution],
        boundary=boundary,
        f=new[program.f],
        start=new[program.start] if program.start else None,
        outputs=tuple(new[n] for n in program.outputs),
        encoded=tuple(new[n] for n in program.encoded),
        hidden=tuple(new[n] for n in program.hidden),
    )
    return _kept(rebuilt, tuple(new[n] for n in program.nodes if n not in live))


def _kept(program: Program, others: tuple[Node, ...] = ()) -> Program:
    """The program without nodes that neither its results nor the others need."""
    needed = set(reachable((*program.roots, *others))) | {*program.inputs, program.state, program.solution}
    return replace(
        program,
        nodes=tuple(node for node in program.nodes if node in needed),
        encoded=tuple(e for e in program.encoded if e in needed),
        hidden=tuple(h for h in program.hidden if h in needed),
    )


def pruned(program: Program) -> Program:
    """The program without the nodes that no result needs, and without weights that f does not read."""
    used = {operand for node in body(program) for operand in node.operands} | {program.f}
    return _kept(replace(program, boundary=tuple(node for node in program.boundary if node in used)))


def counted(count: int, what: str) -> str:
    """`1 value`, `2 values`, for notes."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def noted(program: Program, *notes: str) -> Program:
    """The program with more to tell in `deqc explain`."""
    return replace(program, notes=program.notes + notes)
