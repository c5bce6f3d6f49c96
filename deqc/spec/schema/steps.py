"""Computations in the schema: chains and steps, with the fields of every op from the op table.

Step names are offered for completion, but an unknown one is no error here: it may be a block, and `deqc.spec.build`
knows better.
"""

from __future__ import annotations

from collections.abc import Mapping

from deqc.ops.base import Op
from deqc.spec.schema.leaves import Schema, by_type, described, field, leaf, reference, refused

_STEP = "a name, `$name` or a mapping of one name to its fields"


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
                    "properties": {name: step(steps[name]) for name in names},
                    "additionalProperties": reference("argument"),
                },
                leaf("a step", _STEP, type="string", examples=_bare(steps)),
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


def step(op: Op) -> Schema:
    """What may follow the op's name: its fields by name, or its principal field."""
    fields = {one.name: field(op.name, one) for one in op.fields}
    named: Schema = {"properties": fields, "additionalProperties": False}
    required = [one.name for one in op.fields if one.required]
    if required:
        named["required"] = required
    principal = op.principal
    if not op.fields:
        return described(
            leaf(op.name, "written without fields", type="object", maxProperties=0), op.summary, examples=({},)
        )
    if principal is None:
        return described(leaf(op.name, "written with its fields by name", type="object", **named), op.summary)
    others = [name for name in required if name != principal]
    short = refused(f"{op.name} needs {' and '.join(map(repr, others))} too") if others else fields[principal]
    return described(by_type("object", named, short), op.summary)


def _bare(steps: Mapping[str, Op]) -> list[str]:
    """The steps that need no fields."""
    return [name for name, op in sorted(steps.items()) if not any(one.required for one in op.fields)]
