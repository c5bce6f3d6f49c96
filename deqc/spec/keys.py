"""Keys of mappings: each a text, given once, with a value."""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping
from typing import Final

from deqc.diagnostics import Problems, Related, Span
from deqc.ops import STEPS
from deqc.settings import SECTIONS
from deqc.spec.scalars import resolve
from deqc.spec.tree import Entry, Mapping, Node, Scalar

_NULLABLE: Final = frozenset({"mapping_layers", "post_fuse_layers", "down", "up", "default"})
_OPTIONAL: Final = frozenset(section.name for section in SECTIONS if not section.required)
_FIELDS: Final = frozenset(one.name for op in STEPS.values() for one in op.fields if one.name not in STEPS)
_PARAMS: Final = 3  # how deep the parameters of a block stand: blocks, the block, params


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
    written = list(entries)
    for key in empty:
        hint = _hint(key.text, written, flow, depth)
        problems.add("E013", key.span, f"{key.text!r} has no value", hint=hint)
        name, colon, rest = key.text.partition(":")
        if name and colon and rest and key.plain and name not in [entry.name for entry in entries.values()]:
            meant = Scalar(name, name, True, key.span)
            value = Scalar(resolve(rest, key.span, Problems()), rest, True, key.span)
            entries[key.text] = Entry(meant, value)
        else:
            entries[str(key.value)] = Entry(key, Scalar(None, "", True, key.span))


def _hint(key: str, written: list[str], flow: bool, depth: int) -> str:
    """The likeliest way to mend a key without a value; `written` are all keys of its mapping."""
    op = STEPS.get(key) if depth > 0 else None
    name, colon, rest = key.partition(":")
    if name and colon and rest:
        return f"write a space after the colon: `{name}: {rest}`"
    fields = op is not None and any(one.required for one in op.fields)
    if flow and depth > 0 and not fields and key not in _FIELDS:
        return f"a step without fields is written without braces: `{key}`"
    first = STEPS.get(written[0])
    if op is not None and first is not None and first is not op and key not in [one.name for one in first.fields]:
        return f"two steps in one mapping: write each as an entry of its own, `- {written[0]}: …` and `- {key}`"
    if depth > 0 and key != written[-1]:
        return f"indent what belongs to {key!r} further than {key!r} itself"
    if op is not None and not fields:
        return f"a step without fields is written without a colon: `{key}`"
    if key in _NULLABLE:
        return "write a value after the colon, or `null`"
    if depth == _PARAMS and op is None:
        return "write a value after the colon; a parameter of a block that has to be given is `null`"
    removable = depth == 0 and key in _OPTIONAL
    return "write a value after the colon, or remove the key" if removable else "write a value after the colon"
