"""Reads the specs that a command was given, and reports what is wrong with them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import click

from deqc import sources
from deqc.cli.faults import FileFault
from deqc.diagnostics import Diagnostic, Severity, SpecError

SPEC = click.Path(exists=True, dir_okay=False, readable=True, allow_dash=True)
"""The type of an argument that names a spec; `-` is standard input."""


@dataclass
class Report:
    """The specs that a command read, and what it found in them."""

    texts: dict[str, str] = field(default_factory=dict)
    diagnostics: list[Diagnostic] = field(default_factory=list)

    def read(self, path: str) -> tuple[str, str]:
        """The text of a spec and the name that diagnostics show for it."""
        file = "<stdin>" if path == "-" else os.path.normpath(path)
        try:
            with click.open_file(path, "rb") as stream:
                data = stream.read(sources.MAX_BYTES + 1)
            self.texts[file] = data.decode("utf-8", errors="replace")
            return sources.decode(data, file), file
        except OSError as fault:
            raise FileFault(path, fault) from None

    @contextmanager
    def collecting(self) -> Iterator[None]:
        """Keeps the diagnostics of a spec that is wrong, so that the next one has its turn."""
        try:
            yield
        except SpecError as fault:
            self.diagnostics.extend(fault.diagnostics)

    def finish(self) -> None:
        """Prints all that was found; ends with status 1 if any of it is an error."""
        if not self.diagnostics:
            return
        from deqc.cli.render import render_text

        click.echo(render_text(self.diagnostics, self.texts, color=_wants_color()).rstrip("\n"), err=True)
        if any(d.severity is Severity.ERROR for d in self.diagnostics):
            raise click.exceptions.Exit(1)


def _wants_color() -> bool:
    """Colour for a person at a terminal who did not decline it (no-color.org)."""
    return sys.stderr.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
