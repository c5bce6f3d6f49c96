"""`fuse_sources`: layers that share a source are one product or convolution with stacked outputs."""

from __future__ import annotations

import pytest

from tests.passes.programs import equal, lowered, ops, run, said, section

SPEC = """
input: {x: [3]}
scale: [2]
main_layers: [{sum: [[{linear: 2}, tanh], [{linear: {out: 2, bias: false}}, tanh]]}]
"""

BEFORE = """
%1 = state() : (B, 2)
%5 = linear(%1, %3, %4; bias=True, layer='main_layers.0.sum.0.linear', out=2) : (B, 2)
%6 = tanh(%5) : (B, 2)
%8 = linear(%1, %7; bias=False, layer='main_layers.0.sum.1.linear', out=2) : (B, 2)
%9 = tanh(%8) : (B, 2)
%10 = sum(%6, %9) : (B, 2)
return %10
"""
AFTER = """
%5 = state() : (B, 2)
%6 = concat(%2, %4; batched=False, dim=0) : (4, 2)
%7 = zeros(%4; batched=False, shape=(2,)) : (2,)
%8 = concat(%3, %7; batched=False, dim=0) : (4,)
%9 = linear(%5, %6, %8; bias=True, out=4) : (B, 4)
%10 = tanh(%9) : (B, 4)
%11 = fold(%10; parts=2) : (B, 2)
return %11
"""


def test_the_program_before_and_after() -> None:
    program = lowered(SPEC)
    after = run("fuse_sources", program)
    assert section(program, "f") == BEFORE.strip()
    assert section(after, "f") == AFTER.strip()
    assert equal(program, after)
    assert said(after, "fuse_sources") == ["2 linear layers on z run as one with 4 features"]


def stacked(text: str) -> list[str]:
    program = lowered(text)
    after = run("fuse_sources", program)
    assert equal(program, after)
    return said(after, "fuse_sources")


def dense(main: str) -> str:
    return f"input: {{x: [3]}}\nscale: [3]\nmain_layers: {main}"


def conv(*layers: str) -> str:
    branches = ", ".join(f"[{{conv2d: {{out: 4, {layer}}}}}, tanh]" for layer in layers)
    return f"input: {{x: [1]}}\nscale: [4, 5, 5]\nmain_layers: [{{sum: [{branches}]}}]"


TWO = "2 linear layers on z run as one with 6 features"


@pytest.mark.parametrize(
    ("main", "notes"),
    [
        ("[{sum: [{linear: 3}, [{linear: 3}, tanh]]}]", [TWO]),  # sliced before the activation
        ("[{sum: [[{linear: 3}, tanh], [{linear: 3}, sigmoid]]}]", [TWO]),  # activations differ
        ("[{sum: [[{linear: 3}, {leaky_relu: 0.1}], [{linear: 3}, {leaky_relu: 0.2}]]}]", [TWO]),  # by a constant
        ("[{mul: [[{linear: 3}, tanh], [{linear: 3}, tanh]]}]", [TWO]),  # not added up
        ("[{sum: [[{linear: 3}, softmax], [{linear: 3}, softmax]]}]", [TWO]),  # softmax sees all entries
        ("[{sum: [[{linear: 2}, tanh, {linear: 3}], [{linear: 4}, tanh, {linear: 3}]]}]", [TWO]),  # widths differ
        ("[{sum: [[{linear: 3}, tanh], [sin, {linear: 3}, tanh]]}]", []),  # sources differ
        ("[{sum: [[{linear: 3}, tanh], [$x, {linear: 3}, tanh]]}]", []),  # one is invariant
        ("[{sum: [[$x, {linear: 3}, tanh], [$x, {linear: 3}, tanh], identity]}]", []),  # both are
        ("[{linear: 3}, {linear: 3}]", []),  # one after the other
        ("[{as: s}, {linear: 3}, {as: a}, tanh, {as: b}, {sum: [[$s, {linear: 3}], $b]}, {as: c}, $a]", []),  # dead
    ],
)
def test_dense(main: str, notes: list[str]) -> None:
    assert stacked(dense(main)) == notes


def test_the_activation_of_a_value_that_is_also_read_before_it_is_not_lifted() -> None:
    text = dense("[{as: s}, {linear: 3}, {as: a}, tanh, {sum: [identity, $a, [$s, {linear: 3}, tanh]]}]")
    assert stacked(text) == [TWO]
    assert ops(run("fuse_sources", lowered(text))).count("tanh") == 2


def test_equal_widths_that_are_added_become_one_view() -> None:
    text = dense("[{sum: [[{linear: 3}, tanh], $x, [{linear: 3}, tanh], [{linear: 3}, tanh]]}]")
    assert stacked(text)
    assert ops(run("fuse_sources", lowered(text)))[-4:] == ["linear", "tanh", "fold", "sum"]


def test_one_part_added_twice_is_no_fold() -> None:
    text = dense("[{sum: [[{linear: 3}, tanh, {as: p}, {sum: [$p, $p]}], [{linear: 3}, tanh]]}]")
    assert stacked(text) == [TWO]
    assert "fold(" not in section(run("fuse_sources", lowered(text)), "f")


def test_slices_put_together_again_go() -> None:
    text = dense("[{concat: [[{linear: 3}, tanh], [{linear: 2}, tanh]]}, {linear: 3}]")
    stacked(text)
    assert ops(run("fuse_sources", lowered(text)))[-3:] == ["linear", "tanh", "linear"]
    halves = "{concat: [[$p, {slice: {start: 3}}], [$p, {slice: {stop: 3}}]]}"
    other = dense(f"[{{linear: 6}}, {{as: p}}, {halves}, {{linear: 3}}]")
    stacked(other)
    assert "concat" in ops(run("fuse_sources", lowered(other)))  # in another order


@pytest.mark.parametrize(
    ("layers", "count"),
    [
        (("kernel: 3", "kernel: 3"), 2),
        (("kernel: 3", "kernel: 3, bias: false"), 2),
        (("kernel: 3, bias: false", "kernel: 3, bias: false"), 2),
        (("kernel: 3", "kernel: [3, 3], padding: 1"), 2),  # the same geometry in other words
        (("kernel: 3", "kernel: 3, dilation: 2"), 0),
        (("kernel: 3", "kernel: 5"), 0),
        (("kernel: 3", "kernel: [1, 3]"), 0),
        (("kernel: 3, groups: 2", "kernel: 3, groups: 2"), 0),
        (("kernel: 3, padding_mode: circular", "kernel: 3, padding_mode: circular"), 0),
        (("kernel: 3", "kernel: 1", "kernel: 3"), 2),
    ],
)
def test_convolutions_of_one_geometry(layers: tuple[str, ...], count: int) -> None:
    apart = f"{len(layers) - count} of {len(layers)} conv2d layers on z run apart: geometry or groups differ"
    expected = [apart] if count < len(layers) else []
    expected += [f"{count} conv2d layers on z run as one with {4 * count} channels"] if count else []
    assert stacked(conv(*layers)) == expected


def test_strides_differ() -> None:
    text = """
input: {x: [1]}
scales: [[2, 4, 4], [2, 2, 2]]
main_layers: {each: tanh}
mapping_layers:
  - [{conv2d: {out: 2, kernel: 3}}, {conv2d: {out: 2, kernel: 3, stride: 2}}]
  - [null, identity]
"""
    assert [note.partition(":")[0] for note in stacked(text)] == ["2 of 2 conv2d layers on h0 run apart"]


def test_no_activation_is_lifted_past_the_result() -> None:
    text = dense("[{sum: [{linear: 3}, {linear: 3}]}, {as: a}, tanh, {as: b}, $a]")
    assert stacked(text) == [TWO]


def test_paddings_differ_though_sizes_do_not() -> None:
    layers = ", ".join(f"{{conv2d: {{out: 4, kernel: 1, stride: 4, padding: {p}}}}}" for p in (0, 1))
    text = f"input: {{x: [1]}}\nscale: [4, 6, 6]\nmain_layers: [{{sum: [{layers}]}}, {{upsample: 3}}]"
    assert stacked(text) == ["2 of 2 conv2d layers on z run apart: geometry or groups differ"]
