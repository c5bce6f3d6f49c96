"""Diagnostics as text for a person and as JSON for a program.

Text from a spec reaches a terminal only through `visible`: a spec can move no cursor and hide nothing.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Final

import click

from deqc.diagnostics import Diagnostic, Severity, Span

_TAB: Final = 4
_BEFORE: Final = 60  # characters of a long line that are shown before the mistake
_SHOWN: Final = 110  # characters of a long line that are shown in all
_LONGEST: Final = 400  # characters of a message, which may quote a name of any length
_COLORS: Final = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.NOTE: "cyan"}


def render_text(diagnostics: Iterable[Diagnostic], texts: Mapping[str, str], *, color: bool = False) -> str:
    """Each diagnostic with its source line, the mistake underlined, and the places it refers to; then a count.

    `texts` holds the text of each file that a span names; a file that is missing there is shown without its lines.
    """
    pen = _Pen(texts, color)
    shown = list(diagnostics)
    blocks = [pen.diagnostic(diagnostic) for diagnostic in shown]
    return "\n\n".join([*blocks, _count(shown)]) + "\n" if shown else ""


def render_json(diagnostics: Iterable[Diagnostic]) -> str:
    """A list of objects, one a diagnostic, in ASCII."""
    return json.dumps([_object(diagnostic) for diagnostic in diagnostics], indent=2) + "\n"


def visible(text: str) -> str:
    """The text, cut where it is very long, with every character that a terminal would not show as an escape."""
    return "".join(_cell(character)[0] for character in text[:_LONGEST]) + "…" * (len(text) > _LONGEST)


class _Pen:
    def __init__(self, texts: Mapping[str, str], color: bool) -> None:
        self._lines = {file: _lines(text) for file, text in texts.items()}
        self._color = color

    def diagnostic(self, diagnostic: Diagnostic) -> str:
        """One diagnostic with all that belongs to it."""
        color = _COLORS[diagnostic.severity]
        label = self._style(f"{diagnostic.severity.value}[{diagnostic.code}]", color)
        parts = [self._headed(diagnostic.span, label, diagnostic.message, color)]
        margin = " " * _gutter(diagnostic.span)
        if diagnostic.expected is not None:
            parts.append(f"{margin} = {self._style('expected', 'cyan')}: {visible(diagnostic.expected)}")
        if diagnostic.hint is not None:
            parts.append(f"{margin} = {self._style('hint', 'cyan')}: {visible(diagnostic.hint)}")
        note = self._style("note", "cyan")
        parts.extend(self._headed(related.span, note, related.message, "cyan") for related in diagnostic.related)
        return "\n".join(parts)

    def _headed(self, span: Span, label: str, message: str, color: str) -> str:
        place = f"{visible(span.file)}:{span.line}:{span.column}"
        head = f"{self._style(place, None)}: {label}: {visible(message)}"
        return "\n".join([head, *self._excerpt(span, color)])

    def _excerpt(self, span: Span, color: str) -> list[str]:
        lines = self._lines.get(span.file, ())
        if not 1 <= span.line <= len(lines):
            return []
        line, underline = _underlined(lines[span.line - 1], span)
        gutter = _gutter(span)
        return [f"{span.line:>{gutter}} | {line}".rstrip(), f"{'':>{gutter}} | {self._style_end(underline, color)}"]

    def _style(self, text: str, color: str | None) -> str:
        return click.style(text, fg=color, bold=True) if self._color else text

    def _style_end(self, underline: str, color: str) -> str:
        carets = underline.lstrip(" ")
        return underline[: len(underline) - len(carets)] + self._style(carets, color)


def _gutter(span: Span) -> int:
    return max(4, len(str(span.line)))


def _lines(text: str) -> list[str]:
    return re.split("\r\n|\r|\n", text.removeprefix("\ufeff"))


def _cell(character: str) -> tuple[str, int]:
    """How a character is shown, and how many columns of a terminal it takes."""
    if character == "\t":
        return " " * _TAB, _TAB
    if character.isprintable():
        if unicodedata.category(character) in ("Mn", "Me"):
            return character, 0
        return character, 2 if unicodedata.east_asian_width(character) in "WF" else 1
    escape = ascii(character)[1:-1]
    return escape, len(escape)


def _underlined(line: str, span: Span) -> tuple[str, str]:
    """The part of the line around the span, and the carets below it."""
    start = min(span.column - 1, len(line))
    stop = span.end_column - 1 if span.end_line == span.line else len(line.rstrip())
    stop = max(min(stop, len(line)), start)
    left = max(0, start - _BEFORE) if len(line) > _SHOWN else 0
    right = min(len(line), left + _SHOWN)
    cells = [_cell(character) for character in line[left:right]]
    shown = "".join(text for text, _ in cells)
    before = sum(width for _, width in cells[: start - left]) + (left > 0)
    under = sum(width for _, width in cells[start - left : stop - left])
    return f"{'…' * (left > 0)}{shown}{'…' * (right < len(line))}", " " * before + "^" * max(1, under)


def _count(diagnostics: list[Diagnostic]) -> str:
    counts = [(s, sum(d.severity is s for d in diagnostics)) for s in Severity]
    return ", ".join(f"{n} {severity.value}{'s' * (n > 1)}" for severity, n in counts if n)


def _object(diagnostic: Diagnostic) -> dict[str, object]:
    related = [{**_place(r.span), "message": r.message} for r in diagnostic.related]
    return {
        "code": diagnostic.code,
        "severity": diagnostic.severity.value,
        **_place(diagnostic.span),
        "message": diagnostic.message,
        "expected": diagnostic.expected,
        "hint": diagnostic.hint,
        "related": related,
    }


def _place(span: Span) -> dict[str, object]:
    return {
        "file": span.file,
        "line": span.line,
        "column": span.column,
        "end_line": span.end_line,
        "end_column": span.end_column,
    }
