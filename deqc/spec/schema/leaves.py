"""The smallest pieces of the schema: one value, what it must be, and the words that say so.

Each leaf carries its message as `errorMessage`, which editors show and `deqc.spec.validate` reads: the wording stands
beside the rule. Forms are told apart by `if`/`then`/`else` on the type, never by `oneOf`, so that an error sits at the
leaf.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from deqc.fields import Field, Kind, Variant
from deqc.spec.bounds import alternatives, forms

Schema = dict[str, Any]

EXPRESSION: Final = r"^\$\{"
DIMENSION: Final = r"^[A-Za-z_]\w*$"  # anything like a name: what is wrong with one is told in better words


def leaf(subject: str, expected: str, **keywords: Any) -> Schema:
    """A value with rules of its own."""
    return {**keywords, "errorMessage": f"{subject} must be {expected}"}


def by_type(type_: str, then: Schema, otherwise: Schema) -> Schema:
    """`then` for values of that type, else `otherwise`."""
    return {"if": {"type": type_}, "then": then, "else": otherwise}


def reference(name: str) -> Schema:
    """A definition of the schema."""
    return {"$ref": f"#/$defs/{name}"}


def refused(message: str) -> Schema:
    """What must not stand here at all."""
    return {"not": {}, "errorMessage": message}


def described(schema: Schema, text: str, default: object = None, examples: Iterable[object] = ()) -> Schema:
    """The schema of a property, with the text that an editor shows."""
    extra: Schema = {"description": text}
    if default is not None:
        extra["default"] = default
    if shown := list(examples) or ([default] if default is not None else []):
        extra["examples"] = shown
    return {**extra, **schema}


def field(owner: str, one: Field, computed: bool = True) -> Schema:
    """The schema of a field; `computed` where a number may also be written as an expression."""
    subject = f"{owner}.{one.name}"
    default = None if one.required else one.default
    examples = one.examples or _examples(one)
    return described(_value(subject, one, computed), one.text, default, examples)


def _examples(one: Field) -> tuple[object, ...]:
    if one.default is not None and not one.required:
        return (one.default,)
    least = one.minimum if one.minimum is not None else 1
    return {Kind.INT: (int(least),), Kind.NUMBER: (least,), Kind.BOOL: (True,), Kind.CHOICE: one.choices}.get(
        one.kind, ()
    )


def _value(subject: str, one: Field, computed: bool) -> Schema:
    match one.kind:
        case Kind.INT | Kind.NUMBER | Kind.BOOL:
            single = _number(subject, one, computed)
            if not one.each:
                return single
            length: Schema = {"minItems": one.entries or 1, **({"maxItems": one.entries} if one.entries else {})}
            entries = f"a list of {one.entries or 'one or more'}"
            return by_type("array", leaf(subject, f"one number or {entries}", **length, items=single), single)
        case Kind.CHOICE:
            return leaf(subject, listed(one.choices), enum=[*one.choices, None] if one.nullable else list(one.choices))
        case Kind.WORD:
            return leaf(subject, "a name", type=_types("string", one))
        case Kind.SHAPE:
            return leaf(subject, "a list of sizes", type="array", items=size(f"a size of {subject}", names=True))
        case Kind.COMPUTATION:
            return by_type("null", {}, reference("computation")) if one.nullable else reference("computation")
        case Kind.BRANCHES:
            count = "two or more" if one.branches is None else "two"
            length = {"minItems": 2, **({} if one.branches is None else {"maxItems": one.branches})}
            items = reference("computation")
            return leaf(subject, f"a list of {count} computations", type="array", **length, items=items)
        case Kind.VARIANT:
            return _variants(subject, one)
        case Kind.VALUE:
            return reference("value")


def fielded(
    name: str,
    text: str,
    fields: Iterable[Field],
    principal: str | None,
    elsewhere: Sequence[str] = (),
    rules: Schema | None = None,
) -> Schema:
    """What may follow a name: fields by name, or the principal one.

    Of the required fields, those that `elsewhere` names are left to the further `rules`.
    """
    described_fields = {one.name: field(name, one) for one in fields}
    if not described_fields:
        return described(leaf(name, "written without fields", type="object", maxProperties=0), text, examples=({},))
    named: Schema = {"properties": described_fields, "additionalProperties": False, **(rules or {})}
    needed = [one.name for one in fields if one.required]
    if required := [one for one in needed if one not in elsewhere]:
        named["required"] = required
    if principal is None:
        return described(leaf(name, "written with its fields by name", type="object", **named), text)
    others = [one for one in needed if one != principal]
    missing = f"{name} needs {' and '.join(map(repr, others))} too"
    return described(by_type("object", named, refused(missing) if others else described_fields[principal]), text)


def _variants(subject: str, one: Field) -> Schema:
    """One of several by its name, or `{name: options}`."""
    every = listed(one.variants)
    known = {name: _variant(v) for name, v in one.variants.items()}
    full = leaf(
        subject, f"one of {every}", minProperties=1, maxProperties=1, properties=known, additionalProperties=False
    )
    bare = leaf(subject, every, enum=[*one.variants, None])
    for name, variant in one.variants.items():
        if needed := [option.name for option in variant.fields if option.required]:
            options = ", ".join(f"{option}: …" for option in needed)
            bare = {
                "if": {"const": name},
                "then": refused(f"{name} is written `{{{name}: {{{options}}}}}`"),
                "else": bare,
            }
    return by_type("object", full, bare)


def _variant(variant: Variant) -> Schema:
    """What may follow the variant's name."""
    example = {one.name: (one.examples or _examples(one))[0] for one in variant.fields}
    return {**fielded(variant.name, variant.summary, variant.fields, variant.principal), "examples": [example]}


def _number(subject: str, one: Field, computed: bool) -> Schema:
    kind = {Kind.INT: "integer", Kind.NUMBER: "number", Kind.BOOL: "boolean"}[one.kind]
    words = forms(one) + ["an expression ${…}"] * computed + ["null"] * one.nullable
    expected = alternatives(words)
    rules: Schema = {"type": _types(kind, one)}
    for keyword, value in (
        ("minimum", one.minimum),
        ("exclusiveMinimum", one.exclusive_minimum),
        ("maximum", one.maximum),
        ("exclusiveMaximum", one.exclusive_maximum),
    ):
        if value is not None:
            rules[keyword] = value
    number = leaf(subject, expected, **rules)
    if not computed and not one.choices:
        return number
    patterns = [EXPRESSION] * computed + [f"^{choice}$" for choice in one.choices]
    return by_type("string", leaf(subject, expected, pattern="|".join(patterns)), number)


def _types(kind: str, one: Field) -> object:
    return [kind, "null"] if one.nullable else kind


def size(subject: str, names: bool = False) -> Schema:
    """One size of a shape: a whole number from 1, an expression, or the name of a dimension where there may be one."""
    words = ["a whole number ≥ 1", "an expression ${…}"] + ["the name of a dimension"] * names
    expected, pattern = alternatives(words), f"{EXPRESSION}|{DIMENSION}" if names else EXPRESSION
    return by_type(
        "string", leaf(subject, expected, pattern=pattern), leaf(subject, expected, type="integer", minimum=1)
    )


def listed(words: Iterable[str]) -> str:
    """`'a', 'b' or 'c'`, as text."""
    return alternatives([f"'{word}'" for word in words])
