"""What there is to draw, without any coordinate."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

from deqc.compiler import Compilation
from deqc.emit.naming import field_names, origin
from deqc.spec.canonical import document
from deqc.spec.model import Adjoint, Solver
from deqc.spec.short import is_chain, text
from deqc.types import show

LONGEST = 46  # characters of a line in a box


@dataclass(frozen=True)
class Box:
    """A computation: its name, its steps one a line, the shape of what it returns, and what it reads by name."""

    name: str
    lines: tuple[str, ...]
    shape: str
    reads: tuple[tuple[str, str], ...] = ()  # names of values from outside the loop, with their shapes


@dataclass(frozen=True)
class Cell:
    """One entry of the mapping matrix: its step, and how many numbers it learns; `text` "" is no connection."""

    text: str
    parameters: int

    @property
    def identity(self) -> bool:
        """Whether the value passes unchanged."""
        return self.text == "identity"


@dataclass(frozen=True)
class Scene:
    """A whole model; `states`, `main`, `matrix` and `post` are by scale."""

    name: str
    inputs: tuple[Box, ...]
    encoder: tuple[Box, ...]
    hoisted: tuple[tuple[str, str], ...]  # names and shapes of what else is computed once a solve
    states: tuple[str, ...]
    main: tuple[Box, ...]
    matrix: tuple[tuple[Cell, ...], ...]  # [from][to]
    post: tuple[Box, ...]
    head: tuple[Box, ...]
    solver: str
    adjoint: str


def scene(compilation: Compilation) -> Scene:
    """The picture's contents."""
    spec, program = compilation.spec, compilation.lowered
    written = document(spec)
    inputs = {str(node.attributes["name"]): str(node.type) for node in program.inputs}
    encoded = {name: str(node.type) for (name, _), node in zip(spec.encoder, program.encoded, strict=True)}
    outside = {**inputs, **encoded, **{one.name: show(one.shape.sizes) for one in spec.weights}}
    states = tuple(show(scale.shape) for scale in program.scales)
    return Scene(
        name=spec.name,
        inputs=tuple(Box(name, (), shape) for name, shape in inputs.items()),
        encoder=tuple(Box(name, _lines(chain), encoded[name]) for name, chain in written["encoder"]),
        hoisted=tuple(_hoisted(compilation)),
        states=states,
        main=tuple(
            Box(f"main_layers.{k}", _lines(chain), str(node.type), _reads(chain, outside))
            for k, (chain, node) in enumerate(zip(written["main_layers"], program.hidden, strict=True))
        ),
        matrix=_matrix(compilation, written["mapping_layers"]),
        post=tuple(
            Box(f"post_fuse_layers.{k}", tuple(_compact([step]) for step in chain or ()), states[k])
            for k, chain in enumerate(written["post_fuse_layers"])
        ),
        head=tuple(_head(compilation, written["head"])),
        solver=_by(compilation.solver),
        adjoint=_by(compilation.adjoint),
    )


def _by(part: Solver | Adjoint) -> str:
    """The method, and the linear solver that it uses."""
    return part.method.name + (f" by {part.linear_solver.name}" if part.linear_solver else "")


def _hoisted(compilation: Compilation) -> Iterator[tuple[str, str]]:
    """What f reads that is computed before the loop, besides the encoder's values as they are."""
    encoded = {node.hint for node in compilation.lowered.encoded}
    for node, name in field_names(compilation.program).items():
        if not node.leaf and not origin(node) and name not in encoded:
            yield name, str(node.type)


def _matrix(compilation: Compilation, matrix: list[list[Any]]) -> tuple[tuple[Cell, ...], ...]:
    learned: dict[str, int] = {}
    for node in compilation.lowered.nodes:
        if node.op == "parameter" and str(node.attributes["layer"]).startswith("mapping_layers."):
            place = ".".join(str(node.attributes["layer"]).split(".")[1:3])
            learned[place] = learned.get(place, 0) + prod(node.type.shape)
    return tuple(
        tuple(
            Cell("" if entry is None else _compact(entry), learned.get(f"{source}.{to}", 0))
            for to, entry in enumerate(row)
        )
        for source, row in enumerate(matrix)
    )


def _head(compilation: Compilation, head: Any) -> Iterator[Box]:
    shapes = [str(node.type) for node in compilation.lowered.outputs]
    if not head:
        return
    named = [["output", head]] if is_chain(head) else head
    for (name, chain), shape in zip(named, shapes, strict=True):
        yield Box(name, _lines(chain), shape)


def _reads(chain: Any, outside: dict[str, str]) -> tuple[tuple[str, str], ...]:
    names = dict.fromkeys(name for name in _references(chain) if name in outside)
    return tuple((name, outside[name]) for name in names)


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, str) and value.startswith("$"):
        yield value[1:]
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _references(inner)


def _lines(chain: Any, indent: str = "", first: str = "") -> tuple[str, ...]:
    """A computation, a step a line; the branches of a long sum stand below it, each behind a dot."""
    lines: list[str] = []
    for number, step in enumerate(chain):
        margin = indent + (first if number == 0 else " " * len(first))
        whole = _bare(text([step]))
        inner = step[1].get("of") or step[1].get("body") if isinstance(step, list) else None
        if len(margin + whole) <= LONGEST or not isinstance(inner, list) or len(margin) > 6:
            lines.append(margin + _cut(whole, LONGEST - len(margin)))
            continue
        lines.append(margin + step[0])
        for branch in [inner] if is_chain(inner) else inner:
            lines += _lines(branch, " " * len(margin), "• ")
    return tuple(lines)


def _compact(chain: Any) -> str:
    """A computation in few characters: names of steps, each with its first field if that is a number."""
    steps: list[str] = []
    for step in chain:
        sizes = [one for one in step[1].values() if type(one) is int] if isinstance(step, list) else []
        steps.append(" ".join([step if isinstance(step, str) else step[0], *map(str, sizes[:1])]))
    return " › ".join(steps)


def _bare(step: str) -> str:
    """A step without the braces around it."""
    return step[1:-1] if step.startswith("{") and step.endswith("}") else step


def _cut(line: str, most: int) -> str:
    return line if len(line) <= most else line[: most - 1] + "…"
