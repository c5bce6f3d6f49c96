"""What a project says of its specs: `deqc.toml`, or `[tool.deqc]` of `pyproject.toml`, whichever is nearest.

Paths are relative to the file; what a command is called with goes before what stands there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from deqc.diagnostics import Problems, Span

FORMATS: Final = ("text", "json", "github", "sarif")
_HEADER: Final = re.compile(r"^\s*\[+\s*tool\s*\.\s*deqc\b", re.MULTILINE)
_DOTTED: Final = re.compile(r"\s*(?:tool\s*\.\s*)?deqc\s*[.=]")
"""The lines of `pyproject.toml` by which deqc's own table begins, as most people write it and as else it may be."""


@dataclass(frozen=True)
class Setting:
    """One setting: its name, what it takes, its default, and what it is for."""

    name: str
    expected: str
    default: Any
    text: str


SETTINGS: Final = (
    Setting("specs", "a list of files, folders and patterns", [], "the specs that commands without arguments read"),
    Setting("output", "a folder inside the project", None, "where modules go; beside their specs if absent"),
    Setting("constants", "a table of numbers, true and false", {}, "constants in place of those that specs declare"),
    Setting("disable", "a list of names", [], "optimisations to leave out"),
    Setting("format", "one of " + ", ".join(FORMATS), "text", "how diagnostics are written"),
)


@dataclass(frozen=True)
class Configuration:
    """The settings in force, the file that they come from, if any, and where in it each constant is set."""

    file: Path | None = None
    values: Mapping[str, Any] = field(default_factory=dict)
    text: str = ""
    places: Mapping[str, Span] = field(default_factory=dict)

    def get(self, name: str) -> Any:
        """The value of a setting."""
        default = next(one.default for one in SETTINGS if one.name == name)
        return self.values.get(name, default)

    @property
    def texts(self) -> dict[str, str]:
        """The text of its file, by the name that diagnostics show."""
        return {} if self.file is None else {str(self.file): self.text}

    @property
    def folder(self) -> Path:
        """Where its paths start."""
        return Path() if self.file is None else self.file.parent

    def specs(self) -> list[str]:
        """The specs and folders it names, patterns written out, in order."""
        import glob

        found: list[str] = []
        for pattern in self.get("specs"):
            matched = [pattern]
            if glob.has_magic(pattern):
                matched = sorted(glob.glob(pattern, root_dir=self.folder, recursive=True))
            found += [os.path.normpath(self.folder / path) for path in matched]
        return found

    def output(self) -> str | None:
        """The folder for modules, with a slash behind it."""
        folder = self.get("output")
        return None if folder is None else f"{self.folder / folder}/"

    def show(self, call: Mapping[str, Any]) -> str:
        """Each setting with its value and where it is from, a line each; what `call` sets goes before the file."""
        lines = []
        for one in SETTINGS:
            value, origin = self.get(one.name), str(self.file) if one.name in self.values else "default"
            if call.get(one.name):
                value, origin = call[one.name], "this call"
                if isinstance(value, dict):
                    value = {**self.get(one.name), **value}
            lines.append(f"{one.name} = {_toml(value)}  # {origin}: {one.text}")
        return "\n".join(lines)


def find(start: Path) -> tuple[Path, str] | None:
    """The nearest file upwards that configures deqc, and its text; `deqc.toml` goes before `pyproject.toml`.

    Raises:
        OSError: a file cannot be read.
    """
    for folder in (start, *start.parents):
        for name in ("deqc.toml", "pyproject.toml"):
            file = folder / name
            if file.is_file():
                text = file.read_text(encoding="utf-8", errors="replace")
                if name == "deqc.toml" or ("deqc" in text and _configures(text)):
                    return file, text
    return None


def _configures(text: str) -> bool:
    """Whether a `pyproject.toml` has a table for deqc; one that cannot be read shall be told of if it seems to."""
    import tomllib

    try:
        tool: Any = tomllib.loads(text).get("tool")
    except (ValueError, RecursionError):
        return _HEADER.search(text) is not None
    return isinstance(tool, dict) and "deqc" in tool


def read(file: Path, text: str, problems: Problems) -> Configuration:
    """The configuration of a file; what is wrong in it is reported."""
    import tomllib

    from deqc.spec.names import did_you_mean

    try:
        document: Any = tomllib.loads(text)
    except tomllib.TOMLDecodeError as fault:
        place = re.search(r"\(at line (\d+), column (\d+)\)", str(fault))
        line, column = (int(place[1]), int(place[2])) if place else (len(text.splitlines()) or 1, 1)
        message = re.sub(r" \(at .*\)$", "", str(fault))
        problems.add("E092", Span(str(file), line, column, line, column + 1), f"{message[:1].lower()}{message[1:]}")
        return Configuration(file)
    except (RecursionError, ValueError) as fault:  # the parser's own limits, told without a place
        message = "nested too deeply" if isinstance(fault, RecursionError) else "a number is too large"
        problems.add("E092", Span(str(file), 1, 1, 1, 2), message)
        return Configuration(file)
    table = document
    for name in ("tool", "deqc") if file.name == "pyproject.toml" else ():
        table = table.get(name, {})
        if not isinstance(table, dict):
            problems.add("E094", _place(file, text, name), f"{name} must be a table, found {_toml(table)}")
            return Configuration(file)
    known = {one.name: one for one in SETTINGS}
    values: dict[str, Any] = {}
    for name, value in table.items():
        if name not in known:
            near = did_you_mean(name, known)
            hint = f"did you mean '{near}'?" if near else f"settings: {', '.join(known)}"
            problems.add("E093", _place(file, text, name), f"there is no setting '{name}'", hint=hint)
        elif not _fits(name, value, file.parent):
            message = f"{name} must be {known[name].expected}, found {_toml(value)}"
            problems.add("E094", _place(file, text, name), message)
        elif name == "disable" and (wrong := unknown_pass(value)):
            problems.add("E094", _place(file, text, name), wrong)
        else:
            values[name] = value
    places = {name: _constant(file, text, name) for name in values.get("constants", ())}
    for name, at in places.items():
        if not isinstance(value := values["constants"][name], (int, float)):
            problems.add("E094", at, f"a constant must be a number, true or false, found {_toml(value)}")
    return Configuration(file, values, text, places)


def unknown_pass(names: Iterable[str]) -> str | None:
    """What to say of the first of these names that is no optimisation; None if each is one."""
    from deqc.compiler import ADJOINT
    from deqc.passes import PIPELINE

    known = [*(step.name for step in PIPELINE), ADJOINT]
    return next((f"no pass '{name}'; there are {', '.join(known)}" for name in names if name not in known), None)


def _fits(name: str, value: Any, folder: Path) -> bool:
    if name in ("specs", "disable"):
        return isinstance(value, list) and all(isinstance(one, str) and one for one in value)
    if name == "constants":
        return isinstance(value, dict)
    if name == "format":
        return value in FORMATS
    return isinstance(value, str) and bool(value) and (folder / value).resolve().is_relative_to(folder.resolve())


def _place(file: Path, text: str, name: str) -> Span:
    """The line that sets `name` (TOML's parser tells no places): the first after deqc's own table begins."""
    lines = text.splitlines()
    first = 0
    if file.name == "pyproject.toml":
        headers, dotted = ([k for k, line in enumerate(lines) if own.match(line)] for own in (_HEADER, _DOTTED))
        first = (headers or dotted or [0])[0]
    before = r"\s*\[*\s*(?:tool\s*\.\s*)?(?:deqc\s*\.\s*)?"
    pattern = re.compile(rf"{before}[\"']?({re.escape(name)})[\"']?\s*[\].=]")
    for number, line in enumerate(lines[first:], first + 1):
        if found := pattern.match(line):
            return Span(str(file), number, found.start(1) + 1, number, found.end(1) + 1)
    return Span(str(file), first + 1, 1, first + 1, 2)


def _constant(file: Path, text: str, name: str) -> Span:
    """Where a constant is set: the first such key in or behind the line of its table."""
    table = _place(file, text, "constants")
    pattern = re.compile(rf"(?:^|[\s{{,.])[\"']?({re.escape(name)})[\"']?\s*=")
    for number, line in enumerate(text.splitlines()[table.line - 1 :], table.line):
        if not line.lstrip().startswith("#") and (found := pattern.search(line)):
            return Span(str(file), number, found.start(1) + 1, number, found.end(1) + 1)
    return table


def _toml(value: Any) -> str:
    """A value as TOML writes it, near enough for a person."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return "none" if value is None else f'"{value}"' if isinstance(value, str) else str(value)
