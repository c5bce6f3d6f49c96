"""`fuse_targets`: purely linear mappings into one target are one product over the joined sources."""

from __future__ import annotations

import pytest

from deqc.passes import optimise
from tests.passes.programs import equal, lowered, ops, run, said, section, shown

SPEC = """
input: {x: [3]}
scales: [[2], [1]]
main_layers: {each: tanh}
mapping_layers: [[{linear: 2}, {linear: 1}], [{linear: {out: 2, bias: false}}, {linear: 1}]]
"""

BEFORE = """
%1 = state() : (B, 3)
%3 = unpack(%1; shape=(2,), start=0, stop=2, whole=False) : (B, 2)
%5 = tanh(%3) : (B, 2)
%9 = linear(%5, %7, %8; bias=True, layer='mapping_layers.0.0.linear', out=2) : (B, 2)
%4 = unpack(%1; shape=(1,), start=2, stop=3, whole=False) : (B, 1)
%6 = tanh(%4) : (B, 1)
%14 = linear(%6, %13; bias=False, layer='mapping_layers.1.0.linear', out=2) : (B, 2)
%18 = sum(%9, %14) : (B, 2)
%12 = linear(%5, %10, %11; bias=True, layer='mapping_layers.0.1.linear', out=1) : (B, 1)
%17 = linear(%6, %15, %16; bias=True, layer='mapping_layers.1.1.linear', out=1) : (B, 1)
%19 = sum(%12, %17) : (B, 1)
%22 = pack(%18, %19; ranks=(1, 1), sizes=(2, 1)) : (B, 3)
return %22
"""
AFTER = """
%1 = state() : (B, 3)
%3 = unpack(%1; shape=(2,), start=0, stop=2, whole=False) : (B, 2)
%5 = tanh(%3) : (B, 2)
%4 = unpack(%1; shape=(1,), start=2, stop=3, whole=False) : (B, 1)
%6 = tanh(%4) : (B, 1)
%14 = concat(%5, %6; dim=0) : (B, 3)
%15 = concat(%7, %11; batched=False, dim=1) : (2, 3)
%16 = linear(%14, %15, %8; bias=True, out=2) : (B, 2)
%17 = concat(%9, %12; batched=False, dim=1) : (1, 3)
%18 = sum(%10, %13) : (1,)
%19 = linear(%14, %17, %18; bias=True, out=1) : (B, 1)
%22 = pack(%16, %19; ranks=(1, 1), sizes=(2, 1)) : (B, 3)
return %22
"""


def test_the_program_before_and_after() -> None:
    program = lowered(SPEC)
    after = run("fuse_targets", program)
    assert section(program, "f") == BEFORE.strip()
    assert section(after, "f") == AFTER.strip()
    assert equal(program, after)
    assert said(after, "fuse_targets") == ["2 products into y0 run as one", "2 products into y1 run as one"]


def fused(text: str) -> list[str]:
    program = lowered(text)
    after = run("fuse_targets", program)
    assert equal(program, after)
    if not said(after, "fuse_targets"):
        assert shown(after) == shown(program)
    return said(after, "fuse_targets")


@pytest.mark.parametrize(
    ("main", "acts"),
    [
        ("[{sum: [{linear: 3}, {linear: 3}]}]", True),  # one source: weights are added
        ("[{sum: [[tanh, {linear: 3}], identity, [sin, {linear: 3}]]}]", True),
        ("[{sum: [{linear: 3}, {linear: {out: 3, bias: false}}, [sin, {linear: {out: 3, bias: false}}]]}]", True),
        ("[{sum: [{linear: 3}, [{linear: 3}, tanh]]}]", False),  # an activation between product and sum
        ("[{sum: [{linear: 3}, [$x, {linear: 3}]]}]", False),  # the second is invariant
        ("[{mul: [{linear: 3}, {linear: 3}]}]", False),
        ("[{linear: 3}, {as: p}, {sum: [$p, $p]}]", False),  # one product, read twice
        ("[{linear: 3}, {as: p}, {sum: [$p, {linear: 3}]}]", False),  # a product of a product
        ("[{sum: [{linear: 3}, [{linear: 1}, {reshape: []}]]}]", False),
        ("[{sum: [[{linear: 3}, {times: 2}], {linear: 3}]}]", False),
    ],
)
def test_acts_on_products_that_only_the_sum_reads(main: str, acts: bool) -> None:
    assert bool(fused(f"input: {{x: [3]}}\nscale: [3]\nmain_layers: {main}")) is acts


def test_sources_of_matrices_join_on_the_last_axis() -> None:
    text = """
input: {x: [3]}
scales: [[2, 3], [2, 4]]
main_layers: {each: tanh}
mapping_layers: [[{linear: 3}, {linear: 4}], [{linear: 3}, {linear: 4}]]
"""
    assert fused(text) == ["2 products into y0 run as one", "2 products into y1 run as one"]
    assert section(run("fuse_targets", lowered(text)), "f").count("concat(") == 3  # both weights, one joined source


def test_sources_of_different_lengths_stay_apart() -> None:
    assert not fused("""
input: {x: [3]}
scales: [[2, 3], [6]]
main_layers: {each: tanh}
mapping_layers: [[identity, [flatten, {linear: 6}]], [[{linear: 6}, {reshape: [2, 3]}], identity]]
""")


def test_with_fuse_sources_all_mappings_are_one_product() -> None:
    program = lowered("""
input: {x: [3]}
scales: [[4], [3], [2]]
main_layers: {each: tanh}
mapping_layers: {same: {linear: "${to.size}"}, down: {linear: "${to.size}"}, up: {linear: "${to.size}"}}
post_fuse_layers: {each: sin}
""")
    after = optimise(program, frozenset({"pack"}))
    assert ops(after)[-4:] == ["tanh", "concat", "linear", "sin"]
    assert equal(program, after)
