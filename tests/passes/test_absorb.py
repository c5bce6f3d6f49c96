"""`absorb`: what is added to a product and does not depend on z becomes its bias."""

from __future__ import annotations

import pytest

from tests.passes.programs import equal, lowered, run, said, section, shown

SPEC = """
input: {x: [3]}
scale: [3]
main_layers: [{sum: [{linear: 3}, [$x, {linear: 3}]]}, tanh]
"""

BEFORE = """
%1 = state() : (B, 3)
%5 = linear(%1, %3, %4; bias=True, layer='main_layers.0.sum.0.linear', out=3) : (B, 3)
%8 = linear(%0, %6, %7; bias=True, layer='main_layers.0.sum.1.linear', out=3) : (B, 3)
%9 = sum(%5, %8) : (B, 3)
%10 = tanh(%9) : (B, 3)
return %10
"""
AFTER = """
%1 = state() : (B, 3)
%7 = linear(%0, %5, %6; bias=True, layer='main_layers.0.sum.1.linear', out=3) : (B, 3)
%8 = sum(%4, %7) : (B, 3)
%9 = linear(%1, %3, %8; added=True, bias=True, out=3) : (B, 3)
%10 = tanh(%9) : (B, 3)
return %10
"""


def test_the_program_before_and_after() -> None:
    program = lowered(SPEC)
    after = run("absorb", program)
    assert section(program, "f") == BEFORE.strip()
    assert section(after, "f") == AFTER.strip()
    assert equal(program, after)
    assert said(after, "absorb") == ["1 product with what was added as bias"]


def absorbed(text: str) -> bool:
    program = lowered(text)
    after = run("absorb", program)
    assert equal(program, after)
    if not said(after, "absorb"):
        assert shown(after) == shown(program)
    return bool(said(after, "absorb"))


@pytest.mark.parametrize(
    ("main", "acts"),
    [
        ("[{sum: [{linear: 3}, $x]}]", True),
        ("[{sum: [$x, {linear: 3}, $x]}]", True),  # twice the same: both
        ("[{sum: [{linear: 3}, identity, $x]}]", True),  # the rest is still added
        ("[{sum: [{linear: 3}, tanh]}]", False),  # depends on z
        ("[{sum: [{linear: 3}, [{sum: [identity, $x]}, tanh]]}]", False),  # so does this
        ("[{sum: [[{linear: 3}, tanh], $x]}]", False),  # not a product
        ("[{mul: [{linear: 3}, $x]}]", False),
        ("[{linear: 3}, {as: p}, tanh, {sum: [$p, identity, $x]}]", False),  # the product has another reader
        ("[{linear: 3}, {as: p}, {sum: [$p, $p, $x]}]", False),  # is read twice by the sum
        ("[{sum: [{linear: 3}, [$x, {linear: 1}, {reshape: []}]]}]", False),  # a scalar is no row of three
        ("[{sum: [[$x, {linear: 3}], $x]}]", False),  # all of it is invariant
    ],
)
def test_acts_on_invariant_rows_only(main: str, acts: bool) -> None:
    assert absorbed(f"input: {{x: [3]}}\nscale: [3]\nmain_layers: {main}") is acts


def test_leaves_matrices_alone() -> None:
    assert not absorbed("input: {x: [2, 3]}\nscale: [2, 3]\nmain_layers: [{sum: [{linear: 3}, $x]}, tanh]")
