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


def test_an_input_may_be_there_for_its_shape() -> None:
    spread = "{sum: [{linear: 3}, [$u, {linear: 3}, {reshape: [1, 3]}, {expand: $z}]]}"
    text = "input: {u: [5], like: [N, 2], other: [%s, 2]}\nscale: [N, 3]\nmain_layers: [" + spread + ", tanh]\n"
    found = [d.message for d in deqc.check(HEAD + text % "M")]
    assert found == ["nothing reads the input other"]


def test_nothing_is_doubtful_in_a_plain_model() -> None:
    text = HEAD + "input: {x: [3]}\nscale: [3]\n" + LINEAR
    assert deqc.check(text) == []
