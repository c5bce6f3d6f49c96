"""`dead`: what no result needs is not computed."""

from __future__ import annotations

from tests.passes.programs import equal, lowered, run, said, section, shown

SPEC = """
input: {x: [3]}
scale: [3]
main_layers: [{linear: 3}, {as: a}, {linear: 5}, sin, {as: b}, $a]
"""

BEFORE = """
%1 = state() : (B, 3)
%5 = linear(%1, %3, %4; bias=True, layer='main_layers.0.linear', out=3) : (B, 3)
return %5
"""
AFTER = """
%1 = state() : (B, 3)
%5 = linear(%1, %3, %4; bias=True, layer='main_layers.0.linear', out=3) : (B, 3)
return %5
"""


def test_the_program_before_and_after() -> None:
    program = lowered(SPEC)
    after = run("dead", program)
    assert section(program, "f") == BEFORE.strip()
    assert section(after, "f") == AFTER.strip()
    assert equal(program, after)
    assert said(after, "dead") == ["2 values not needed (linear, sin)"]


def test_what_is_read_nowhere_goes_and_the_interface_stays() -> None:
    program = lowered(SPEC)
    after = run("dead", program)
    assert "unused:" in shown(program)
    assert "unused:" not in shown(after)
    assert after.inputs == program.inputs  # x is not read, and still an argument
    assert {use.path for use in after.layers} == {"main_layers.0.linear", "main_layers.0.linear_1"}


def test_what_start_and_head_need_stays() -> None:
    program = lowered("""
input: {x: [3]}
encoder: {e: [$x, sin], unread: [$x, cos]}
scales: [[3], [2]]
init: [[$e, tanh], null]
main_layers: {each: tanh}
head: [$z.0, {sum: [identity, $e]}]
""")
    after = run("dead", program)
    assert [e.hint for e in after.encoded] == ["e"]
    assert said(after, "dead") == ["2 values not needed (cos, unpack)"]  # $z.1 is not read either
    assert equal(program, after)


def test_nothing_is_said_where_nothing_is_dead() -> None:
    program = lowered("input: {x: [3]}\nscale: [3]\nmain_layers: tanh")
    assert shown(run("dead", program)) == shown(program)
    assert not run("dead", program).notes
