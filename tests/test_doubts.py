"""What is not wrong but can hardly be meant: a warning with its place, and the spec compiles all the same."""

from __future__ import annotations

import pytest

import deqc
from deqc.diagnostics import Severity

HEAD = "deqc: 1\nname: A\n"
LINEAR = "main_layers: [{sum: [{linear: 3}, $x]}, tanh]\n"
DOUBTS = {
    "N101 3:17 input y": "input: {x: [3], y: [2]}\nscale: [3]\n" + LINEAR,
    "N102 4:11 reads e": "input: {x: [3]}\nencoder: {e: [$x, {linear: 3}]}\nscale: [3]\n" + LINEAR,
    "N103 5:49 row 1": "input: {x: [3]}\nscales: [[3], [2]]\n"
    "main_layers: [[{sum: [{linear: 3}, $x]}, tanh], [{linear: 2}, tanh]]\n"
    "mapping_layers: [[identity, {linear: 2}], [null, null]]\n",
    "N104 5:14 state z": "input: {x: [3]}\nscale: [3]\nmain_layers: [$x, {linear: 3}, tanh]\n",
    "N108 5:13 constant width": "input: {x: [3]}\nscale: [3]\nconstants: {width: 3}\n" + LINEAR,
    "N109 5:10 block b": "input: {x: [3]}\nscale: [3]\nblocks: {b: [c], c: [tanh]}\n" + LINEAR,
    "N110 5:23 parameter n": "input: {x: [3]}\nscale: [3]\nblocks: {b: {params: {n: 4}, body: [tanh]}}\n"
    "main_layers: [{sum: [{linear: 3}, $x]}, b]\n",
    "N111 5:47 value h": "input: {x: [3]}\nscale: [3]\nmain_layers: [{sum: [[{linear: 3}, tanh, {as: h}], $x]}]\n",
    "N112 5:29 result of linear": "input: {x: [3]}\nscale: [3]\nmain_layers: [{linear: 3}, {sum: [$x, [$z, tanh]]}]\n",
}


@pytest.mark.parametrize("expected", DOUBTS)
def test_doubt(expected: str) -> None:
    text = HEAD + DOUBTS[expected]
    (found,) = deqc.check(text)
    code, place, words = expected.split(" ", 2)
    assert (found.code, found.severity) == (code, Severity.WARNING)
    assert f"{found.span.line}:{found.span.column}" == place
    assert words in found.message
    assert found.hint
    assert deqc.compile(text)


@pytest.mark.parametrize(
    ("step", "dropped"),
    [
        ("{sum: [$x, $e]}", True),
        ("{sum: [$x, tanh]}", False),
        ("{sum: [$x, [$e, {residual: tanh}]]}", True),
        ("{cell: [$x, $e]}", True),
        ("cell", False),
        ("{starts: $x}", True),
        ("{starts: [tanh]}", False),
        ("{goes_on: $x}", False),
    ],
)
def test_what_is_dropped_without_a_reference_that_says_so(step: str, dropped: bool) -> None:
    text = (
        "input: {x: [3]}\nscale: [3]\nmodules: {cell: same}\nencoder: {e: {linear: 3}}\nblocks:\n"
        "  starts: {params: {v: {type: value}}, body: [$v, tanh]}\n"
        "  goes_on: {params: {v: {type: value}}, body: [{sum: [identity, $v]}]}\n"
        f"main_layers: [{{linear: 3}}, {step}, {{sum: [identity, $z]}}]\n"
    )
    found = [one for one in deqc.check(HEAD + text) if one.code == "N112"]
    assert [one.span.line for one in found] == ([10] if dropped else [])
    named = text.replace("{linear: 3}, {", "{linear: 3}, {as: h}, {")
    assert "N112" not in [one.code for one in deqc.check(HEAD + named)], "after `as` a step may begin anew"


def test_what_is_read_from_within_is_read() -> None:
    text = (
        "input: {x: [3]}\nconstants: {n: 3, twice: 2}\nscales: [[3], ['${n}']]\nblocks:\n"
        "  b: {params: {out: '${n}', v: {type: value}}, body: [{linear: '${out}'}, {sum: [identity, $v]}]}\n"
        "main_layers: {each: [{as: h}, {repeat: {times: '${twice}', body: [{residual: [{b: {v: $h}}]}]}}]}\n"
        "head: [$z.0, {sum: [identity, $z.1, $x]}]\n"
    )
    assert deqc.check(HEAD + text) == []


def test_an_input_may_be_there_for_its_shape() -> None:
    spread = "{sum: [{linear: 3}, [$u, {linear: 3}, {reshape: [1, 3]}, {expand: $z}]]}"
    text = "input: {u: [5], like: [N, 2], other: [%s, 2]}\nscale: [N, 3]\nmain_layers: [" + spread + ", tanh]\n"
    found = [d.message for d in deqc.check(HEAD + text % "M")]
    assert found == ["nothing reads the input other"]


def test_a_mask_that_is_misspelt_is_one_mistake() -> None:
    text = "input: {x: [N, 3], mask: {shape: [N], dtype: bool}}\nscale: [N, 3]\nsolver: {mask: $msk}\n" + LINEAR
    assert [(d.code, d.hint) for d in deqc.check(HEAD + text)] == [("E043", "did you mean '$mask'?")]


def test_nothing_is_doubtful_in_a_plain_model() -> None:
    text = HEAD + "input: {x: [3]}\nscale: [3]\n" + LINEAR
    assert deqc.check(text) == []
