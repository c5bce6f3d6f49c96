"""Settings of the solver that stand in no spec: who runs a model may choose others, and the rest stays."""

from __future__ import annotations

from collections.abc import Mapping as Map
from collections.abc import Set
from dataclasses import replace

from deqc.diagnostics import Problems, Span
from deqc.solvers import SOLVERS, Description, Iteration
from deqc.spec.scalars import resolve
from deqc.spec.tree import Entry, Mapping, Scalar


def _own(method: Description | None) -> frozenset[str]:
    """The options that are the method's own."""
    linear = {"linear_solver"} if isinstance(method, Iteration) and method.linear else set()
    return frozenset(linear | {field.name for field in method.fields} if method is not None else ())


_OWN = frozenset[str]().union(*map(_own, SOLVERS.values()))


def named(text: str, file: str, column: int, problems: Problems) -> Mapping | None:
    """The settings that `anderson:history=8` stands for, each at its place in a file of one line.

    None where it is not a method followed by options of that form; a value that is refused is reported.
    """
    entries: list[Entry] = []
    for index, part in enumerate(text.split(":")):
        place = Span(file, 1, column, 1, column + len(part))
        name, equals, value = part.partition("=") if index else ("method", "=", part)
        if not (name and equals and value) or any(entry.name == name for entry in entries):
            return None
        behind = replace(place, column=place.end_column - len(value))
        key = replace(place, end_column=column + len(name)) if index else place
        entries.append(Entry(_word(name, key), Scalar(resolve(value, behind, problems), value, True, behind)))
        column = place.end_column + 1
    return Mapping(tuple(entries), Span(file, 1, entries[0].value.span.column, 1, column - 1))


def with_settings(settings: Mapping, more: Map[str, str | bool]) -> Mapping:
    """The same and further ones, which stand at no place of their own."""
    at = replace(settings.span, end_column=settings.span.column)
    entries = (Entry(_word(name, at), Scalar(value, str(value), True, at)) for name, value in more.items())
    return replace(settings, entries=(*settings.entries, *entries))


def with_solver(root: Mapping, settings: Mapping) -> Mapping:
    """The document with these settings of the solver before its own.

    Where they name a method, the document's options of another method go; what all methods share stays, but for the
    states to be recorded, which are those of the document's own steps.
    """
    section = root.entry("solver")
    if section is None:
        return replace(root, entries=(*root.entries, Entry(_word("solver", settings.span), settings)))
    own = section.value
    if not isinstance(own, Mapping):
        own = Mapping((Entry(_word("method", own.span), own),), own.span)
    chosen = settings.get("method")
    method = SOLVERS.get(str(chosen.value)) if isinstance(chosen, Scalar) else None
    gone = {entry.name for entry in settings}
    if chosen is not None or "max_steps" in gone:
        gone.add("record")
    if chosen is not None:
        gone |= _OWN - _own(method)
    kept = tuple(one for one in (_without(entry, gone) for entry in own) if one is not None)
    merged = replace(own, entries=(*kept, *settings.entries))
    entries = tuple(replace(entry, value=merged) if entry is section else entry for entry in root)
    return replace(root, entries=entries)


def _without(entry: Entry, gone: Set[str]) -> Entry | None:
    """The setting, unless it is gone; of those for eval mode what is left, which is not nothing."""
    if entry.name in gone:
        return None
    if entry.name != "eval" or not isinstance(entry.value, Mapping):
        return entry
    left = tuple(one for one in entry.value if one.name not in gone)
    return replace(entry, value=replace(entry.value, entries=left)) if left or not entry.value.entries else None


def _word(text: str, span: Span) -> Scalar:
    return Scalar(text, text, True, span)
