"""Misspelt sections of a spec, read as the sections that were meant.

So a misspelt `encoder` is told of once, not again at each value that it names, and the mistakes in it are found.
"""

from __future__ import annotations

from dataclasses import replace

from deqc.diagnostics import Problems
from deqc.settings import SECTIONS, planned
from deqc.spec.names import did_you_mean
from deqc.spec.tree import Entry, Mapping, Sequence

_NAMES = tuple(section.name for section in SECTIONS)
_STATE = frozenset({"scale", "scales"})  # one of them decides how the others are read


def _sections_in(entry: Entry) -> tuple[Entry, ...]:
    """The sections of the language that are written as the fields of another one; empty if these are something else."""
    inside = entry.value.entries if isinstance(entry.value, Mapping) else ()
    return inside if len(inside) > 1 and all(one.name in _NAMES for one in inside) else ()


def sections_as_meant(root: Mapping, problems: Problems) -> Mapping:
    """The document, each section that is nearly one of the language's under that name; every one is reported."""
    written = {entry.name for entry in root}
    entries: list[Entry] = []
    for entry in root:
        taken = written | _STATE if written & _STATE else written
        free = [name for name in _NAMES if name not in taken]
        known = entry.name in _NAMES or planned("section", entry.name)
        if not known and (inside := _sections_in(entry)):
            hint = f"sections stand at the start of a line: remove `{entry.name}:` and indent them less"
            problems.add("E020", entry.key.span, f"a spec has no section '{entry.name}'", hint=hint)
            entries.extend(one for one in inside if one.name not in written)
            written.update(one.name for one in inside)
            continue
        near = None if known else did_you_mean(entry.name, free)
        if near in _STATE:  # the two are spelt alike: what is written under it decides
            nested = isinstance(entry.value, Sequence) and any(isinstance(one, Sequence) for one in entry.value.items)
            near = "scales" if nested else "scale"
        if near is not None:
            message = f"a spec has no section '{entry.name}'"
            problems.add("E020", entry.key.span, message, hint=f"did you mean '{near}'?")
            written.add(near)
            entry = Entry(replace(entry.key, value=near), entry.value)
        entries.append(entry)
    return replace(root, entries=tuple(entries))
