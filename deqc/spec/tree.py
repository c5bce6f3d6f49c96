"""The YAML document as a tree in which every node knows where it stands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from deqc.diagnostics import Span

Plain: TypeAlias = "str | int | float | bool | None"


@dataclass(frozen=True)
class Scalar:
    """One value of YAML 1.2's core schema; `text` is how it was written, `plain` whether without quotes."""

    value: Plain
    text: str
    plain: bool
    span: Span


@dataclass(frozen=True)
class Sequence:
    """A list."""

    items: tuple[Node, ...]
    span: Span


@dataclass(frozen=True)
class Entry:
    """One `key: value` of a mapping."""

    key: Scalar
    value: Node

    @property
    def name(self) -> str:
        """The key as text."""
        return str(self.key.value)


@dataclass(frozen=True)
class Mapping:
    """A mapping with unique string keys, in the order written."""

    entries: tuple[Entry, ...]
    span: Span
    whole: bool = True  # False where a key was refused: what is missing may stand under it

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries)

    def entry(self, name: str) -> Entry | None:
        """The entry of that name."""
        return next((e for e in self.entries if e.name == name), None)

    def get(self, name: str) -> Node | None:
        """The value of that name."""
        entry = self.entry(name)
        return None if entry is None else entry.value


Node: TypeAlias = "Scalar | Sequence | Mapping"


def to_data(node: Node) -> object:
    """The node as plain Python data."""
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, Sequence):
        return [to_data(item) for item in node.items]
    return {entry.name: to_data(entry.value) for entry in node}


def is_null(node: Node) -> bool:
    """Whether it is the value null."""
    return isinstance(node, Scalar) and node.value is None


def walk(node: Node) -> Iterator[Node]:
    """The node and all nodes in it."""
    yield node
    inner = () if isinstance(node, Scalar) else node.items if isinstance(node, Sequence) else (e.value for e in node)
    for one in inner:
        yield from walk(one)
