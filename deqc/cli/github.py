"""Diagnostics as annotations of GitHub: workflow commands, one a line.

A message can end no line and open no command: https://docs.github.com/actions/reference/workflow-commands
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from deqc.diagnostics import Diagnostic, Severity, printable

_COMMANDS: Final = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}


def render_github(diagnostics: Iterable[Diagnostic]) -> str:
    """A workflow command for each diagnostic."""
    return "".join(f"{_command(one)}\n" for one in diagnostics)


def _command(diagnostic: Diagnostic) -> str:
    span = diagnostic.span
    properties = {
        "file": span.file,
        "line": str(span.line),
        "col": str(span.column),
        "endLine": str(span.end_line),
        "endColumn": str(span.end_column),
        "title": f"deqc {diagnostic.code}",
    }
    more = ((name, text) for name, text in (("expected", diagnostic.expected), ("hint", diagnostic.hint)) if text)
    lines = [diagnostic.message, *(f"{name}: {text}" for name, text in more)]
    listed = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    return f"::{_COMMANDS[diagnostic.severity]} {listed}::{_data(chr(10).join(lines))}"


def _data(text: str) -> str:
    """Text behind the second `::`."""
    return printable(text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A"))


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
