"""Events to nodes: nesting, anchors and aliases, and how much of them one spec may hold."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, NoReturn

import yaml

from deqc.diagnostics import Problems, Related, Span
from deqc.spec import keys
from deqc.spec.events import Events, has_width, is_empty
from deqc.spec.names import did_you_mean
from deqc.spec.scalars import resolve
from deqc.spec.text import FORBIDDEN
from deqc.spec.tree import Entry, Mapping, Node, Scalar, Sequence

_RETURN: Final = re.compile("\r")
MAX_DEPTH: Final = 64
MAX_NODES: Final = 50_000
MAX_PROBLEMS: Final = 100
_EMPTY_ITEM: Final = "write a step after the dash, or remove it; where scales are not connected, write `null`"


@dataclass(frozen=True)
class _Found:
    """A node where it is used: its place there (an alias stands elsewhere than its node), its weight and height."""

    node: Node
    span: Span
    weight: int
    height: int


class Composer:
    """Makes the tree of one document; raises StopReading where it cannot go on."""

    def __init__(self, text: str, file: str, problems: Problems) -> None:
        self._problems = problems
        self._events = Events(text, file, problems)
        self._anchors: dict[str, _Found] = {}
        self._opened: set[str] = set()  # anchors that have begun; those that have ended are in `_anchors`
        self._weight = 0

    def document(self) -> Mapping | None:
        """The one document of the text."""
        self._next()  # the start of the stream
        start = self._next()
        if isinstance(start, yaml.StreamEndEvent):
            self._empty(start)
        assert isinstance(start, yaml.DocumentStartEvent)
        if start.tags or start.version not in (None, (1, 2)):
            message = "a directive other than %YAML 1.2 is not allowed"
            self._problems.add("E007", self._events.span(start), message, hint="remove the line that starts with '%'")
        event = self._next()
        if is_empty(event):
            self._empty(event)
        root = self._node(event, 0)
        self._next()  # the end of the document
        end = self._next()
        if not isinstance(end, yaml.StreamEndEvent):
            self._events.stop(
                "E007",
                self._events.span(end),
                "a second document",
                "a file holds one spec: write the second into a file of its own",
            )
        if not isinstance(root.node, Mapping):
            self._events.stop(
                "E008", root.span, "a spec is a mapping", "start with `deqc: 1` and `name: …`, one key a line"
            )
        return root.node

    def _empty(self, event: yaml.Event) -> NoReturn:
        place = Span(self._events.span(event).file, 1, 1, 1, 1)
        self._events.stop("E007", place, "the file is empty", "a spec starts with `deqc: 1`")

    def _next(self) -> yaml.Event:
        event = self._events.next()
        if len(self._problems.found) >= MAX_PROBLEMS:
            self._events.stop("E016", self._events.span(event), "too many mistakes; the rest of the file is not read")
        return event

    def _weigh(self, weight: int, span: Span) -> None:
        self._weight += weight
        if self._weight > MAX_NODES:
            hint = "an alias counts as often as it is used" if self._anchors else None
            self._events.stop("E006", span, f"more than {MAX_NODES} values", hint)

    def _node(self, event: yaml.Event, depth: int, key: bool = False) -> _Found:
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, depth)
        assert isinstance(event, yaml.NodeEvent)
        if isinstance(event, yaml.CollectionStartEvent) and depth >= MAX_DEPTH:
            self._events.stop("E005", self._events.span(event), f"values are nested deeper than {MAX_DEPTH}")
        tag = getattr(event, "tag", None)
        if tag is not None:
            hint = "remove it: a spec is one file, and what a value is follows from how it is written"
            self._problems.add("E012", self._events.span(event), "tags such as !!str are not allowed", hint=hint)
        name = event.anchor
        if name is not None:
            self._opened.add(name)
        if isinstance(event, yaml.ScalarEvent):
            found = self._scalar(event)
        elif isinstance(event, yaml.SequenceStartEvent):
            found = self._sequence(event, depth)
        else:
            assert isinstance(event, yaml.MappingStartEvent)
            found = self._mapping(event, depth, key)
        if name is not None:
            self._anchor(name, found)
        return found

    def _anchor(self, name: str, found: _Found) -> None:
        first = self._anchors.setdefault(name, found)
        if first is not found:
            related = [Related(first.span, "first defined here")]
            self._problems.add("E015", found.span, f"the anchor '&{name}' is defined twice", related=related)

    def _alias(self, event: yaml.AliasEvent, depth: int) -> _Found:
        span, name = self._events.span(event), str(event.anchor)
        found = self._anchors.get(name)
        if found is None:
            near = did_you_mean(name, self._anchors)
            guess = f"; did you mean '*{near}'?" if near else ""
            inside = name in self._opened
            message = (
                f"the alias '*{name}' stands inside what it names" if inside else f"unknown alias '*{name}'{guess}"
            )
            hint = None if inside else f"an anchor '&{name}' has to stand before it"
            self._problems.add("E015", span, message, hint=hint)
            return _Found(Scalar(None, f"*{name}", True, span), span, 1, 0)
        if depth + found.height > MAX_DEPTH:
            self._events.stop("E005", span, f"values are nested deeper than {MAX_DEPTH}")
        self._weigh(found.weight, span)
        return _Found(found.node, span, found.weight, found.height)

    def _scalar(self, event: yaml.ScalarEvent) -> _Found:
        span, plain = self._events.span(event), event.style is None
        text = event.value
        weight = 1 + len(text) // 64
        self._weigh(weight, span)
        # An escape such as "\u202e" makes a character that the check of the text did not see, a CR too.
        if not plain and (hidden := FORBIDDEN.search(text) or _RETURN.search(text)):
            shown = f"U+{ord(hidden[0]):04X}"
            self._problems.add("E003", span, f"the character {shown} is not allowed")
            return _Found(Scalar(None, text, plain, span), span, weight, 0)
        value = None if is_empty(event) else resolve(text, span, self._problems) if plain else text
        return _Found(Scalar(value, text, plain, span), span, weight, 0)

    def _sequence(self, event: yaml.SequenceStartEvent, depth: int) -> _Found:
        before = self._weight
        self._weigh(1, self._events.span(event))
        items: list[_Found] = []
        while not isinstance(item := self._next(), yaml.SequenceEndEvent):
            items.append(self._node(item, depth + 1))
            if is_empty(item):
                place = items[-1].span
                dash = Span(place.file, place.line, max(1, place.column - 1), place.line, place.column)
                self._problems.add("E013", dash, "an empty list item", hint=_EMPTY_ITEM)
                items[-1] = _Found(Scalar(None, "", True, dash), dash, 1, 0)
        span = self._extent(event, item, items)
        return _Found(Sequence(tuple(i.node for i in items), span), span, self._weight - before, _height(items))

    def _mapping(self, event: yaml.MappingStartEvent, depth: int, is_key: bool) -> _Found:
        before = self._weight
        self._weigh(1, self._events.span(event))
        entries: dict[str, Entry] = {}
        parts: list[_Found] = []
        empty: list[Scalar] = []
        whole = True
        bare: list[tuple[yaml.Event, _Found, yaml.Event, _Found]] | None = (
            [] if event.flow_style and depth > 0 else None
        )

        def add(item: yaml.Event, key: _Found, value_event: yaml.Event, value: _Found) -> None:
            nonlocal whole
            name = keys.check(key.node, key.span, isinstance(item, yaml.AliasEvent), entries, self._problems)
            if name is None:
                twice = isinstance(key.node, Scalar) and str(key.node.value) in entries
                whole = whole and twice
            else:
                entries[str(name.value)] = Entry(name, value.node)
                if is_empty(value_event):
                    empty.append(name)

        while not isinstance(item := self._next(), yaml.MappingEndEvent):
            key = self._node(item, depth + 1, key=True)
            value_event = self._next()
            value = self._node(value_event, depth + 1)
            parts += [key, value]
            pair = item, key, value_event, value
            if bare is not None and is_empty(value_event) and not self._events.behind_colon(value_event):
                bare.append(pair)  # maybe an item of a list in braces
                continue
            for one in (*(bare or ()), pair):
                add(*one)
            bare = None
        span = self._extent(event, item, parts)
        if bare:
            listed = [key.node for _, key, _, _ in bare]
            meant = keys.list_in_braces(listed, span, Problems() if is_key else self._problems)
            if meant is not None:
                return _Found(meant, span, self._weight - before, _height(parts))
        for one in bare or ():
            add(*one)
        if not is_key:  # a mapping as a key is refused whole
            keys.without_value(empty, entries, bool(event.flow_style), depth, self._problems)
        return _Found(Mapping(tuple(entries.values()), span, whole), span, self._weight - before, _height(parts))

    def _extent(self, start: yaml.Event, end: yaml.Event, parts: list[_Found]) -> Span:
        """From the first character of a collection to its closing bracket or, without one, to its last part's end."""
        first = self._events.span(start)
        last = self._events.span(end) if has_width(end) else parts[-1].span if parts else first
        return Span(first.file, first.line, first.column, last.end_line, last.end_column)


def _height(parts: list[_Found]) -> int:
    return 1 + max((part.height for part in parts), default=0)
