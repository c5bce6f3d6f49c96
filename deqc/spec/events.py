"""PyYAML's events of a text, one at a time, with its errors turned into diagnostics."""

from __future__ import annotations

from typing import NoReturn

import yaml
from yaml.parser import Parser
from yaml.reader import Reader
from yaml.scanner import Scanner

from deqc.diagnostics import Problems, Span
from deqc.spec import syntax


class StopReading(Exception):  # noqa: N818 - what is wrong is among the problems, this only ends the reading
    """Reading cannot go on."""


class _Source(Reader, Scanner, Parser):
    """PyYAML's reader, scanner and parser, without its resolver and constructor."""

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)


class Events:
    """The events of a text; nothing is scanned before it is asked for."""

    def __init__(self, text: str, file: str, problems: Problems) -> None:
        self._source = _Source(text)
        self._text = text
        self._file = file
        self._problems = problems

    def next(self) -> yaml.Event:
        """The next event; raises StopReading after the diagnostic of a syntax error."""
        try:
            event = self._source.get_event()  # type: ignore[no-untyped-call]
        except yaml.MarkedYAMLError as error:
            syntax.report(error, self._text, self._file, self._problems)
            raise StopReading from None
        except ValueError:  # from PyYAML's own conversions, such as the escape \U00110000
            mark = self._source.get_mark()
            span = Span(self._file, mark.line + 1, mark.column + 1, mark.line + 1, mark.column + 2)
            self.stop("E004", span, "an escape sequence or a directive that has no meaning")
        assert isinstance(event, yaml.Event)
        return event

    def stop(self, code: str, span: Span, message: str, hint: str | None = None) -> NoReturn:
        """Adds a diagnostic after which reading cannot go on."""
        self._problems.add(code, span, message, hint=hint)
        raise StopReading

    def behind_colon(self, value: yaml.Event) -> bool:
        """Whether an empty value in braces stands behind a colon: `{a: }` and `{a:}`, not `{a}`."""
        assert value.start_mark is not None, "PyYAML's parser marks every event"
        return self._text[value.start_mark.index - 1] == ":"

    def span(self, event: yaml.Event) -> Span:
        """The place of an event."""
        start, end = event.start_mark, event.end_mark
        assert start is not None, "PyYAML's parser marks every event"
        assert end is not None, "PyYAML's parser marks every event"
        return Span(self._file, start.line + 1, start.column + 1, end.line + 1, end.column + 1)


def has_width(event: yaml.Event) -> bool:
    """Whether the event stands for characters of its own, such as a closing bracket."""
    start, end = event.start_mark, event.end_mark
    return start is not None and end is not None and start.index != end.index


def is_empty(event: yaml.Event) -> bool:
    """Whether the event is a value of which nothing is written."""
    return isinstance(event, yaml.ScalarEvent) and event.style is None and event.value == ""
