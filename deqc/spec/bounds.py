"""Whether a number may be the value of a field: the same rules for literals, and for what expressions come to."""

from __future__ import annotations

from deqc.diagnostics import Problems, Span
from deqc.fields import Field, Kind
from deqc.spec.model import Number


def conform(owner: str, field: Field, value: Number, span: Span, problems: Problems) -> Number | None:
    """The value as the field holds it (a `NUMBER` is a float); None after a diagnostic."""
    if not _of_kind(field.kind, value):
        whole = field.kind is Kind.INT and isinstance(value, float) and value.is_integer()
        hint = "write it without a point; in an expression `//` divides to a whole number" if whole else None
        problems.add("E022", span, f"{owner}.{field.name} must be {expected(field)}, found {shown(value)}", hint=hint)
        return None
    if isinstance(value, bool):
        return value
    too_small = field.minimum is not None and value < field.minimum
    too_small |= field.exclusive_minimum is not None and value <= field.exclusive_minimum
    too_large = field.maximum is not None and value > field.maximum
    too_large |= field.exclusive_maximum is not None and value >= field.exclusive_maximum
    if too_small or too_large:
        problems.add("E023", span, f"{owner}.{field.name} must be {expected(field)}, found {shown(value)}")
        return None
    return float(value) if field.kind is Kind.NUMBER else value


def expected(field: Field) -> str:
    """What the field takes, in words: `a whole number ≥ 1`."""
    return alternatives(forms(field))


def forms(field: Field) -> list[str]:
    """The ways in which the field's value may be written as a literal, in words."""
    choices = [f"'{choice}'" for choice in field.choices]
    if field.kind is Kind.BOOL:
        return ["true", "false", *choices]
    word = "a whole number" if field.kind is Kind.INT else "a number"
    return [f"{word} {_bounds(field)}".rstrip(), *choices]


def alternatives(words: list[str]) -> str:
    """`a, b or c`."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _bounds(field: Field) -> str:
    if field.minimum is not None and field.maximum is not None:
        return f"from {_plain(field.minimum)} to {_plain(field.maximum)}"
    bounds = (
        ("≥", field.minimum),
        (">", field.exclusive_minimum),
        ("≤", field.maximum),
        ("<", field.exclusive_maximum),
    )
    return " and ".join(f"{sign} {_plain(bound)}" for sign, bound in bounds if bound is not None)


def shown(value: Number) -> str:
    """The number as a spec writes it."""
    return str(value).lower() if isinstance(value, bool) else repr(value)


def _of_kind(kind: Kind, value: Number) -> bool:
    if kind is Kind.BOOL:
        return isinstance(value, bool)
    return not isinstance(value, bool) and (kind is Kind.NUMBER or isinstance(value, int))


def _plain(bound: float) -> str:
    return str(bound) if isinstance(bound, int) else f"{bound:g}"
