"""The changes between two canonical documents, each at the smallest place that holds it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from deqc.ops import STEPS
from deqc.spec.short import is_chain, text


@dataclass(frozen=True)
class Change:
    """One change: the section, the place in it, and what stood there before and stands there now; None for nothing."""

    section: str
    place: str
    before: str | None
    after: str | None


def changes(section: str, place: str, before: Any, after: Any) -> Iterator[Change]:
    """The changes between two pieces of canonical documents: of chains by step, of steps by field."""
    if before == after and type(before) is type(after):
        return
    if before is None or after is None:
        yield Change(section, place, None if before is None else text(before), None if after is None else text(after))
    elif isinstance(before, dict) and isinstance(after, dict):
        for key in dict.fromkeys([*before, *after]):
            yield from changes(section, _join(place, key), before.get(key), after.get(key))
    elif is_chain(before) and is_chain(after):
        yield from _chain(section, place, before, after)
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after) and _nested(before, after):
        for index, (old, new) in enumerate(zip(before, after, strict=True)):
            yield from changes(section, _join(place, str(index)), old, new)
    else:
        yield Change(section, place, text(before), text(after))


def _chain(section: str, place: str, before: list[Any], after: list[Any]) -> Iterator[Change]:
    """Steps that came, went, or are the same with other fields."""
    names = [_name(step) for step in before], [_name(step) for step in after]
    seen: dict[str, int] = {}
    for what, i, j, k, m in SequenceMatcher(None, *names, autojunk=False).get_opcodes():
        if what == "equal":
            for old, new in zip(before[i:j], after[k:m], strict=True):
                name = _name(new)
                repeated = seen.get(name, 0)
                seen[name] = repeated + 1
                if isinstance(old, list) and isinstance(new, list):
                    yield from _fields(section, _join(place, f"{name}_{repeated}" if repeated else name), old, new)
        else:
            gone, come = before[i:j], after[k:m]
            yield Change(section, place, text(gone) if gone else None, text(come) if come else None)
            for step in come:
                seen[_name(step)] = seen.get(_name(step), 0) + 1


def _fields(section: str, place: str, before: list[Any], after: list[Any]) -> Iterator[Change]:
    """The fields of one step; computations in the principal one are placed as in the paths of parameters."""
    name, old, new = before[0], before[1], after[1]
    op = STEPS.get(name)
    inner = op.principal if op is not None and op.principal in ("of", "body") else None
    for key in dict.fromkeys([*old, *new]):
        yield from changes(section, place if key == inner else _join(place, key), old.get(key), new.get(key))


def _name(step: Any) -> str:
    return str(step if isinstance(step, str) else step[0])


def _nested(before: list[Any], after: list[Any]) -> bool:
    """Whether two lists hold pieces of their own, and not numbers that read better together."""
    return any(isinstance(one, (list, dict)) for one in [*before, *after])


def _join(place: str, inner: str) -> str:
    return f"{place}.{inner}" if place else inner
