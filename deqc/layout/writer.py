"""Pieces to text: what fits stays on one line, what does not is opened, one item a line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from deqc.layout.pieces import Collection, Item, Leaf, Value

WIDTH: Final = 100
INDENT: Final = 2


def inline(value: Value) -> str | None:
    """The value in one line; None where comments or block scalars stand in it."""
    if isinstance(value, Leaf):
        return None if value.lines else value.text
    if any(filter(None, value.tail)):
        return None
    parts: list[str] = []
    for item in value.items:
        text = inline(item.value)
        if text is None or item.after or any(filter(None, item.before)):
            return None
        parts.append(text if item.key is None else f"{item.key}: {text}")
    return f"{value.anchor} {value.brackets[0]}{', '.join(parts)}{value.brackets[1]}".lstrip()


def block(value: Collection, indent: int) -> list[str]:
    """The items of a collection, one below the other."""
    lines: list[str] = []
    for item in value.items:
        lines += commented(item, _item(item, indent), indent)
    return [*lines, *_remarks(value.tail, indent)]


def commented(item: Item, lines: list[str], indent: int) -> list[str]:
    """The lines of an item below its comments."""
    return [*_remarks(item.before, indent), *lines]


def rows(value: Collection, indent: int) -> list[str]:
    """A matrix, its columns below each other where they fit."""
    cells = [_cells(item.value) for item in value.items]
    if any(row is None or len(row) != len(cells[0] or ()) for row in cells):
        return block(value, indent)
    table = [row for row in cells if row]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    padded = [
        "".join(f"{cell}, ".ljust(width + 2) for cell, width in zip(row[:-1], widths, strict=False)) + row[-1]
        for row in table
    ]
    if not padded or any(len(row) + indent + 4 > WIDTH for row in padded):
        return block(value, indent)
    lines: list[str] = []
    for item, row in zip(value.items, padded, strict=True):
        lines += commented(item, _closed(" " * indent + f"- [{row}]", item.after, indent), indent)
    return [*lines, *_remarks(value.tail, indent)]


def _cells(value: Value) -> list[str] | None:
    """The elements of a list of elements that each go on one line."""
    if not isinstance(value, Collection) or value.brackets != "[]" or value.anchor or inline(value) is None:
        return None
    return [text for item in value.items if (text := inline(item.value)) is not None]


def entry(key: str, value: Value, after: Sequence[str], indent: int, opened: bool = False) -> list[str]:
    """A key and its value."""
    margin = " " * indent
    text = None if opened else _short(value, indent + len(key) + 2)
    if text is not None:
        return _closed(f"{margin}{key}: {text}", after, indent)
    if isinstance(value, Leaf):
        head = _closed(f"{margin}{key}: {value.text}", after, indent)
        return head + [f"{margin}{' ' * INDENT}{line}".rstrip() for line in value.lines]
    head = _closed(f"{margin}{key}: {value.anchor}".rstrip(), after, indent)
    if key == "mapping_layers" and value.brackets == "[]":
        return head + rows(value, indent + INDENT)
    return head + block(value, indent + INDENT)


def _item(item: Item, indent: int) -> list[str]:
    if item.key is not None:
        return entry(item.key, item.value, item.after, indent)
    margin, value = " " * indent, item.value
    text = _short(value, indent + 2, join=isinstance(value, Collection) and value.brackets == "[]")
    if text is not None:
        return _closed(f"{margin}- {text}", item.after, indent)
    if isinstance(value, Leaf):
        head = _closed(f"{margin}- {value.text}", item.after, indent)
        return head + [f"{margin}{' ' * INDENT}{line}".rstrip() for line in value.lines]
    above = _remarks(item.after, indent)
    if value.anchor:
        return [*above, f"{margin}- {value.anchor}", *block(value, indent + INDENT)]
    first, *rest = value.items  # an empty collection is short
    lines = _item(first, indent + INDENT)
    place = next(i for i, line in enumerate(lines) if not line.lstrip().startswith("#"))
    above += [line[INDENT:] for line in lines[:place]]
    lines = lines[place:]
    lines[0] = f"{margin}- {lines[0][indent + INDENT :]}"
    for one in rest:
        lines += commented(one, _item(one, indent + INDENT), indent + INDENT)
    return [*above, *lines, *_remarks(value.tail, indent + INDENT)]


def _short(value: Value, column: int, join: bool = False) -> str | None:
    """The value in one line if it goes there: it fits, and was not opened by its author (`join` overrules)."""
    text = inline(value)
    if text is None or isinstance(value, Leaf) or not value.items:
        return text
    return text if (join or not value.opened) and column + len(text) <= WIDTH else None


def _closed(line: str, after: Sequence[str], indent: int) -> list[str]:
    """A line and the comment at its end; of several comments, all but the last stand above."""
    if not after:
        return [line]
    return [*_remarks(after[:-1], indent), f"{line}  {after[-1]}"]


def _remarks(texts: Sequence[str], indent: int) -> list[str]:
    return [" " * indent + text if text else "" for text in texts]
