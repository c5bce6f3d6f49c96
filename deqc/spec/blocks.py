"""Blocks: named computations with parameters. Parameters are read first, so that every body knows every block."""

from __future__ import annotations

from collections.abc import Mapping as Map
from dataclasses import replace

from deqc.diagnostics import Problems, Related, Span
from deqc.ops import STEPS
from deqc.settings import planned
from deqc.spec.arguments import KINDS, kind_of, value
from deqc.spec.computations import computation
from deqc.spec.model import Block, Computation, Literal, Number, Parameter
from deqc.spec.names import check_name
from deqc.spec.reader import Reader
from deqc.spec.tree import Entry, Mapping, Node, Scalar, Sequence
from deqc.spec.walk import references, steps


def signatures(
    section: Node | None, constants: Map[str, Number], modules: frozenset[str], problems: Problems
) -> dict[str, tuple[Parameter, ...]]:
    """The parameters of every block that may be used, as declared; defaults are read by `blocks`."""
    found: dict[str, tuple[Parameter, ...]] = {}
    for entry in section if isinstance(section, Mapping) else ():
        if entry.name in STEPS or planned("step", entry.name):
            hint = f"write '{entry.name}_block'"
            problems.add(
                "E044", entry.key.span, f"'{entry.name}' is a step of the language and cannot name a block", hint=hint
            )
            continue
        if entry.name in modules:
            hint = f"write '{entry.name}_block'"
            problems.add("E044", entry.key.span, f"'{entry.name}' is a module and cannot name a block", hint=hint)
            continue
        check_name(entry.name, entry.key.span, "a block", problems, path=True)
        declared = [_declared(one, constants, problems) for one in _parameters(entry.value)]
        listed = isinstance(entry.value, Mapping) and isinstance(entry.value.get("params"), Sequence)
        found[entry.name] = tuple(replace(one, required=one.required and not listed) for one in declared)
    return found


def blocks(section: Node | None, reader: Reader) -> dict[str, Block]:
    """Every block with its body and defaults, but for those that use themselves: what cannot be read is reported."""
    entries = [one for one in section if one.name in reader.signatures] if isinstance(section, Mapping) else []
    read = {entry.name: _block(entry, reader) for entry in entries}
    whole = {name: block for name, block in read.items() if block is not None}
    circles = _circles(whole, reader.problems)
    return {name: block for name, block in whole.items() if name not in circles}


def _parameters(block: Node) -> tuple[Entry, ...]:
    """The parameters as they are written; a list of names, which the schema refuses, declares those names."""
    declared = block.get("params") if isinstance(block, Mapping) else None
    if isinstance(declared, Sequence):
        words = [one for one in declared.items if isinstance(one, Scalar) and isinstance(one.value, str)]
        return tuple(Entry(one, Scalar(None, "", True, one.span)) for one in words)
    return declared.entries if isinstance(declared, Mapping) else ()


def _declared(entry: Entry, constants: Map[str, Number], problems: Problems) -> Parameter:
    """A parameter's name and type; a null default of a value means that it may be left out."""
    if check_name(entry.name, entry.key.span, "a parameter", problems, path=True) and entry.name in constants:
        problems.add("E044", entry.key.span, f"'{entry.name}' is a constant already and cannot name a parameter")
    default: Node | None = entry.value
    type_: str | None = None
    description: str | None = None
    if isinstance(entry.value, Mapping):
        default = entry.value.get("default")
        type_, description = _text(entry.value.get("type")), _text(entry.value.get("description"))
        type_ = type_ if type_ in (*KINDS, "value") else None  # another one has been refused
    absent = default is None or (isinstance(default, Scalar) and default.value is None)
    required = absent and not (type_ == "value" and default is not None)
    known = None
    if isinstance(default, Scalar) and isinstance(default.value, (bool, int, float)):
        known = Literal(default.value, default.span)
    return Parameter(entry.name, type_, required, known, description, entry.key.span)


def _text(node: Node | None) -> str | None:
    return node.value if isinstance(node, Scalar) and isinstance(node.value, str) else None


def _block(entry: Entry, reader: Reader) -> Block | None:
    full = entry.value if isinstance(entry.value, Mapping) else None
    body_node = entry.value if full is None else full.get("body")
    if body_node is None:  # the schema has said so
        return None
    body = computation(body_node, reader)
    parameters = tuple(
        _with_default(entry.name, one, node.value, reader)
        for one, node in zip(reader.signatures[entry.name], _parameters(entry.value), strict=True)
    )
    return Block(entry.name, _typed(parameters, body), body, entry.key.span)


def _with_default(block: str, parameter: Parameter, node: Node, reader: Reader) -> Parameter:
    """The parameter with its default read and checked against its type."""
    if isinstance(node, Mapping):
        default = node.get("default")
        if default is None:
            return parameter
        node = default
    if isinstance(node, Scalar) and node.value is None:
        return parameter
    read = value(block, replace(parameter, default=None), node, reader, computation)
    return replace(parameter, default=read) if isinstance(read, (Literal, Computation)) else parameter


def _typed(parameters: tuple[Parameter, ...], body: Computation) -> tuple[Parameter, ...]:
    """The parameters, those without a type that the body reads by `$` being values."""
    read = {reference.name for reference in references(body)}
    return tuple(
        replace(one, type="value") if one.type is None and kind_of(one) is None and one.name in read else one
        for one in parameters
    )


def _circles(found: Map[str, Block], problems: Problems) -> set[str]:
    """Reports each circle of blocks that use one another, once, at the block declared first; returns all in circles."""
    used = {
        name: {step.name: step.span for step in steps(block.body) if step.name in found}
        for name, block in found.items()
    }
    told: set[str] = set()
    circles: set[str] = set()
    for name, block in found.items():
        way = _way_back(name, used)
        circles |= set(way)
        if way and not told & set(way):
            told |= set(way)
            related = [Related(_use(used, way), "used here")]
            problems.add("E047", block.span, f"the block {name} uses itself: {' → '.join(way)}", related=related)
    return circles


def _way_back(start: str, used: Map[str, Map[str, Span]]) -> list[str]:
    """The shortest way from a block back to itself; empty if there is none."""
    ways = [[start]]
    seen: set[str] = set()
    while ways:
        way = ways.pop(0)
        for following in used[way[-1]]:
            if following == start:
                return [*way, start]
            if following not in seen:
                seen.add(following)
                ways.append([*way, following])
    return []


def _use(used: Map[str, Map[str, Span]], way: list[str]) -> Span:
    return used[way[-2]][way[-1]]
