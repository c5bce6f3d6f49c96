"""Keys of mappings: each a text, given once, with a value."""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping
from typing import Final

from deqc.diagnostics import Problems, Related, Span
from deqc.ops import STEPS
from deqc.settings import SECTIONS
from deqc.spec.places import example
from deqc.spec.scalars import resolve
from deqc.spec.tree import Entry, Mapping, Node, Scalar, Sequence

_NULLABLE: Final = frozenset({"mapping_layers", "post_fuse_layers", "down", "up", "default"})
_OPTIONAL: Final = frozenset(section.name for section in SECTIONS if not section.required)
_FIELDS: Final = frozenset(one.name for op in STEPS.values() for one in op.fields if one.name not in STEPS)
_PARAMS: Final = 3  # how deep the parameters of a block stand: blocks, the block, params


def check(key: Node, span: Span, alias: bool, entries: MutableMapping[str, Entry], problems: Problems) -> Scalar | None:
    """The key, if an entry can be kept under it; None after a diagnostic."""
    if not isinstance(key, Scalar) or alias:
        hint = None
        if isinstance(key, Mapping):
            read = key.entries[0].name if len(key.entries) == 1 else "…"
            hint = f'an expression is written in quotes: "${{{read}}}"'
        problems.add("E009", span, "a key is a text, nothing else", hint=hint)
        return None
    name = key.value
    if not isinstance(name, str):
        hint = f'write "{key.text}", with the quotes' if key.text else "write a key before the ':'"
        if isinstance(name, (int, float)) and not isinstance(name, bool):
            hint = "keys are words; where a list is meant, write each entry after a dash: `- …`"
            if entries and _in_thousands(entries, key):
                hint = "a number is written without ',' inside"
        problems.add("E009", span, f"a key is a text, not {key.text or 'nothing'}", hint=hint)
        return None
    if name == "<<":
        hint = "a block with parameters shares what several places have in common"
        problems.add("E011", span, "merge keys '<<' are not part of the language", hint=hint)
        return None
    if name in entries:
        related = [Related(entries[name].key.span, "first given here")]
        steps = "two steps are two entries of a list, each in a mapping of its own" if name in STEPS else None
        problems.add("E010", span, f"the key {name!r} is given twice", hint=steps, related=related)
        return None
    return key


def _in_thousands(entries: MutableMapping[str, Entry], key: Scalar) -> bool:
    """Whether the key is what a comma has cut off the number before it: `out: 1,024`."""
    before = list(entries.values())[-1].value
    end, start = (before.span.end_line, before.span.end_column), (key.span.line, key.span.column - 1)
    return isinstance(before, Scalar) and type(before.value) is int and key.text.isdigit() and end == start


def list_in_braces(items: list[Node], span: Span, problems: Problems) -> Sequence | None:
    """The list that was meant by braces in which nothing has a value; None where they may mean something else."""
    first = items[0] if len(items) == 1 else None
    if not items or isinstance(first, Mapping) or (isinstance(first, Scalar) and isinstance(first.value, str)):
        return None  # `{tanh}` is a step, and `{{width}}` an expression
    if any(isinstance(one, Scalar) and one.plain and ":" in one.text for one in items):
        return None  # `{linear:3, bias:false}` lacks spaces
    texts = [one.text if isinstance(one, Scalar) else "…" for one in items]
    written = ", ".join(texts if len(texts) <= 4 else [*texts[:3], "…"])
    problems.add(
        "E013", span, "braces hold names with values, and nothing here has a value", hint=f"write a list: `[{written}]`"
    )
    return Sequence(tuple(items), span)


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
        name, colon, rest = _parted(key.text)
        if name and colon and rest and key.plain and name not in [entry.name for entry in entries.values()]:
            meant = Scalar(name, name, True, key.span)
            value = Scalar(resolve(rest, key.span, Problems()), rest, True, key.span)
            entries[key.text] = Entry(meant, value)
        else:
            entries[str(key.value)] = Entry(key, Scalar(None, "", True, key.span))


def _parted(key: str) -> tuple[str, str, str]:
    """A key that holds its value, too: before the colon, the colon (also a full-width one), behind it."""
    name, colon, rest = key.replace("\uff1a", ":").partition(":")
    return name, colon, rest.strip()


def _hint(key: str, written: list[str], flow: bool, depth: int) -> str:
    """The likeliest way to mend a key without a value; `written` are all keys of its mapping."""
    op = STEPS.get(key) if depth > 0 else None
    name, colon, rest = _parted(key)
    if name and colon and rest:
        return f"write a space after the colon: `{name}: {rest}`"
    fields = op is not None and any(one.required for one in op.fields)
    if flow and depth > 0 and not fields and key not in _FIELDS:
        if op is not None or not key.isidentifier():
            return f"a step without fields is written without braces: `{key}`"
        return f'a step without fields is written without braces: `{key}`; a number is read as "${{{key}}}"'
    if flow and fields and op is not None and len(written) == 1:
        return f"write its fields: `{example(key, [one.name for one in op.fields if one.required])}`"
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
