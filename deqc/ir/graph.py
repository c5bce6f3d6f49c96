"""The graph: nodes in order, each with its operands, constants, type and the place of the spec it came from.

leaf    ::= input(name) | parameter(layer, name) | parameters(module) | state | solution | cotangent | tangent
node    ::= op(node …; constants) : type            op one of `deqc.ops.OPS`
program ::= nodes, in an order in which operands stand first; among them
            f         the packed next state, a function of `state` and of the boundary
            boundary  the values f reads besides the state, computed once a solve
            start     z_0 packed, where chains compute it
            outputs   of the head, functions of `solution` and of values without the state; none without a head
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from deqc.diagnostics import Span
from deqc.types import Type

LEAVES = frozenset({"input", "parameter", "parameters", "state", "solution", "cotangent", "tangent"})


@dataclass(frozen=True, eq=False)
class Node:
    """One value. Nodes are compared by identity; `hint` is the name that generated code would like to give it."""

    op: str
    operands: tuple[Node, ...]
    attributes: Mapping[str, Any]
    type: Type
    span: Span | None = None
    hint: str = ""

    @property
    def leaf(self) -> bool:
        """Whether it reads nothing."""
        return self.op in LEAVES


@dataclass(frozen=True)
class Setup:
    """What is done to a tensor of a layer once it is made: `init`, `parametrize` or `constraint`, by which variant."""

    kind: str
    variant: str
    tensor: str
    shape: tuple[int, ...]
    options: Mapping[str, Any]


@dataclass(frozen=True)
class LayerUse:
    """A layer of the module: its dotted path, and how torch makes it; without a constructor its tensors alone."""

    path: str
    constructor: str | None
    tensors: tuple[tuple[str, tuple[int, ...], bool], ...] = ()  # names, shapes, and whether they are buffers
    setups: tuple[Setup, ...] = ()


@dataclass(frozen=True)
class Scale:
    """One scale of the packed state."""

    shape: tuple[int, ...]
    start: int
    stop: int


@dataclass(frozen=True)
class Program:
    """A whole model between lowering and emission."""

    name: str
    inputs: tuple[Node, ...]
    scales: tuple[Scale, ...]
    layers: tuple[LayerUse, ...]
    nodes: tuple[Node, ...]
    state: Node
    solution: Node
    boundary: tuple[Node, ...]
    f: Node
    start_kind: str  # zeros | step | chains
    start: Node | None
    outputs: tuple[Node, ...] = ()  # of the head
    output_names: tuple[str, ...] = ()  # where the head names them
    encoded: tuple[Node, ...] = ()  # the encoder's values
    hidden: tuple[Node, ...] = ()  # h_i, what the main layers make, one a scale
    notes: tuple[str, ...] = field(default=())  # what each pass did, in its own words

    @property
    def size(self) -> int:
        """D, the numbers of the packed state."""
        return self.scales[-1].stop

    @property
    def roots(self) -> tuple[Node, ...]:
        """The values the program is there for."""
        return (*self.boundary, self.f, *([self.start] if self.start else []), *self.outputs)


def reachable(roots: tuple[Node, ...], stop: frozenset[Node] = frozenset()) -> Iterator[Node]:
    """The nodes that the roots need, operands first; does not look behind `stop`, nor into what it holds."""
    seen: set[Node] = set()
    stack: list[tuple[Node, bool]] = [(root, False) for root in reversed(roots)]
    while stack:
        node, ready = stack.pop()
        if ready:
            yield node
        elif node not in seen and node not in stop:
            seen.add(node)
            stack.append((node, True))
            stack.extend((operand, False) for operand in reversed(node.operands))


def depends(nodes: tuple[Node, ...], leaf: Node) -> frozenset[Node]:
    """Those of the nodes (operands first) that depend on the leaf."""
    found: set[Node] = {leaf}
    for node in nodes:
        if any(operand in found for operand in node.operands):
            found.add(node)
    return frozenset(found)


def body(program: Program) -> tuple[Node, ...]:
    """What one evaluation of f computes, operands first: everything between the boundary, the state and f."""
    stop = frozenset(program.boundary) | {program.state}
    return tuple(reachable((program.f,), stop))


def is_buffer(leaf: Node) -> bool:
    """Whether a tensor of a layer is not learned."""
    return bool(leaf.attributes.get("buffer")) or str(leaf.attributes["name"]).startswith("running_")


def tensor_name(leaf: Node) -> tuple[str, str]:
    """The layer and the name of the tensor that a leaf is, or is a part of."""
    return str(leaf.attributes["layer"]), str(leaf.attributes.get("part_of") or leaf.attributes["name"])


def called_modules(program: Program) -> tuple[str, ...]:
    """The user's modules that f calls, by name."""
    return tuple(dict.fromkeys(str(node.attributes["name"]) for node in body(program) if node.op == "module"))


def readers(program: Program) -> dict[Node, list[Node]]:
    """Who reads each node, once for every operand; what no result needs does not count as a reader."""
    found: dict[Node, list[Node]] = {node: [] for node in program.nodes}
    for node in reachable(program.roots):
        for operand in node.operands:
            found[operand].append(node)
    return found
