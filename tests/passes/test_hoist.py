"""`hoist`: what does not depend on z is computed once a solve."""

from __future__ import annotations

import pytest

from tests.passes.programs import equal, lowered, ops, run, said, section

SPEC = """
input: {x: [3]}
scale: [3]
main_layers: [{sum: [{linear: {out: 3, bias: false}}, [$x, {linear: 3}, tanh]]}, tanh]
"""

BEFORE = """
%1 = state() : (B, 3)
%4 = linear(%1, %3; bias=False, layer='main_layers.0.sum.0.linear', out=3) : (B, 3)
%7 = linear(%0, %5, %6; bias=True, layer='main_layers.0.sum.1.linear', out=3) : (B, 3)
%8 = tanh(%7) : (B, 3)
%9 = sum(%4, %8) : (B, 3)
%10 = tanh(%9) : (B, 3)
return %10
"""
AFTER = """
%1 = state() : (B, 3)
%4 = linear(%1, %3; bias=False, layer='main_layers.0.sum.0.linear', out=3) : (B, 3)
%9 = sum(%4, %8) : (B, 3)
%10 = tanh(%9) : (B, 3)
return %10
"""
BOUNDARY_BEFORE = """
%3 = parameter(layer='main_layers.0.sum.0.linear', name='weight') : (3, 3)
%0 = input(name='x') : (B, 3)
%5 = parameter(layer='main_layers.0.sum.1.linear', name='weight') : (3, 3)
%6 = parameter(layer='main_layers.0.sum.1.linear', name='bias') : (3,)
return %3, %0, %5, %6
"""
BOUNDARY_AFTER = """
%3 = parameter(layer='main_layers.0.sum.0.linear', name='weight') : (3, 3)
%0 = input(name='x') : (B, 3)
%5 = parameter(layer='main_layers.0.sum.1.linear', name='weight') : (3, 3)
%6 = parameter(layer='main_layers.0.sum.1.linear', name='bias') : (3,)
%7 = linear(%0, %5, %6; bias=True, layer='main_layers.0.sum.1.linear', out=3) : (B, 3)
%8 = tanh(%7) : (B, 3)
return %3, %8
"""


def test_the_program_before_and_after() -> None:
    program = lowered(SPEC)
    after = run("hoist", program)
    assert section(program, "f") == BEFORE.strip()
    assert section(after, "f") == AFTER.strip()
    assert section(program, "weights") == BOUNDARY_BEFORE.strip()
    assert section(after, "weights") == BOUNDARY_AFTER.strip()
    assert equal(program, after)
    assert said(after, "hoist") == ["2 values computed once a solve, not in every step (linear, tanh)"]


@pytest.mark.parametrize(
    ("main", "inside"),
    [
        ("[{sum: [tanh, [$x, sin]]}, cos]", ["state", "tanh", "sum", "cos"]),
        ("[{mul: [[{sum: [identity, $x]}, sin], [$x, cos]]}]", ["state", "sum", "sin", "mul"]),  # z through a sum
        ("[{linear: 3}, tanh]", ["state", "linear", "tanh"]),  # nothing but weights
        ("[{variational_dropout: 0.5}, tanh]", ["state", "mul", "tanh"]),  # the mask is drawn once
        ("[{concat: [identity, [$x, sin]]}, {linear: 3}]", ["state", "concat", "linear"]),
        ("[{repeat: {times: 2, body: [{sum: [tanh, [$x, sin]]}]}}]", ["state", "tanh", "sum", "tanh", "sum"]),
    ],
)
def test_what_depends_on_z_stays(main: str, inside: list[str]) -> None:
    program = lowered(f"input: {{x: [3]}}\nscale: [3]\nmain_layers: {main}")
    after = run("hoist", program)
    assert ops(after) == inside
    assert equal(program, after)


def test_an_f_without_z_is_a_weight() -> None:
    program = lowered("input: {x: [3]}\nscale: [3]\nmain_layers: [$x, {linear: 3}, tanh]")
    after = run("hoist", program)
    assert after.boundary == (after.f,)
    assert not ops(after)
    assert equal(program, after)


def test_what_only_another_weight_reads_is_no_weight() -> None:
    after = run("hoist", lowered(SPEC))
    assert {node.op for node in after.boundary} == {"parameter", "tanh"}
    assert not any(node.op == "input" for node in after.boundary)


def test_values_that_start_or_head_read_are_not_weights() -> None:
    program = lowered("""
input: {x: [3]}
encoder: {e: [$x, sin]}
scale: [3]
init: [$e, tanh]
main_layers: [tanh]
head: [{sum: [identity, $e]}]
""")
    assert run("hoist", program).boundary == ()
