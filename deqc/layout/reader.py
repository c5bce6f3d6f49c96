"""YAML text to pieces. The text has been read without a mistake before, so that nothing is checked here again."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final

import yaml

from deqc.layout.pieces import Collection, Item, Leaf, Value

_COMMENT: Final = re.compile(r"#[^\n]*")
_WORDS: Final = {
    **dict.fromkeys(("~", "Null", "NULL"), "null"),
    **dict.fromkeys(("True", "TRUE"), "true"),
    **dict.fromkeys(("False", "FALSE"), "false"),
}
_SAFE_IN_FLOW: Final = re.compile(r"[^\[\]{},]*")
_UNESCAPED: Final = re.compile(r'[^"\\\n\t]*')


@dataclass(frozen=True)
class Comment:
    """A comment: where it stands, and whether on a line of its own."""

    text: str
    index: int
    line: int
    column: int
    alone: bool


def _raised(value: Value) -> tuple[tuple[str, ...], Value]:
    """The comments before the first item of a collection, which stand above its dash, and the rest."""
    if isinstance(value, Leaf) or not value.items:
        return (), value
    first, *rest = value.items
    return first.before, replace(value, items=(replace(first, before=()), *rest))


@dataclass(frozen=True)
class _Place:
    """A place in the text; all three count from 0."""

    index: int
    line: int
    column: int


def comments(text: str) -> list[Comment]:
    """All comments, in order: what stands between the tokens is nothing else."""
    found: list[Comment] = []
    reached = 0
    for token in yaml.scan(text, Loader=yaml.Loader):
        start, end = token.start_mark.index, token.end_mark.index
        for match in _COMMENT.finditer(text, reached, max(reached, start)):
            found.append(_comment(text, match.start(), match.end()))
        if isinstance(token, yaml.ScalarToken) and token.style in ("|", ">"):
            header = text.find("\n", start)
            if (mark := text.find("#", start, header)) >= 0:
                found.append(_comment(text, mark, header))
        reached = max(reached, end)
    for match in _COMMENT.finditer(text, reached):
        found.append(_comment(text, match.start(), match.end()))
    return found


def _comment(text: str, start: int, stop: int) -> Comment:
    line_start = text.rfind("\n", 0, start) + 1
    alone = not text[line_start:start].strip()
    return Comment(text[start:stop].rstrip(), start, text.count("\n", 0, start), start - line_start, alone)


def read(text: str) -> Collection:
    """The pieces of a document whose root is a mapping."""
    return _Reader(text).document()


class _Reader:
    """Walks through PyYAML's events and takes along the comments that stand before each."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._lines = text.split("\n")
        self._events = iter(yaml.parse(text, Loader=yaml.Loader))
        self._comments = comments(text)
        self._taken = 0

    def document(self) -> Collection:
        while not isinstance(event := next(self._events), yaml.MappingStartEvent):
            pass
        root = self._collection(event, floor=-1)
        rest = self._until(len(self._text) + 1)
        return replace(root, opened=True, tail=(*root.tail, *self._own_lines(rest)))

    def _until(self, index: int) -> list[Comment]:
        """The comments before that place which nobody has taken."""
        start = self._taken
        while self._taken < len(self._comments) and self._comments[self._taken].index < index:
            self._taken += 1
        return self._comments[start : self._taken]

    def _own_lines(self, found: list[Comment]) -> tuple[str, ...]:
        return tuple(text for one in found for text in (("", one.text) if self._after_blank(one.line) else (one.text,)))

    def _after_blank(self, line: int) -> bool:
        return line > 0 and not self._lines[line - 1].strip()

    def _value(self, event: yaml.Event, floor: int) -> Value:
        if isinstance(event, yaml.AliasEvent):
            return Leaf(f"*{event.anchor}")
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event)
        assert isinstance(event, yaml.CollectionStartEvent)
        return self._collection(event, floor)

    def _scalar(self, event: yaml.ScalarEvent) -> Leaf:
        anchor = f"&{event.anchor} " if event.anchor else ""
        written = self._text[_start(event).index : _end(event).index]
        if event.style in ("|", ">"):
            header, _, rest = written[written.index(event.style) :].partition("\n")
            header = header.partition("#")[0].rstrip()
            if header in ("|", "|-", ">", ">-") and rest.strip():
                return Leaf(anchor + header, _dedented(rest.rstrip().split("\n")))
        return Leaf(anchor + scalar_text(event.value, event.style))

    def _collection(self, event: yaml.CollectionStartEvent, floor: int) -> Collection:
        """`floor`: the column that a comment after the last item has to be right of, to belong here."""
        listed = isinstance(event, yaml.SequenceStartEvent)
        column = _start(event).column
        items: list[Item] = []
        while not isinstance(first := next(self._events), (yaml.SequenceEndEvent, yaml.MappingEndEvent)):
            before: list[str] = []
            self._before(first, items, before)
            key = None if listed else self._key(first)
            after: tuple[str, ...] = ()
            if key is not None:
                key_line = _end(first).line
                first = next(self._events)
                opened = isinstance(first, yaml.CollectionStartEvent) and not first.flow_style
                after = self._between(first, opened, before, key_line)
            value = self._value(first, column)
            if listed:
                above, value = _raised(value)
                before.extend(above)
            items.append(Item(key, value, tuple(before), after))
        tail = self._tail(first, items, bool(event.flow_style), column, floor)
        brackets = "[]" if listed else "{}"
        anchor = f"&{event.anchor}" if event.anchor else ""
        return Collection(brackets, tuple(items), not event.flow_style, anchor, tail)

    def _before(self, first: yaml.Event, items: list[Item], before: list[str]) -> None:
        """Comments before an item: those at the end of a line speak of the item before."""
        for one in self._until(_start(first).index):
            if not one.alone and items:
                items[-1] = replace(items[-1], after=(*items[-1].after, one.text))
            else:
                before.extend(self._own_lines([one]))
        if self._after_blank(_start(first).line) and (items or before):
            before.append("")

    def _between(self, value: yaml.Event, opened: bool, before: list[str], key_line: int) -> tuple[str, ...]:
        """Comments between a key and its value; those above the first item of an opened value are left for it."""
        after: list[str] = []
        while self._taken < len(self._comments):
            one = self._comments[self._taken]
            if one.index >= _start(value).index or (opened and one.line > key_line):
                break
            self._taken += 1
            (before if one.alone else after).append(one.text)
        return tuple(after)

    def _tail(self, end: yaml.Event, items: list[Item], flow: bool, column: int, floor: int) -> tuple[str, ...]:
        """Comments after the last item, as far as they belong to this collection and not to what follows."""
        tail: list[Comment] = []
        limit = _start(end).index
        while self._taken < len(self._comments) and self._comments[self._taken].index < limit:
            one = self._comments[self._taken]
            if not one.alone and items:
                items[-1] = replace(items[-1], after=(*items[-1].after, one.text))
            elif flow or (column > floor and one.column >= column):
                tail.append(one)
            else:
                break
            self._taken += 1
        return self._own_lines(tail)

    def _key(self, event: yaml.Event) -> str:
        leaf = self._value(event, -1)
        assert isinstance(leaf, Leaf), "the loader takes scalars alone for keys"
        return leaf.text


def _start(event: yaml.Event) -> _Place:
    mark = event.start_mark
    assert mark is not None, "PyYAML's parser marks every event"
    return _Place(mark.index, mark.line, mark.column)


def _end(event: yaml.Event) -> _Place:
    mark = event.end_mark
    assert mark is not None, "PyYAML's parser marks every event"
    return _Place(mark.index, mark.line, mark.column)


def scalar_text(value: str, style: str | None) -> str:
    """A scalar in one line: as it was written, or in double quotes where that would be read otherwise."""
    if style is None:
        plain = "\n" not in value and not value.startswith("${") and _SAFE_IN_FLOW.fullmatch(value)
        return _WORDS.get(value, value) if plain else quoted(value)
    return quoted(value)


def quoted(value: str) -> str:
    """The value in double quotes."""
    if _UNESCAPED.fullmatch(value) and value.isprintable():
        return f'"{value}"'
    named = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t"}
    return '"' + "".join(named.get(one) or (one if one.isprintable() else _escape(one)) for one in value) + '"'


def _escape(character: str) -> str:
    return f"\\u{ord(character):04x}" if ord(character) < 0x10000 else f"\\U{ord(character):08x}"


def _dedented(lines: list[str]) -> tuple[str, ...]:
    margin = min((len(line) - len(line.lstrip(" ")) for line in lines if line.strip()), default=0)
    return tuple(line[margin:] if line.strip() else "" for line in lines)
