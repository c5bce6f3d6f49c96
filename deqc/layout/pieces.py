"""A YAML document as it was written: values, styles, anchors, and every comment beside what it speaks of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True)
class Leaf:
    """A scalar or an alias, as text; `lines` follow where it is a block scalar and `text` only its header."""

    text: str
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class Item:
    """One element of a list, or one entry of a mapping, with its comments; "" is an empty line."""

    key: str | None
    value: Value
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()


@dataclass(frozen=True)
class Collection:
    """A list or a mapping; `opened` says that it was written one item a line."""

    brackets: str  # [] or {}
    items: tuple[Item, ...]
    opened: bool
    anchor: str = ""
    tail: tuple[str, ...] = ()  # comments after the last item


Value: TypeAlias = "Leaf | Collection"
