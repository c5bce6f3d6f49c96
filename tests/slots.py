"""The places of a spec where a string may stand, by the published JSON Schema: values, and keys of mappings."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from jsonschema import Draft202012Validator

from deqc.spec.schema import schema

SCHEMA = schema()
_BELOW = {"properties", "additionalProperties", "items"}
Path = tuple[Any, ...]


@dataclass(frozen=True)
class Place:
    """A value of a document, or the key of one, and where the schema describes it."""

    path: Path
    is_key: bool
    slot: str


@dataclass(frozen=True)
class _Node:
    pointer: str
    schema: dict[str, Any]

    def under(self, *keys: str) -> _Node:
        found = self.schema
        for key in keys:
            found = found[key]
        return _Node("/".join((self.pointer, *keys)), found)


_ROOT = _Node("#", SCHEMA)


def slots() -> set[str]:
    """Every slot of the schema."""
    found: set[str] = set()
    todo, seen = [_ROOT], {"#"}
    while todo:
        node = todo.pop()
        found |= {one.pointer for one in _for_value(node, "")}
        below = []
        for part in _parts(node):
            if _takes(part, {}):
                found |= {f"{part.pointer} (key)"} if _properties(part) else set()
                below += _properties(part)
            if "items" in part.schema and _takes(part, []):
                below.append(part.under("items"))
        todo += [one for one in below if one.pointer not in seen]
        seen |= {one.pointer for one in below}
    return found


def places(document: Any) -> Iterator[Place]:
    """Where strings may stand in this document."""
    yield from _places([_ROOT], document, ())


def _places(nodes: list[_Node], value: Any, path: Path) -> Iterator[Place]:
    for node in nodes:
        yield from (Place(path, False, one.pointer) for one in _for_value(node, ""))
    parts = [part for node in nodes for part in _for_value(node, value)]
    if isinstance(value, dict):
        for key, one in value.items():
            yield from (Place((*path, key), True, f"{part.pointer} (key)") for part in parts if _properties(part))
            below = [part.under("properties", key) for part in parts if key in part.schema.get("properties", {})]
            others = [part for part in parts if isinstance(part.schema.get("additionalProperties"), dict)]
            yield from _places(below or [o.under("additionalProperties") for o in others], one, (*path, key))
    elif isinstance(value, list):
        for index, one in enumerate(value):
            yield from _places([p.under("items") for p in parts if "items" in p.schema], one, (*path, index))


def _properties(node: _Node) -> list[_Node]:
    found = [node.under("properties", key) for key in node.schema.get("properties", {})]
    if isinstance(node.schema.get("additionalProperties"), dict):
        found.append(node.under("additionalProperties"))
    return found


def _parts(node: _Node) -> Iterator[_Node]:
    """The schemas of all branches, references followed."""
    if "$ref" in node.schema:
        yield from _parts(_referred(node))
        return
    yield node
    for branch in ("then", "else"):
        if branch in node.schema:
            yield from _parts(node.under(branch))


def _for_value(node: _Node, value: Any) -> Iterator[_Node]:
    """Those of the schemas that such a value has to obey; none where no such value may stand."""
    if "$ref" in node.schema:
        yield from _for_value(_referred(node), value)
    elif _takes(node, value):
        if "if" not in node.schema or _BELOW & node.schema.keys():
            yield node
        branch = "then" if _obeys(node.schema.get("if", {}), value) else "else"
        if branch in node.schema:
            yield from _for_value(node.under(branch), value)


def _takes(node: _Node, value: Any) -> bool:
    """Whether the schema itself, without its branches, may take a value of this kind."""
    choices = node.schema.get("enum", [node.schema.get("const", value)])
    own: dict[str, Any] = {key: node.schema[key] for key in ("type", "not") if key in node.schema}
    return any(isinstance(one, type(value)) for one in choices) and _obeys(own, value)


def _obeys(part: dict[str, Any], value: Any) -> bool:
    return not part or _validator(json.dumps(part)).is_valid(value)


@functools.cache
def _validator(part: str) -> Draft202012Validator:
    return Draft202012Validator(json.loads(part))


def _referred(node: _Node) -> _Node:
    pointer = node.schema["$ref"]
    found = SCHEMA
    for key in pointer.removeprefix("#/").split("/"):
        found = found[key]
    return _Node(pointer, found)
