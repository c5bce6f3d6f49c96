"""A spec's text in the layout that all specs share.

Sections stand in the order of the language; what is long is opened, one item a line; what its author opened stays open.
A list of computations, one a scale, is always open. Comments stay with what they speak of.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Final

from deqc.layout.pieces import Collection, Item, Leaf, Value
from deqc.layout.reader import comments, read
from deqc.layout.writer import commented, entry
from deqc.settings import SECTIONS
from deqc.spec.loader import load
from deqc.spec.tree import to_data

_ORDER: Final = {section.name: place for place, section in enumerate(SECTIONS)}
_A_SCALE_EACH: Final = ("init", "main_layers", "mapping_layers", "post_fuse_layers")


def format_text(text: str, file: str) -> str:
    """The spec in its layout.

    Raises:
        SpecError: the text is not YAML as deqc reads it; holds every mistake.
    """
    before = to_data(load(text, file))
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    laid_out = _document(read(text))
    after = to_data(load(laid_out, file))
    same = _comparable(before) == _comparable(after) and _remarks(text) == _remarks(laid_out)
    assert same, f"{file}: the layout would change what the spec says"
    return laid_out


def _comparable(data: object) -> str:
    """The document as text, in which the order of everything but the sections counts."""
    assert isinstance(data, dict)
    return json.dumps(dict(sorted(data.items())))


def _remarks(text: str) -> list[str]:
    return sorted(comment.text for comment in comments(text))


def _document(root: Collection) -> str:
    head, items = _head(root.items)
    if not _has_alias(root):  # an alias has to stay behind its anchor
        items = sorted(items, key=lambda item: _ORDER.get(item.key or "", len(_ORDER)))
    several = any(item.key == "scales" for item in items)
    lines: list[str] = []
    long = False
    for item in items:
        section = _section(item, several)
        spaced = long or len(section) > 1 or item.before[:1] == ("",)
        long = len(section) > 1
        if spaced and lines:
            lines.append("")
        lines += section
    tail = list(root.tail)
    return "\n".join([*head, *lines, *tail]).strip("\n") + "\n"


def _head(items: tuple[Item, ...]) -> tuple[list[str], list[Item]]:
    """The comments at the top of the file, which stay there, and the sections."""
    if not items:
        return [], []
    first, *rest = items
    return list(first.before), [replace(first, before=()), *rest]


def _section(item: Item, several: bool) -> list[str]:
    assert item.key is not None
    listed = isinstance(item.value, Collection) and item.value.brackets == "[]" and bool(item.value.items)
    opened = several and item.key in _A_SCALE_EACH and listed
    bare = replace(item, before=tuple(_trimmed(item.before)))
    return commented(bare, entry(item.key, item.value, item.after, 0, opened), 0)


def _trimmed(before: tuple[str, ...]) -> list[str]:
    return "\n".join(before).strip("\n").split("\n") if any(before) else []


def _has_alias(value: Value) -> bool:
    if isinstance(value, Leaf):
        return value.text.startswith("*")
    return any(_has_alias(item.value) for item in value.items)
