"""`fold`: steps that do nothing go, numbers that meet are computed."""

from __future__ import annotations

import pytest

from tests.passes.programs import equal, lowered, run, said, section, shown

SPEC = """
input: {x: [3]}
scale: [3]
main_layers:
  [{times: 1}, {linear: 3}, {times: 0.5}, {times: 4}, {plus: 0}, {plus: 1}, {plus: 2}, {reshape: [3]}, slice, tanh]
"""

BEFORE = """
%1 = state() : (B, 3)
%3 = times(%1; by=1.0) : (B, 3)
%6 = linear(%3, %4, %5; bias=True, layer='main_layers.0.linear', out=3) : (B, 3)
%7 = times(%6; by=0.5) : (B, 3)
%8 = times(%7; by=4.0) : (B, 3)
%9 = plus(%8; by=0.0) : (B, 3)
%10 = plus(%9; by=1.0) : (B, 3)
%11 = plus(%10; by=2.0) : (B, 3)
%12 = reshape(%11; shape=(3,)) : (B, 3)
%13 = slice(%12; dim=-1, start=0, stop=None) : (B, 3)
%14 = tanh(%13) : (B, 3)
return %14
"""
AFTER = """
%1 = state() : (B, 3)
%5 = linear(%1, %3, %4; bias=True, layer='main_layers.0.linear', out=3) : (B, 3)
%6 = times(%5; by=2.0) : (B, 3)
%7 = plus(%6; by=3.0) : (B, 3)
%8 = tanh(%7) : (B, 3)
return %8
"""


def test_the_program_before_and_after() -> None:
    program = lowered(SPEC)
    after = run("fold", program)
    assert section(program, "f") == BEFORE.strip()
    assert section(after, "f") == AFTER.strip()
    assert equal(program, after)
    assert said(after, "fold") == ["6 steps computed at compile time"]


def folded(*steps: str) -> str:
    program = lowered(f"input: {{x: [4]}}\nscale: [4]\nmain_layers: [{', '.join(steps)}]")
    after = run("fold", program)
    assert equal(program, after)
    return section(after, "f")


def test_a_map_that_does_nothing_is_the_state() -> None:
    assert folded("{times: 1}", "{plus: 0}") == "%1 = state() : (B, 4)\nreturn %1"


@pytest.mark.parametrize(
    "steps", [("{times: 2}", "{times: 0.5}"), ("{plus: 1}", "{plus: -1}"), ("{times: -1}", "{times: -1}")]
)
def test_numbers_that_cancel_go(steps: tuple[str, ...]) -> None:
    assert "state()" in folded(*steps).split("\n")[-2]


@pytest.mark.parametrize(
    "steps",
    [
        ("{times: 2}", "{plus: 1}"),  # not the same op
        ("{times: 2}", "tanh", "{times: 2}"),  # not side by side
        ("{times: 1e200}", "{times: 1e200}"),  # no number of any precision
        ("{times: 1e20}", "{times: 1e20}"),  # none of single precision
        ("{times: 1e-20}", "{times: 1e-20}"),
        ("{plus: 1e308}", "{plus: 1e308}"),
        ("{times: 9007199254740991}", "{times: 9007199254740991}"),
        ("{slice: {stop: 2}}", "{linear: 4}"),  # takes a part
        ("{reshape: [2, 2]}", "flatten"),  # changes the shape, and back
    ],
)
def test_what_does_something_stays(steps: tuple[str, ...]) -> None:
    program = lowered(f"input: {{x: [4]}}\nscale: [4]\nmain_layers: [{', '.join(steps)}]")
    after = run("fold", program)
    assert shown(after) == shown(program)
    assert not said(after, "fold")


def test_a_number_read_twice_stays_for_the_other_reader() -> None:
    program = lowered("""
input: {x: [2]}
scale: [2]
main_layers: [{times: 0.5}, {as: h}, {times: 0.5}, {sum: [identity, $h]}]
""")
    after = run("fold", program)
    lines = section(after, "f").split("\n")
    assert sorted(line.partition(" = ")[2] for line in lines if "times" in line) == [
        "times(%1; by=0.25) : (B, 2)",
        "times(%1; by=0.5) : (B, 2)",
    ]
    assert equal(program, after)
