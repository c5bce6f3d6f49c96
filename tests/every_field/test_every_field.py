"""Every field reaches the output: two good values of it give two modules, or are told apart by `deqc explain`.

The fields are those of the JSON Schema, so that none can be forgotten; what a rule names one by one, words, truth
values or variants, is told apart each from each.
"""

from __future__ import annotations

import json

import pytest
import tables

from deqc.compiler import compile_text
from deqc.diagnostics import SpecError
from deqc.explain import explain
from deqc.ops import STEPS
from deqc.ops.base import HEAD
from tests.every_field.contexts import Context, contexts, fitting, placed
from tests.every_field.places import guesses, members, places

PLACES = places()

# Fields of which this version takes one value only: another one that is refused, and why.
ONE: dict[str, tuple[object, str]] = {
    "deqc": (2, "the language has one version"),
    "step.random.distribution": ("uniform", "there is one distribution so far"),
}
# What of two types tells them apart: an argument that one of them takes and the other does not.
TYPES: dict[str, object] = {"int": 2, "number": 0.5, "bool": True, "value": "$x"}
TYPE = "blocks.*.params.*.type"
# Variants of a matrix, and the steps whose weights never are one: of one axis each, or of more than two.
NEVER: dict[str, set[str]] = {
    **{
        f"step.{name}.weight_init": {"kaiming_uniform", "uniform_fan_in", "xavier", "orthogonal"}
        for name in ("batch_norm", "group_norm", "instance_norm", "layer_norm", "rms_norm")
    },
    **{
        f"step.{name}.parametrize": {"skew", "orthogonal"}
        for name in ("bilinear", "conv1d", "conv2d", "conv3d", "conv_transpose2d")
    },
}

# Two words for one thing: axis 0 holds the channels of an image, and the tokens of a sequence.
ALIKE: dict[str, tuple[str, str]] = {"step.variational_dropout.per": ("channel", "token")}


def is_never(place: str) -> bool:
    """Whether it is an option of such a variant."""
    return any(place.startswith(f"{field}.{variant}.") for field, variants in NEVER.items() for variant in variants)


def told(text: str) -> str | None:
    """What the module and explain say, without the spec's hash; nothing where the spec is refused."""
    try:
        compilation = compile_text(text, "m")
    except SpecError:
        return None
    digest = compilation.plan.spec_sha256
    return (compilation.source + explain(compilation)).replace(digest, "").replace(digest[:12], "")


def outcomes(place: str, context: Context) -> dict[str, str]:
    """What comes of good values, by the value: of all that are named, and of guesses until two are told apart."""
    found: dict[str, str] = {}

    def attempt(value: object) -> None:
        text = told(context.text(value))
        if text is not None:
            found[json.dumps(value)] = text

    for value in [*named(place), *context.values]:
        attempt(value)
    for value in guesses(PLACES[place]):
        if len(set(found.values())) > 1:
            break
        attempt(value)
    return found


def named(place: str) -> list[object]:
    """The values that the schema names for a field, without those that no weight of the step can have."""
    return [
        one for one in members(PLACES[place]) if not (isinstance(one, dict) and one.keys() <= NEVER.get(place, set()))
    ]


@pytest.mark.parametrize("place", [place for place in PLACES if place not in (*ONE, TYPE) and not is_never(place)])
def test_a_field_reaches_the_output(place: str) -> None:
    groups = list(contexts(place))
    assert groups, "no spec shows what this field does"
    for group in groups:
        assert any(shows(place, outcomes(place, context), context.refused) for context in group), "\n".join(
            f"{context.sections}: {sorted(outcomes(place, context))}" for context in group
        )


def shows(place: str, found: dict[str, str], refused: frozenset[str] = frozenset()) -> bool:
    """Whether two values gave different outputs, and those that the schema names, each another but for the refused."""
    keys = {json.dumps(one) for one in named(place)} - {json.dumps(one) for one in refused}
    assert not found.keys() & {json.dumps(one) for one in refused}
    if len(set(found.values())) < 2 or not keys <= found.keys():
        return False
    if place in ALIKE:
        first, second = (json.dumps(one) for one in ALIKE[place])
        assert found[first] == found[second]
        keys.remove(second)
    return len({found[one] for one in keys}) == len(keys)


@pytest.mark.parametrize(
    ("place", "variant"), [(place, variant) for place in NEVER for variant in sorted(NEVER[place])]
)
def test_a_variant_that_no_weight_of_the_step_can_have_is_refused(place: str, variant: str) -> None:
    (value,) = [one for one in members(PLACES[place]) if isinstance(one, dict) and variant in one]
    (group,) = contexts(place)
    assert all(told(context.text(value)) is None for context in group)


@pytest.mark.parametrize("place", ONE)
def test_a_field_with_one_value_refuses_others(place: str) -> None:
    only, other = members(PLACES[place]), ONE[place][0]
    assert len(only) == 1, "it has several values now"
    context = next(iter(contexts(place)))[0]
    assert told(context.text(only[0])) is not None
    assert told(context.text(other)) is None


def test_the_type_of_a_parameter_decides_what_it_takes() -> None:
    assert TYPES.keys() == set(members(PLACES[TYPE]))

    def takes(type_: str, value: object) -> bool:
        reads = {"bool": {"linear": {"out": 4, "bias": "${v}"}}, "value": {"sum": ["identity", "$v"]}}
        body = reads.get(type_, {"times": "${v}"})
        spec = {"blocks": {"b": {"params": {"v": {"type": type_}}, "body": [body]}}, "head": [{"b": value}]}
        return told(Context(spec).text(None)) is not None

    taken = {type_: [takes(type_, value) for value in TYPES.values()] for type_ in TYPES}
    assert all(takes(type_, value) for type_, value in TYPES.items())
    assert len({tuple(one) for one in taken.values()}) == len(taken), taken


@pytest.mark.parametrize("name", sorted(STEPS.keys() - {"as", "expand", "last"}))  # whose fields alone say what they do
def test_a_step_reaches_the_output(name: str) -> None:
    op = STEPS[name]
    other = "tanh" if name == "identity" else "identity" if HEAD in op.where else "step"
    with_it, without = (told(placed(op, step, fitting(name)[0]).text(None)) for step in (tables.example(op), other))
    assert with_it is not None
    assert with_it != without
