"""`pack`: small dense scales run as one vector."""

from __future__ import annotations

import pytest
import torch

from deqc.ops import STEPS
from deqc.passes import optimise
from tests.passes.programs import equal, lowered, ops, run, said, section, shown

SPEC = """
input: {x: [2]}
scales: [[2], [1]]
main_layers: [[{sum: [{linear: {out: 2, bias: false}}, $x]}, tanh], [{linear: 1}, tanh]]
mapping_layers: [[identity, [{linear: 1}, tanh]], [[{linear: 2}, tanh], identity]]
"""

BEFORE = """
%1 = state() : (B, 3)
%3 = unpack(%1; shape=(2,), start=0, stop=2, whole=False) : (B, 2)
%6 = linear(%3, %5; bias=False, layer='main_layers.0.sum.0.linear', out=2) : (B, 2)
%7 = sum(%6, %0) : (B, 2)
%8 = tanh(%7) : (B, 2)
%4 = unpack(%1; shape=(1,), start=2, stop=3, whole=False) : (B, 1)
%11 = linear(%4, %9, %10; bias=True, layer='main_layers.1.linear', out=1) : (B, 1)
%12 = tanh(%11) : (B, 1)
%19 = linear(%12, %17, %18; bias=True, layer='mapping_layers.1.0.linear', out=2) : (B, 2)
%20 = tanh(%19) : (B, 2)
%21 = sum(%8, %20) : (B, 2)
%15 = linear(%8, %13, %14; bias=True, layer='mapping_layers.0.1.linear', out=1) : (B, 1)
%16 = tanh(%15) : (B, 1)
%22 = sum(%16, %12) : (B, 1)
%25 = pack(%21, %22; ranks=(1, 1), sizes=(2, 1)) : (B, 3)
return %25
"""
AFTER = """
%1 = state() : (B, 3)
%10 = rows(%3, %4; height=3, lefts=(0, 2), tops=(0, 2), width=3) : (3, 3)
%11 = pad(%5; after=0, batched=False, before=2, dim=0) : (3,)
%12 = linear(%1, %10, %11; bias=True, out=3) : (B, 3)
%13 = pad(%0; after=1, batched=True, before=0, dim=0) : (B, 3)
%14 = sum(%12, %13) : (B, 3)
%15 = tanh(%14) : (B, 3)
%16 = rows(%8, %6; height=3, lefts=(2, 0), tops=(0, 2), width=3) : (3, 3)
%17 = concat(%9, %7; batched=False, dim=0) : (3,)
%18 = linear(%15, %16, %17; bias=True, out=3) : (B, 3)
%19 = tanh(%18) : (B, 3)
%20 = sum(%15, %19) : (B, 3)
return %20
"""


def test_the_program_before_and_after() -> None:
    program = lowered(SPEC)
    after = run("pack", program)
    assert section(program, "f") == BEFORE.strip()
    assert section(after, "f") == AFTER.strip()
    assert equal(program, after)
    assert said(after, "pack") == ["2 scales run as one vector of 3 numbers"]


def packed(text: str) -> bool:
    program = lowered(text)
    after = run("pack", program)
    assert equal(program, after)
    if after.f.op == "pack":
        assert shown(after) == shown(program)
    return after.f.op != "pack"


def scales(sizes: list[int], main: str, mapping: str = "", activation: str = "tanh", missing: bool = False) -> str:
    """Scales with the main layers `main` and with linear mappings between neighbours, or between all."""
    rows = []
    for i, _ in enumerate(sizes):
        row = [
            "identity" if i == j else "null" if missing and abs(i - j) > 1 else f"[{{linear: {n}}}, {activation}]"
            for j, n in enumerate(sizes)
        ]
        rows.append(f"  - [{', '.join(row)}]")
    shapes = ", ".join(f"[{n}]" for n in sizes)
    matrix = mapping or "\n" + "\n".join(rows)
    return f"input: {{x: [2]}}\nscales: [{shapes}]\nmain_layers: {main}\nmapping_layers: {matrix}\n"


LAYER = '{each: [{linear: "${scale.size}"}, tanh]}'


@pytest.mark.parametrize(
    ("text", "acts"),
    [
        (scales([3, 2], LAYER), True),
        (scales([3, 2, 1, 2], LAYER, missing=True), True),
        (scales([3, 2, 1, 2], LAYER, activation="sin", missing=True), True),
        (scales([3, 2, 1, 2], LAYER, activation="sigmoid"), True),  # no connection is missing
        (scales([3, 2, 1], LAYER, activation="sigmoid", missing=True), False),  # σ(0) would be added
        (scales([3, 2, 1, 2], LAYER, activation="cos", missing=True), False),
        (scales([3, 2, 1], LAYER, activation="{clamp: {min: 0.5}}", missing=True), False),
        (scales([3, 2], "{each: identity}"), True),  # h_i is z_i
        (scales([3, 2], "[identity, [{linear: 2}, tanh]]"), False),
        (scales([3, 2], "[[{linear: 3}, tanh], [{linear: 2}, sin]]"), False),  # activations differ
        (scales([3, 2], "[[{linear: 3}, {times: 2}], [{linear: 2}, {times: 3}]]"), False),  # constants differ
        (scales([3, 2], '{each: [{linear: "${scale.size}"}, softmax]}'), False),  # not entry by entry
        (scales([3, 3], "{each: [{sum: [{linear: 3}, $z.0]}, tanh]}"), False),  # the second reads the first
        (scales([2, 2], "{each: [{sum: [{linear: 2}, $x]}, tanh]}"), True),
        (scales([2, 1], "[[{sum: [identity, $x]}, tanh], tanh]"), True),
        (scales([3, 2], LAYER, mapping="[[identity, null], [null, identity]]"), True),
    ],
)
def test_acts_on_scales_that_are_made_alike(text: str, acts: bool) -> None:
    assert packed(text) is acts


@pytest.mark.parametrize("sizes", [(7, 3), (3, 7), (4, 3), (2, 5), (3, 4)])
def test_values_of_another_size_than_their_scale_keep_apart(sizes: tuple[int, int]) -> None:
    """Blocks of other sizes would overlap, or leave gaps, in a matrix laid out by the scales."""
    a, b = sizes
    text = f"""
input: {{x: [2]}}
scales: [[4], [3]]
main_layers: [[{{linear: {a}}}, tanh], [{{linear: {b}}}, tanh]]
mapping_layers: [[[{{linear: 4}}, tanh], [{{linear: 3}}, tanh]], [[{{linear: 4}}, tanh], [{{linear: 3}}, tanh]]]
"""
    assert packed(text) is (sizes == (4, 3))


def test_one_scale_images_and_matrices_have_nothing_to_pack() -> None:
    for text in (
        "input: {x: [2]}\nscales: [[4]]\nmain_layers: {each: tanh}",
        "input: {x: [2]}\nscales: [[2, 2], [4]]\nmain_layers: {each: tanh}",
        "input: {x: [2]}\nscales: [[1, 2, 2], [1, 2, 2]]\nmain_layers: {each: tanh}",
    ):
        program = lowered(text)
        assert run("pack", program) is program


def test_sixteen_scales() -> None:
    program = lowered(scales([1 + i % 3 for i in range(16)], LAYER, missing=True))
    after = optimise(program)
    assert equal(program, after)
    assert "unpack" not in ops(after)
    assert ops(after).count("linear") == 2


def test_the_cost_of_zeros_is_bounded() -> None:
    small, large = (run("pack", lowered(scales([n] * 2, LAYER))) for n in (70, 90))
    assert said(small, "pack") == ["2 scales run as one vector of 140 numbers"]
    assert large.f.op == "pack"
    (note,) = said(large, "pack")
    assert note.startswith("the scales stay apart, packed they would cost ")


def test_why_not_is_said() -> None:
    after = run("pack", lowered(scales([3, 2, 1], LAYER, activation="sigmoid", missing=True)))
    assert said(after, "pack") == ["the scales stay apart, sigmoid of nothing is not nothing"]


def test_post_fuse_layers() -> None:
    text = scales([3, 2], LAYER)
    assert packed(text + "post_fuse_layers: {each: tanh}")
    assert packed(text + "post_fuse_layers: [tanh, null]")
    assert not packed(text + "post_fuse_layers: [sigmoid, null]")
    assert packed(text + 'post_fuse_layers: {each: [{linear: "${scale.size}"}, sin]}')


def test_state_dependent_weights_of_no_bias_get_zeros() -> None:
    main = "[[{linear: {out: 3, bias: false}}, tanh], [{linear: 2}, tanh]]"
    program = lowered(scales([3, 2], main))
    after = run("pack", program)
    assert equal(program, after)
    assert "pad(" in section(after, "f")


@pytest.mark.parametrize("name", [name for name, op in STEPS.items() if op.elementwise])
def test_zero_preserving_is_what_the_op_does_to_zero(name: str) -> None:
    """Sparse matrices rest on it."""
    op = STEPS[name]
    attributes = {field.name: field.default for field in op.fields} | {"by": 2.0, "min": -1.0, "max": 1.0}
    at_zero = op.meaning(torch, attributes, torch.zeros(1, dtype=torch.float64))
    assert not op.zero_preserving or float(at_zero) == 0.0
