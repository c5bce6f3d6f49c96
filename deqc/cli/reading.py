"""Reads the specs that a command was given, and reports what is wrong with them."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import click

from deqc import sources
from deqc.cli import configuration
from deqc.cli.configuration import Configuration
from deqc.cli.faults import FileFault
from deqc.diagnostics import Diagnostic, Problems, Severity, SpecError

_KEY = re.compile(rb"^(?:\xef\xbb\xbf)?[\"']?deqc[\"']?\s*:", re.MULTILINE)


@dataclass
class Report:
    """The specs that a command read, and what it found in them."""

    form: str = "text"
    quiet: bool = False
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
    def collecting(self, traced: Callable[[Iterable[Diagnostic]], Iterable[Diagnostic]] = iter) -> Iterator[None]:
        """Keeps the diagnostics of a spec that is wrong, as `traced` has them, so that the next one has its turn."""
        try:
            yield
        except SpecError as fault:
            self.diagnostics.extend(traced(fault.diagnostics))

    @property
    def failed(self) -> bool:
        """Whether anything found is an error."""
        return any(d.severity is Severity.ERROR for d in self.diagnostics)

    def show(self) -> None:
        """Prints all that was found: for people to stderr, for programs to stdout, where there is always a document."""
        found = [d for d in self.diagnostics if not self.quiet or d.severity is Severity.ERROR]
        if self.form == "text":
            if found:
                from deqc.cli.render import render_text

                color = wants_color(sys.stderr)
                click.echo(render_text(found, self.texts, color=color).rstrip("\n"), err=True, color=color)
            return
        if self.form == "json":
            from deqc.cli.render import render_json as render
        elif self.form == "github":
            from deqc.cli.github import render_github as render
        else:
            from deqc.cli.sarif import render_sarif as render
        click.echo(render(found).encode("utf-8"), nl=False)

    def finish(self) -> None:
        """Prints all that was found; ends with status 1 if any of it is an error."""
        self.show()
        if self.failed:
            raise click.exceptions.Exit(1)


def configured(config: str | None, form: str | None = None) -> Configuration:
    """The project's configuration; ends with status 1 where it is wrong, which is told in the format asked for."""
    try:
        if config is not None:
            found: tuple[Path, str] | None = (Path(config), Path(config).read_text("utf-8", errors="replace"))
        else:
            found = configuration.find(Path.cwd())
    except OSError as fault:
        raise FileFault(config or os.fspath(fault.filename), fault) from None
    if found is None:
        return Configuration()
    problems = Problems()
    file = Path(os.path.relpath(found[0]))
    read = configuration.read(file, found[1], problems)
    if problems.errors:
        Report(form or "text", texts={str(file): found[1]}, diagnostics=list(problems.sorted())).finish()
    return read


def specs_of(paths: Iterable[str], settings: Configuration, only_specs: bool = False) -> list[str]:
    """The specs that a command was called with, folders looked into; those of the configuration where it was not.

    Raises:
        click.UsageError: there is none.
    """
    given = list(paths) or settings.specs()
    if not given:
        if settings.get("specs"):
            raise click.UsageError(f"`specs` of {settings.file} matches no file: {', '.join(settings.get('specs'))}")
        raise click.UsageError("name a spec, or `specs` in deqc.toml or [tool.deqc] of pyproject.toml")
    found: dict[str, None] = {}
    for path in given:
        if path != "-" and os.path.isdir(path):
            inside = _inside(path)
            if not inside and not only_specs:
                raise click.UsageError(f"no spec in the folder '{path}': none of its YAML files has a `deqc:` key")
            found |= dict.fromkeys(inside)
        elif path == "-" or not only_specs or is_spec(path):
            found[path] = None
    return list(found)


def _inside(folder: str) -> list[str]:
    """The specs below a folder, hidden folders left out, in order."""
    found = []
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(one for one in folders if not one.startswith("."))
        paths = (os.path.join(place, file) for file in sorted(files) if file.endswith((".yaml", ".yml")))
        found += [path for path in paths if is_spec(path)]
    return found


def is_spec(path: str) -> bool:
    """Whether a YAML file says that it is a spec: it has a key `deqc` at its left margin."""
    try:
        with open(path, "rb") as file:
            return _KEY.search(file.read(sources.MAX_BYTES)) is not None
    except OSError as fault:
        raise FileFault(path, fault) from None


def wants_color(stream: object) -> bool:
    """Colour for a person at a terminal who did not decline it (no-color.org), or for who forces it."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return bool(getattr(stream, "isatty", lambda: False)()) and os.environ.get("TERM") != "dumb"
