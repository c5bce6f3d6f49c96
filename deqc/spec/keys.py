"""Keys of mappings: each a text, given once, with a value."""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping

from deqc.diagnostics import Problems, Related, Span
from deqc.spec.scalars import resolve
from deqc.spec.tree import Entry, Mapping, Node, Scalar


def check(key: Node, span: Span, alias: bool, entries: MutableMapping[str, Entry], problems: Problems) -> Scalar | None:
    """The key, if an entry can be kept under it; None after a diagnostic."""
    if not isinstance(key, Scalar) or alias:
        hint = 'an expression is written in quotes: "${…}"' if isinstance(key, Mapping) else None
        problems.add("E009", span, "a key is a text, nothing else", hint=hint)
        return None
    name = key.value
    if not isinstance(name, str):
        hint = f"write '{key.text}' in quotes" if key.text else "write a key before the ':'"
        problems.add("E009", span, f"a key is a text, not {key.text or 'nothing'}", hint=hint)
        return None
    if name == "<<":
        hint = "a block with parameters shares what several places have in common"
        problems.add("E011", span, "merge keys '<<' are not part of the language", hint=hint)
        return None
    if name in entries:
        related = [Related(entries[name].key.span, "first given here")]
        problems.add("E010", span, f"the key {name!r} is given twice", related=related)
        return None
    return key


def without_value(
    empty: Iterable[Scalar], entries: MutableMapping[str, Entry], flow: bool, depth: int, problems: Problems
) -> None:
    """Reports keys of which nothing follows, and puts what they probably mean in their stead.

    That stands at the place of the mistake, so that what follows from it is known as such.
    """
    last = next(reversed(list(entries)), None)
    for key in empty:
        problems.add(
            "E013", key.span, f"{key.text!r} has no value", hint=_hint(key.text, flow, depth, key.text == last)
        )
        name, colon, rest = key.text.partition(":")
        if name and colon and rest and key.plain and name not in [entry.name for entry in entries.values()]:
            meant = Scalar(name, name, True, key.span)
            value = Scalar(resolve(rest, key.span, Problems()), rest, True, key.span)
            entries[key.text] = Entry(meant, value)
        else:
            entries[str(key.value)] = Entry(key, Scalar(None, "", True, key.span))


def _hint(key: str, flow: bool, depth: int, last: bool) -> str:
    """The likeliest way to mend a key without a value."""
    name, colon, rest = key.partition(":")
    if name and colon and rest:
        return f"write a space after the colon: `{name}: {rest}`"
    if flow and depth > 0:
        return f"a step without fields is written without braces: `{key}`"
    if depth > 0 and not last:
        return f"indent what belongs to {key!r} further than {key!r} itself"
    return "write a value after the colon, or `null`"
