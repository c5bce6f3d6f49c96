"""Computations in the schema: chains and steps, with the fields of every op from the op table.

Step names are offered for completion, but an unknown one is no error here: it may be a block, and `deqc.spec.build`
knows better.
"""

from __future__ import annotations

from collections.abc import Mapping

from deqc.ops.base import Op
from deqc.spec.schema.leaves import Schema, by_type, described, fielded, leaf, reference, refused

_FORMS = "a name, `$name` or a mapping of one name to its fields"


def definitions(steps: Mapping[str, Op]) -> Schema:
    """The definitions that all positions of computations share."""
    names = sorted(steps)
    return {
        "computation": described(
            by_type("array", reference("chain"), reference("step")),
            "A computation: a chain of steps in a list, or one step.",
            examples=([{"linear": 64}, "tanh"], "identity", "$x"),
        ),
        "optional_computation": described(
            by_type("null", {}, reference("computation")), "A computation, or null.", examples=({"linear": 64}, None)
        ),
        "chain": described(
            {
                "minItems": 1,
                "items": by_type(
                    "array",
                    refused("a list inside a chain: a chain contains steps; did you mean `scales:` or `sum:`?"),
                    reference("step"),
                ),
            },
            "Steps, each working on the value of the one before. `$name` at the start reads a value.",
            examples=([{"linear": 64}, "tanh"],),
        ),
        "step": described(
            by_type(
                "object",
                {
                    "minProperties": 1,
                    "maxProperties": 1,
                    "properties": {name: _step(steps[name]) for name in names},
                    "additionalProperties": reference("argument"),
                },
                leaf("a step", _FORMS, type="string", examples=_bare(steps)),
            ),
            "One step: a name (`tanh`), a value (`$x`), or a name with its fields (`{linear: 64}`).",
            examples=("tanh", {"linear": 64}, "$x"),
        ),
        "argument": described(
            by_type("object", {"additionalProperties": reference("value")}, reference("value")),
            "The arguments of a block by name, or the one of its first parameter.",
            examples=({"out": 64},),
        ),
        "value": described(
            by_type("array", {"items": reference("value")}, by_type("object", reference("step"), {})),
            "A number, true or false, an expression, or a computation.",
            examples=(64, "${width}", "$x", [{"linear": 64}, "tanh"]),
        ),
    }


def _step(op: Op) -> Schema:
    """What may follow the op's name; a weight from elsewhere brings sizes that are not written beside it."""
    if not op.source:
        return fielded(op.name, op.summary, op.fields, op.principal)
    needed = [one.name for one in op.fields if one.required and one.name in op.instead]
    text = f"Follows from {op.source}, and is not written beside it."
    both = {name: described(refused(f"{op.name} takes {name} or {op.source}, not both"), text) for name in op.instead}
    elsewhere = described({"not": {"type": "null"}}, "A tensor from elsewhere; null is none.")
    given = {"required": [op.source], "properties": {op.source: elsewhere}}
    either = {"if": given, "then": {"properties": both}, "else": {"required": needed}}
    return fielded(op.name, op.summary, op.fields, op.principal, needed, either)


def _bare(steps: Mapping[str, Op]) -> list[str]:
    """The steps that need no fields."""
    return [name for name, op in sorted(steps.items()) if not any(one.required for one in op.fields)]
