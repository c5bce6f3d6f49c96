"""Documents made from the JSON Schema: it is walked, and at each place something that it allows is drawn."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import strategies as st

from deqc.spec.schema import schema
from deqc.spec.schema.leaves import DIMENSION, EXPRESSION

Schema = dict[str, Any]
Draw = Any

ROOT = schema()
DEEPEST = 6  # computations within computations; then a step of one word ends it
# Few names, so that what one place defines others read, and mostly one size, so that shapes fit now and then.
NAMES: Mapping[str, Sequence[str]] = {
    "constants": ("width", "p"),
    "input": ("x", "mask"),
    "parameters": ("W", "b"),
    "modules": ("net",),
    "blocks": ("gate", "cell"),
    "encoder": ("h", "g"),
    "params": ("out", "n", "v"),
    "head": ("logits", "state"),
}
BASES: Sequence[Schema] = [
    {"deqc": 1, "name": "Model", **sections}
    for shape in ([4], [4, 4], [4, 4, 4])
    for sections in (
        {"input": {"x": shape}, "scale": shape, "main_layers": [{"sum": ["$x", "tanh"]}]},
        {"input": {"x": shape}, "scales": [shape, shape], "main_layers": {"each": [{"sum": ["$x", "tanh"]}]}},
        {
            "constants": {"width": 4},
            "input": {"x": shape, "mask": {"shape": [4], "dtype": "int64"}},
            "parameters": {"W": [4, 4], "b": []},
            "modules": {"net": "same"},
            "blocks": {"gate": ["sigmoid"], "cell": {"params": {"out": 4, "v": {"type": "value"}}, "body": ["tanh"]}},
            "encoder": {"h": ["$x", "tanh"]},
            "scale": shape,
            "main_layers": [{"sum": ["$h", "tanh"]}],
        },
    )
]
ANY = ("gate", "cell", "net", "out", "n", "v", "kept", "linaer")
REFERENCES = ("$x", "$x", "$h", "$z", "$W", "$b", "$v", "$kept", "$z.0", "$z.1", "$mask")
EXPRESSIONS = ("${2 * 2}", "${in.features}", "${in.channels}", "${width}", "${out}", "${4 if n > 1 else 8}")
PATTERNS = {EXPRESSION: EXPRESSIONS, DIMENSION: ("L", "H")}
SIZES = (4, 4, 4, 4, 1, 2, 3, 8, 16)
NUMBERS = (0.5, 1.0, 1, 0, 0.1, -1, 1e-3, 30)


@st.composite
def documents(draw: Draw) -> Any:
    """A spec that the schema allows, drawn as a whole or in some sections; names and shapes fit by chance."""
    if _chance(draw, 4):
        return _value(draw, ROOT, ("",), 0)
    document = copy.deepcopy(draw(st.sampled_from(BASES)))
    rule = _both(ROOT, ROOT["then" if "scales" in document else "else"])["properties"]
    free = [name for name in rule if name not in ("deqc", "name", "scale", "scales")]
    for name in draw(st.lists(st.sampled_from(free), min_size=1, max_size=3, unique=True)):
        document[name] = _value(draw, rule[name], ("", name), 0)
    return document


@st.composite
def computations(draw: Draw) -> Any:
    """A computation of a few steps."""
    return _value(draw, _reference("computation"), ("main_layers",), DEEPEST - 3)


def _chance(draw: Draw, one_in: int) -> bool:
    """True once in so many draws."""
    return bool(draw(st.integers(1, one_in)) == one_in)


def _reference(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _value(draw: Draw, one: Schema, path: tuple[str, ...], depth: int) -> Any:
    if "$ref" in one:
        name = one["$ref"].rpartition("/")[2]
        inner = depth + (name in ("computation", "value"))
        if inner > DEEPEST:
            return draw(st.sampled_from(("tanh", "identity", *REFERENCES)))
        rest = {key: value for key, value in one.items() if key not in ("$ref", "default", "examples")}
        return _value(draw, _both(ROOT["$defs"][name], rest), path, inner)
    if "if" in one:
        return _value(draw, _branch(draw, one), path, depth)
    if "const" in one:
        return one["const"]
    if "enum" in one:
        return draw(st.sampled_from(one["enum"]))
    kind = one.get("type") or _kind(one)
    if isinstance(kind, list):
        kind = draw(st.sampled_from(kind))
    match kind:
        case "object":
            return _object(draw, one, path, depth)
        case "array":
            least = one.get("minItems", 0)
            most = min(one.get("maxItems", 3), max(3, least))
            count = draw(st.integers(least, most))
            return [_value(draw, one.get("items", {}), (*path, str(index)), depth) for index in range(count)]
        case "string":
            return draw(st.sampled_from(_words(one, path)))
        case "integer":
            least = one.get("minimum", -2)
            return draw(st.sampled_from([n for n in SIZES if least <= n <= one.get("maximum", n)]))
        case "number":
            return draw(st.sampled_from(NUMBERS))
        case "boolean":
            return draw(st.booleans())
        case "null":
            return None
        case _:
            return draw(st.sampled_from((*REFERENCES, *EXPRESSIONS, *SIZES, *NUMBERS, "tanh", None, True)))


def _branch(draw: Draw, one: Schema) -> Schema:
    """The schema without its condition: as it is where the condition holds, or where it does not."""
    rest = {key: value for key, value in one.items() if key not in ("if", "then", "else")}
    holds, fails = one.get("then", {}), one.get("else", {})
    refused = [branch.get("not") == {} for branch in (holds, fails)]
    if refused[0] or (not refused[1] and not _chance(draw, _rarity(holds))):
        return _both(rest, fails)
    return _both(_both(rest, one["if"]), holds)


def _rarity(holds: Schema) -> int:
    """How seldom a branch is taken: an expression, whose names must be known, in one of eight, any other in two."""
    return 8 if holds.get("pattern", "").startswith(EXPRESSION) else 2


def _both(first: Schema, second: Schema) -> Schema:
    """What both allow, as far as the keywords of this schema need it; the second has the last word."""
    found = {**first, **second}
    for key in ("properties",):
        if key in first and key in second:
            names = {**first[key], **second[key]}
            found[key] = {
                name: _both(first[key].get(name, {}), second[key][name]) if name in second[key] else first[key][name]
                for name in names
            }
    if "required" in first and "required" in second:
        found["required"] = [*dict.fromkeys((*first["required"], *second["required"]))]
    return found


def _kind(one: Schema) -> str | None:
    """The type of a value whose rules speak of one."""
    if one.keys() & {"properties", "additionalProperties", "minProperties"}:
        return "object"
    return "array" if "items" in one else "string" if "pattern" in one else None


def _object(draw: Draw, one: Schema, path: tuple[str, ...], depth: int) -> dict[str, Any]:
    known = {name: rule for name, rule in one.get("properties", {}).items() if rule.get("not") != {}}
    others = one.get("additionalProperties", {})
    free = NAMES.get(path[-1], ANY) if isinstance(others, dict) else ()
    if "maxProperties" in one:
        names = [draw(st.sampled_from((*known, *free[:1])))] if one["maxProperties"] and (known or free) else []
    else:
        required = one.get("required", [])
        names = [n for n in known if n in required or _chance(draw, 4)]
        if isinstance(others, dict) and not known:
            least = one.get("minProperties", 0)
            names += draw(st.lists(st.sampled_from(free), min_size=least, max_size=len(free), unique=True))
    return {name: _value(draw, known.get(name) or others, (*path, name), depth) for name in names}


def _words(one: Schema, path: tuple[str, ...]) -> Sequence[str]:
    if "pattern" in one:
        found = [word for pattern, words in PATTERNS.items() if pattern in one["pattern"] for word in words]
        return found or [one["pattern"].strip("^$")]
    shown = [example for example in one.get("examples", ()) if isinstance(example, str)]
    if "a step" in one.get("errorMessage", ""):
        return (
            shown if path[-1].isdecimal() and path[-1] != "0" else [*shown, *REFERENCES, *REFERENCES, *ANY]
        )  # values are read first
    return [*shown, "Model", "kept", "k", "zeros", "step"]
