"""The whole document: its sections, and how `scale` and `scales` decide what a list means."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from deqc import settings
from deqc.ops import STEPS
from deqc.ops.weights import WEIGHT_FIELDS
from deqc.settings import DTYPES, LANGUAGE, MOST_SAVED, MOST_SCALES, SECTIONS, TIME, Section
from deqc.spec.schema import methods
from deqc.spec.schema.leaves import Schema, by_type, described, field, leaf, listed, reference, refused, size
from deqc.spec.schema.steps import definitions
from deqc.types import FLOAT

_EACH = "Every scale gets this computation, with weights of its own."


def document() -> Schema:
    """The schema of a spec."""
    described_sections = {section.name: _section(section) for section in SECTIONS}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:deqc:schema:{LANGUAGE}",
        "title": f"deqc spec, language version {LANGUAGE}",
        "description": "A deep equilibrium model z = f(z, x): its inputs, its state, its layers and how it is solved.",
        "type": "object",
        "required": [section.name for section in SECTIONS if section.required],
        "properties": described_sections,
        "additionalProperties": False,
        "if": {"required": ["scales"]},
        "then": {"properties": _several()},
        "else": {"required": ["scale"], "properties": _single()},
        "$defs": definitions(STEPS),
    }


def _section(section: Section) -> Schema:
    schema = _SECTIONS.get(section.name, dict)()
    if section.name == "solver":
        return methods.solver(section.text)
    if section.name == "adjoint":
        return methods.adjoint(section.text)
    if section.name == "jacobian_regularization":
        return methods.jacobian_regularization(section.text, section.examples)
    return described(schema, section.text, section.default, section.examples)


def _single() -> Schema:
    """The sections whose reading depends on it, for `scale`."""
    return {
        "init": reference("computation"),
        "main_layers": reference("computation"),
        "mapping_layers": leaf("mapping_layers", "absent with `scale`: one scale needs none", type="null"),
        "post_fuse_layers": leaf(
            "post_fuse_layers", "absent with `scale`: append its steps to `main_layers`", type="null"
        ),
    }


def _several() -> Schema:
    """The sections whose reading depends on it, for `scales`."""
    rule = {
        "properties": {
            "same": described(reference("computation"), "From a scale to itself.", "identity", ("identity",)),
            "down": described(
                reference("optional_computation"),
                "From a scale to each later one; null is no connection. Reads `from` and `to` in expressions.",
                examples=({"linear": "${to.features}"},),
            ),
            "up": described(
                reference("optional_computation"),
                "From a scale to each earlier one; null is no connection. Reads `from` and `to` in expressions.",
                examples=({"linear": "${to.features}"},),
            ),
        },
        "required": ["down", "up"],
        "additionalProperties": False,
    }
    row = leaf(
        "a row of mapping_layers",
        "a list with one computation or null for each scale",
        type="array",
        items=reference("optional_computation"),
    )
    matrix = leaf(
        "mapping_layers", "a list of rows, a rule {same, down, up} or null", type=["array", "null"], items=row
    )
    return {
        "scale": refused("both `scale` and `scales` are written: keep one"),
        "init": by_type(
            "string", leaf("init", "'zeros', 'step' or a list", enum=["zeros", "step"]), _per_scale("init", "optional_")
        ),
        "main_layers": _per_scale("main_layers"),
        "mapping_layers": by_type("object", rule, matrix),
        "post_fuse_layers": by_type("null", {}, _per_scale("post_fuse_layers", "optional_")),
    }


def _per_scale(name: str, kind: str = "") -> Schema:
    """One entry for each scale, or the same for each."""
    each = {
        "properties": {"each": described(reference("computation"), _EACH, examples=(["tanh"],))},
        "required": ["each"],
        "additionalProperties": False,
    }
    expected = "a list with one computation for each scale, or {each: computation}"
    return by_type(
        "object", each, leaf(name, expected, type="array", minItems=1, items=reference(f"{kind}computation"))
    )


def _shape(subject: str, least: int) -> Schema:
    return leaf(
        subject, "a list of sizes", type="array", minItems=least, items=size(f"a size of {subject}", names=True)
    )


def _inputs() -> Schema:
    shape = described(
        _shape("an input", 0),
        "The shape of one sample, without the batch; a name stands for a size that is known at the call.",
        examples=([4], ["L", 512]),
    )
    full = {
        "properties": {
            "shape": shape,
            "dtype": described(
                leaf("the dtype of an input", listed(DTYPES), enum=list(DTYPES)),
                "What its entries are; float is the dtype of the parameters. Gradients exist for float alone.",
                FLOAT,
                ("int64",),
            ),
            "batch": described(
                leaf("batch", "true or false", type="boolean"),
                "Whether each sample has its own; one without a batch is shared by all samples.",
                True,
            ),
            "layout": described(
                leaf("layout", "'dense' or 'sparse_csr'", enum=["dense", "sparse_csr"]),
                "How a matrix is stored. Only matmul reads a sparse one, and it gets no gradient.",
                "dense",
                ("sparse_csr",),
            ),
        },
        "required": ["shape"],
        "additionalProperties": False,
    }
    one = described(
        by_type("object", full, shape),
        "One argument of `forward`: the shape of one sample, or in full {shape, dtype, batch, layout}.",
        examples=([4], ["L", 512], {"shape": ["L"], "dtype": "int64"}),
    )
    return leaf("input", "a mapping of names to shapes", type="object", minProperties=1, additionalProperties=one)


def _constants() -> Schema:
    one = described(
        leaf("a constant", "a number, true or false", type=["number", "boolean"]),
        "A number, true or false.",
        examples=(64, 0.1, True),
    )
    return leaf("constants", "a mapping of names to numbers", type="object", additionalProperties=one)


def _blocks() -> Schema:
    types = {"enum": ["int", "number", "bool", "value"]}
    default = "The value where a use does not give one; null with the type value is no value at all."
    full = {
        "properties": {
            "default": described(reference("value"), default, examples=(True, 64)),
            "type": described(
                leaf("the type of a parameter", listed(types["enum"]), **types),
                "int, number or bool: read as `${name}`; value: a computation, read as `$name`.",
                examples=types["enum"],
            ),
            "description": described(
                leaf("a description", "text", type="string"), "What it is for.", examples=("the width",)
            ),
        },
        "additionalProperties": False,
    }
    scalar = leaf(
        "the default of a parameter",
        "null (it has to be given), a number, true or false, or in full {default, type, description}",
        type=["null", "number", "boolean", "string"],
    )
    parameter = described(
        by_type("object", full, scalar),
        "A parameter of the block: its default (null: it has to be given), or in full {default, type, description}.",
        examples=(None, True, {"default": None, "type": "value"}),
    )
    block = {
        "properties": {
            "params": described(
                leaf("params", "a mapping of names to defaults", type="object", additionalProperties=parameter),
                "The parameters in order; the first is the principal one.",
                {},
                ({"out": None, "bias": True},),
            ),
            "body": described(reference("computation"), "The computation.", examples=([{"linear": "${out}"}, "tanh"],)),
        },
        "required": ["body"],
        "additionalProperties": False,
    }
    one = described(
        by_type("object", block, reference("computation")),
        "A named computation: its body, or in full {params, body}.",
        examples=([{"linear": 64}, "tanh"],),
    )
    return leaf("blocks", "a mapping of names to computations", type="object", additionalProperties=one)


def _parameters() -> Schema:
    shape = _shape("a parameter", 0)
    said = {one.name.removeprefix("weight_"): one for one in WEIGHT_FIELDS if one.name != "bias_init"}
    full = {
        "properties": {
            "shape": described(shape, "Its shape; `[]` is a single number.", examples=([64, 64], [])),
            **{name: field("a parameter", replace(one, name=name)) for name, one in said.items()},
            "trainable": described(
                leaf("trainable", "true or false", type="boolean"),
                "Whether it is learned; a buffer if not.",
                True,
            ),
        },
        "required": ["shape"],
        "additionalProperties": False,
    }
    one = described(
        by_type("object", full, shape), "A parameter of the model: its shape, or in full.", examples=([64, 64],)
    )
    return leaf("parameters", "a mapping of names to shapes", type="object", additionalProperties=one)


def _modules() -> Schema:
    out = by_type(
        "string",
        leaf("what a module returns", "'same' or a list of sizes", const="same"),
        _shape("what a module returns", 0),
    )
    full = {
        "properties": {
            "out": described(
                out,
                "The shape of what it returns for one sample, or same: that of its first argument.",
                examples=("same", [64]),
            ),
            "deterministic": described(
                leaf("deterministic", "true or false", type="boolean"),
                "Whether equal arguments always give equal results; a module inside the equilibrium must.",
                True,
            ),
        },
        "required": ["out"],
        "additionalProperties": False,
    }
    one = described(
        by_type("object", full, out), "A module of your own, called like a step.", examples=("same", {"out": [64]})
    )
    return leaf("modules", "a mapping of names to shapes", type="object", additionalProperties=one)


def _encoder() -> Schema:
    one = described(reference("computation"), "A value computed from the inputs.", examples=(["$x", {"linear": 64}],))
    return leaf("encoder", "a mapping of names to computations", type="object", additionalProperties=one)


def _head() -> Schema:
    one = described(reference("computation"), "An output of the model.", examples=([{"linear": 10}],))
    steps = "a mapping under head names outputs, and a step is no name; one output is a list: `[{linear: 10}]`"
    several = leaf(
        "head", "a computation, or a mapping of names to computations", minProperties=1, additionalProperties=one
    )
    named = {"if": {"propertyNames": {"not": {"enum": sorted(STEPS)}}}, "then": several, "else": refused(steps)}
    return by_type("object", named, reference("computation"))


def _text(subject: str, **rules: Any) -> Schema:
    return leaf(subject, f"text of at most {rules['maxLength']:,} characters", type="string", **rules)


def _time() -> Schema:
    one = leaf("a time of saveat", "a number", type="number")
    saved = leaf("time.saveat", "a list of times", type="array", items=one, minItems=1, maxItems=MOST_SAVED)
    text = "The times at which `solve` returns the state, in ascending order, as its field `trajectory`."
    fields = {one.name: field("time", one, computed=False) for one in TIME}
    fields["saveat"] = described(saved, text, examples=([0.25, 0.5, 1],))
    return leaf("time", "a mapping of settings", type="object", properties=fields, additionalProperties=False)


_SECTIONS = {
    "deqc": lambda: leaf("deqc", f"{LANGUAGE}, the version of the language", const=LANGUAGE, type="integer"),
    "name": lambda: leaf("name", "a name", type="string"),
    "description": lambda: _text("description", maxLength=2000),
    "kind": lambda: leaf("kind", listed(settings.KINDS), enum=list(settings.KINDS)),
    "constants": _constants,
    "input": _inputs,
    "parameters": _parameters,
    "modules": _modules,
    "blocks": _blocks,
    "encoder": _encoder,
    "scale": lambda: _shape("a scale", 1),
    "scales": lambda: leaf(
        "scales",
        f"a list of 1 to {MOST_SCALES} shapes",
        type="array",
        minItems=1,
        maxItems=MOST_SCALES,
        items=_shape("a scale", 1),
    ),
    "head": _head,
    "time": _time,
}
