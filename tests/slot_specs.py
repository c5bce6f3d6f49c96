"""Valid specs that together have every place where the schema lets a string stand."""

from __future__ import annotations

import functools
import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tables
import yaml
from jsonschema import Draft202012Validator

import deqc
from deqc.diagnostics import Severity
from deqc.fields import Field, Kind, Variant
from deqc.ops import STEPS
from deqc.ops.base import HEAD, Op
from tests import slots
from tests.every_field.contexts import settings

ROOT = Path(__file__).resolve().parents[1]
FILES = [*sorted((ROOT / "examples/specs").glob("*.yaml")), *sorted((ROOT / "tests/target_specs").glob("*.yaml"))]
# ruff: noqa: E501 - flow mappings read best on one line
# What no step and no setting has, and no example.
MORE = """
{kind: deq, constants: {width: 4}, input: {x: {shape: ["${width}", N], dtype: float, layout: dense, batch: true}, y: ["${width}", N]},
 scale: ["${width}", N], main_layers: [{sum: [$x, $y, {times: 0.1}]}]}
---
{input: {x: [4]}, scales: [[4], [4]], main_layers: {each: {linear: 4}}, post_fuse_layers: {each: tanh}, init: {each: [$x]},
 mapping_layers: {same: identity, down: {linear: 4}, up: [{linear: 4}, tanh]}}
---
{input: {x: [4]}, scales: [[4], [4]], main_layers: [tanh, [{linear: 4}]], post_fuse_layers: [null, tanh], init: [null, $x],
 mapping_layers: [[identity, null], [[tanh], null]]}
---
{input: {x: [4]}, scales: [[4]], main_layers: [{linear: 4}], init: step}
---
{input: {x: [4]}, scale: [4], main_layers: [{linear: 4}, tanh], init: step}
---
{input: {x: [4]}, scale: [4], main_layers: tanh, head: tanh, init: [zeros], encoder: {e: tanh}}
---
{input: {x: [4]}, scale: [4], blocks: {own: [{linear: 4}], other: {body: tanh}, third: tanh,
  fourth: {params: {out: null, more: {type: value, default: null, description: more}, some: {type: number, default: 0.5},
           width: {type: int}, flag: {type: bool, default: true}}, body: [{linear: "${out}"}, {sum: [identity, $more]}, {times: "${some}"}]}},
 main_layers: [own, other, third, {fourth: {out: 4, more: [$x, {linear: 4}], width: 3}}, {linear: 4}],
 head: {a: tanh, b: [{linear: 3}]}}
---
{input: {x: [4]}, scale: [4], modules: {cell: same, other: {out: [4], deterministic: true}, third: {out: same, args: [[4]]}},
 main_layers: [{cell: [$z]}, {other: {args: [$z]}}, {sum: [identity, $x]}]}
---
{input: {x: [4]}, scale: [4], modules: {cell: same, other: [4]}, main_layers: [cell, other]}
---
{input: {x: [4]}, kind: neural_ode, scale: [4], main_layers: tanh, time: {start: 0, stop: 1, dynamics: residual, saveat: [1]}}
---
{input: {x: [4], m: {shape: [4], dtype: bool}}, scale: [4], main_layers: [{linear: 4}, tanh], solver: {mask: $m}}
"""
SHAPES = ("[8]", "[8, 8]", "[8, 8, 8]", "[2, 4, 4, 4]", "{shape: [8], dtype: int64}", "[64]", "[4, 8]", "[1, 28, 28]")
# Weights for the steps that take one from elsewhere.
PARAMETERS = {name: [8, 8] for name in ("content_bias", "position_bias", "W")}
PARAMETERS |= {"K1": [8, 8, 1], "K2": [8, 8, 1, 1], "K3": [2, 2, 1, 1, 1]}


@functools.cache
def bases() -> tuple[tuple[dict[str, Any], tuple[slots.Place, ...]], ...]:
    """Specs, each with those of its places that no spec before it has in the same section.

    They are right, but for places that no right spec has, such as an orthogonal start of a vector.
    """
    found: list[tuple[dict[str, Any], tuple[slots.Place, ...]]] = []
    seen: set[tuple[str, str]] = set()
    wrong: list[dict[str, Any]] = []
    for alternatives in _documents():
        first = next(alternatives)
        keyed = {(p.path[0] if p.path else "", p.slot): p for p in slots.places(first)}
        if keyed.keys() <= seen:
            continue
        right = next(filter(valid, itertools.chain([first], alternatives)), None)
        if right is None:
            wrong.append(first)
            continue
        found.append((right, tuple(place for key, place in keyed.items() if key not in seen)))
        seen |= keyed.keys()
    reached = {slot for _, slot in seen}
    for document in wrong:
        new = {place.slot: place for place in slots.places(document) if place.slot not in reached}
        if new and Draft202012Validator(slots.SCHEMA).is_valid(document):
            found.append((document, tuple(new.values())))
            reached |= new.keys()
    return tuple(found)


def valid(document: dict[str, Any]) -> bool:
    """Whether deqc finds no error in it."""
    return not any(one.severity is Severity.ERROR for one in deqc.check(text(document)))


def text(document: Any) -> str:
    """A document as YAML, all in ASCII: what no keyboard has comes as an escape, which YAML turns into the character."""
    written = json.dumps(document, ensure_ascii=False)
    return re.sub(r"[^\x20-\x7e]", lambda one: f"\\U{ord(one[0]):08x}", written) + "\n"


def _documents() -> Iterator[Iterator[dict[str, Any]]]:
    """Specs, each with others that have the same places."""
    for path in FILES:
        yield iter([yaml.safe_load(path.read_text(encoding="utf-8"))])
    for one in yaml.safe_load_all(MORE):
        yield iter([{"deqc": 1, "name": "Model", "description": "words", **one}])
    dense = {"deqc": 1, "name": "Model", "input": {"x": [4]}, "scale": [4], "main_layers": [{"linear": 4}, "tanh"]}
    for _, field, context in settings():
        for values in _values(field):
            yield (yaml.safe_load(context.text(value)) for value in values)
    described = {field.name.removeprefix("weight_"): field for field in STEPS["linear"].fields}
    layers = [{"linear": {"weight": "$W"}}]
    for name in ("init", "parametrize", "constraint"):
        for values in _values(described[name]):
            full = ({"shape": [4, "${4}"], "trainable": True, name: value} for value in values)
            yield ({**dense, "parameters": {"W": one, "v": ["${4}"]}, "main_layers": layers} for one in full)
    for op in STEPS.values():
        fitting = next((s for s in SHAPES if valid(_placed(op, next(next(_forms(op))), s))), SHAPES[0])
        shapes = dict.fromkeys((fitting, *SHAPES))
        for forms in _forms(op):
            yield (_placed(op, form, shape) for form in forms for shape in list(shapes)[:4])


def _forms(op: Op) -> Iterator[Iterator[Any]]:
    """What may be written behind the name of the step: each of its fields in each of its forms."""
    shown: Any = tables.example(op)
    written = shown[op.name] if isinstance(shown, dict) else {}
    arguments = written if isinstance(written, dict) else {str(op.principal): written}
    yield iter([written])
    yield iter([arguments])
    for one in op.fields:
        for values in _values(one):
            if one.name == op.principal:
                yield (value for value in values)
            yield ({**arguments, one.name: value} for value in values)
            if one.name == "weight":  # in place of the sizes
                yield ({one.name: value} for value in values)


def _placed(op: Op, form: Any, shape: str) -> dict[str, Any]:
    step = op.name if form == {} else {op.name: form}
    place = {"head": ["$x", step]} if HEAD in op.where else {"init": [step]}
    return {
        "deqc": 1,
        "name": "Model",
        "input": {"x": yaml.safe_load(shape)},
        "parameters": PARAMETERS,
        "scale": [8],
        "main_layers": [{"linear": 8}],
        **place,
    }


def _values(field: Field) -> Iterator[list[Any]]:
    """Values of the field, by the form that they have."""
    match field.kind:
        case Kind.BOOL:
            yield [True, False]
        case Kind.INT | Kind.NUMBER:
            numbers = [*field.examples, 1, 2, 3, 0, 0.5, 8]
            yield numbers
            yield from ([[[n] * (field.entries or 2) for n in numbers]] if field.each else [])
        case Kind.CHOICE:
            yield list(field.choices)
        case Kind.WORD:
            yield ["other_name"]
        case Kind.SHAPE:
            yield [["${2}", 4], ["${8}"], ["${4}", 2]]
        case Kind.VARIANT:
            for variant in field.variants.values():
                yield from _of_variant(variant)
        case Kind.BRANCHES:
            yield [["tanh", ["sin"]], [[{"linear": 8}], "cos"]]
        case _:
            yield ["tanh", *(f"${name}" for name in ("x", *PARAMETERS))]
            yield from ([one] for one in (*field.examples, ["tanh", "sin"], {"linear": 8}, 1))


def _of_variant(variant: Variant) -> Iterator[list[Any]]:
    yield [variant.name]
    for one in variant.fields:
        others = {o.name: o.examples[0] if o.examples else 1 for o in variant.fields if o.required}
        values = [*one.examples, 1, 0, 0.5, *one.choices]
        yield [{variant.name: {**others, one.name: value}} for value in values]
        if one.name == variant.principal:
            yield [{variant.name: value} for value in values]
