"""`share`: equal values are computed once."""

from __future__ import annotations

import pytest

from tests.passes.programs import equal, lowered, run, said, section, shown

SPEC = """
input: {x: [3]}
scale: [3]
main_layers: [{sum: [tanh, [tanh, {times: 2}], [$x, sin], [$x, sin]]}]
"""

BEFORE = """
%1 = state() : (B, 3)
%3 = tanh(%1) : (B, 3)
%4 = tanh(%1) : (B, 3)
%5 = times(%4; by=2.0) : (B, 3)
%6 = sin(%0) : (B, 3)
%7 = sin(%0) : (B, 3)
%8 = sum(%3, %5, %6, %7) : (B, 3)
return %8
"""
AFTER = """
%1 = state() : (B, 3)
%3 = tanh(%1) : (B, 3)
%4 = times(%3; by=2.0) : (B, 3)
%5 = sin(%0) : (B, 3)
%6 = sum(%3, %4, %5, %5) : (B, 3)
return %6
"""


def test_the_program_before_and_after() -> None:
    program = lowered(SPEC)
    after = run("share", program)
    assert section(program, "f") == BEFORE.strip()
    assert section(after, "f") == AFTER.strip()
    assert equal(program, after)
    assert said(after, "share") == ["2 values equal to another"]


@pytest.mark.parametrize(
    "branches",
    [
        "{clamp: {min: 0}}, {clamp: {min: 0.5}}",  # other constants
        "{times: 2}, {times: -2}",
        "{linear: 3}, {linear: 3}",  # weights of their own
        "tanh, [$x, tanh]",  # other operands
        "{variational_dropout: 0.5}, {variational_dropout: 0.5}",  # masks of their own
        "layer_norm, layer_norm",
    ],
)
def test_what_differs_stays_apart(branches: str) -> None:
    program = lowered(f"input: {{x: [3]}}\nscale: [3]\nmain_layers: [{{sum: [{branches}]}}]")
    after = run("share", program)
    assert shown(after) == shown(program)
    assert not said(after, "share")


def test_random_numbers_of_the_encoder_are_never_shared() -> None:
    program = lowered("""
input: {x: [3]}
encoder: {a: [$x, {dropout: 0.5}], b: [$x, {dropout: 0.5}]}
scale: [3]
main_layers: [{sum: [tanh, $a, $b]}]
""")
    assert shown(run("share", program)) == shown(program)


def test_equal_values_of_the_encoder_are_one_weight() -> None:
    program = lowered("""
input: {x: [3]}
encoder: {a: [$x, tanh], b: [$x, tanh]}
scale: [3]
main_layers: [{sum: [tanh, $a, $b]}]
head: [{sum: [$a, $b]}]
""")
    after = run("share", program)
    assert (len(program.boundary), len(after.boundary)) == (2, 1)
    assert equal(program, after)


def test_values_of_f_and_of_the_start_are_one() -> None:
    program = lowered("""
input: {x: [3]}
scale: [3]
init: [$x, tanh]
main_layers: [{sum: [sin, [$x, tanh]]}]
""")
    after = run("share", program)
    assert after.start in after.nodes
    assert shown(after).count("tanh(") == 1
    assert equal(program, after)
