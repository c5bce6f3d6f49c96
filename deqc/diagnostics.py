"""Diagnostics are data: what is wrong, where, what was expected, and how to mend it.

Every stage reports through these types and never prints; `deqc.cli` is the only room that renders them for a person.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

MAX_PROBLEMS: Final = 100
TOO_MANY: Final = "E016"


@dataclass(frozen=True, order=True)
class Span:
    """A stretch of source text; lines and columns count from 1, the end is exclusive."""

    file: str
    line: int
    column: int
    end_line: int
    end_column: int

    @property
    def end(self) -> tuple[int, int]:
        """Line and column behind its last character."""
        return self.end_line, self.end_column

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class Severity(enum.Enum):
    """How much a diagnostic weighs: only errors stop a compilation."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True)
class Related:
    """A second place that a diagnostic speaks of."""

    span: Span
    message: str


@dataclass(frozen=True)
class Diagnostic:
    """One mistake: a stable code, the place, what was found, what was expected, and a hint that mends it."""

    code: str
    message: str
    span: Span
    expected: str | None = None
    hint: str | None = None
    related: tuple[Related, ...] = ()
    severity: Severity = Severity.ERROR

    def __str__(self) -> str:
        lines = [f"{self.span}: {self.severity.value}[{self.code}]: {self.message}"]
        lines += [f"    {name}: {text}" for name, text in (("expected", self.expected), ("hint", self.hint)) if text]
        lines += [f"    {related.span}: note: {related.message}" for related in self.related]
        return "\n".join(map(printable, lines))


def printable(line: str) -> str:
    """The line; what it quotes breaks it nowhere and moves no cursor."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in line)


class SpecError(Exception):
    """A spec is wrong; `diagnostics` says all that is, in reading order."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        super().__init__("\n".join(map(str, self.diagnostics)))


@dataclass
class Problems:
    """Collects diagnostics, so that one run reports every mistake."""

    found: list[Diagnostic] = field(default_factory=list)

    def add(
        self,
        code: str,
        span: Span,
        message: str,
        *,
        expected: str | None = None,
        hint: str | None = None,
        related: Iterable[Related] = (),
        severity: Severity = Severity.ERROR,
    ) -> None:
        """Notes one mistake; the same mistake at the same place is noted once, and after too many nothing more is."""
        if len(self.found) > MAX_PROBLEMS:
            return
        diagnostic = Diagnostic(code, message, span, expected, hint, tuple(related), severity)
        if diagnostic in self.found:
            return
        if len(self.found) == MAX_PROBLEMS and code != TOO_MANY:
            diagnostic = Diagnostic(TOO_MANY, "too many mistakes; those after this place are not told", span)
        self.found.append(diagnostic)

    @property
    def errors(self) -> bool:
        """Whether anything found stops a compilation."""
        return any(d.severity is Severity.ERROR for d in self.found)

    def sorted(self) -> tuple[Diagnostic, ...]:
        """All that was found, in reading order."""
        return tuple(sorted(self.found, key=lambda d: (d.span, d.code)))

    def raise_errors(self) -> None:
        """Raises SpecError with all that was found if any of it is an error."""
        if self.errors:
            raise SpecError(self.sorted())
