"""Every place of the schema where a field may stand, and the values that its rule names or lets be guessed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from deqc.spec.schema import schema

Schema = dict[str, Any]
ROOT = schema()
STARTS = {"": ROOT, "step": ROOT["$defs"]["step"], "argument": ROOT["$defs"]["argument"]}
NUMBERS = (2, 3, 4, 1, 0, -1, 8, 0.25, 0.75, 1e-7)


def places() -> dict[str, list[Schema]]:
    """The rules of each field by its path; `*` is a name that the user chooses, a definition stands for itself.

    The variants of one of several are values of its field, and steps are those of a chain.
    """
    found: dict[str, list[Schema]] = {}
    for start, rule in STARTS.items():
        for path, one in _within(rule, (start,) if start else ()):
            if path not in ((), ("step",)):
                found.setdefault(".".join(path), []).append(one)
    return found


def _within(rule: Schema, path: tuple[str, ...], member: bool = False) -> Iterator[tuple[tuple[str, ...], Schema]]:
    if rule.get("not") == {}:
        return
    if not member:
        yield path, rule
    for key in ("then", "else", "items"):
        if key in rule:
            yield from _within(rule[key], path, member)
    for name, one in rule.get("properties", {}).items():
        yield from _within(one, (*path, name), rule.get("maxProperties") == 1)
    if isinstance(others := rule.get("additionalProperties"), dict):
        yield from _within(others, (*path, "*"))


def members(rules: list[Schema]) -> list[object]:
    """The values that the rules name one by one: words, both truth values, the variants of one of several."""
    found: list[object] = []
    for rule in rules:
        if "properties" in rule and rule.get("maxProperties") == 1:
            return [_shortest(name, one) for name, one in rule["properties"].items()]
        found += [one for one in rule.get("enum", ()) if one is not None]
        found += [rule["const"]] if "const" in rule else []
        found += [True, False] if "boolean" in _types(rule) and "number" not in _types(rule) else []
    return [*dict.fromkeys(found)]


def _shortest(name: str, rule: Schema) -> object:
    """A variant with what it requires."""
    return {name: next(iter(rule.get("examples", ())), {})}


def guesses(rules: list[Schema]) -> list[object]:
    """Values of the kinds that the rules speak of; whether one is right is for deqc to say."""
    found: list[object] = []
    for rule in rules:
        for kind in _types(rule):
            if kind in ("integer", "number"):
                found += [n for n in NUMBERS if kind == "number" or isinstance(n, int)]
        found += [word.strip("^$") for word in rule.get("pattern", "").split("|") if re.fullmatch(r"\^\w+\$", word)]
        if "string" in _types(rule) and not rule.keys() & {"pattern", "enum", "const"}:
            found += ["first", "second"]
        if rule.get("type") == "array" or "items" in rule:
            found += [[n] * rule["maxItems"] for n in (2, 1, 3) if rule.get("maxItems")]
            found += [[2, 4], [4, 2], [8, 1], [8, 8, 1], ["tanh", "sin"], ["tanh", "cos"], ["tanh", "sin", "cos"]]
        if "$ref" in rule:
            found += ["tanh", ["tanh", "sin"], "$x"]
    return found


def _types(rule: Schema) -> list[str]:
    kinds = rule.get("type", [])
    return kinds if isinstance(kinds, list) else [kinds]
