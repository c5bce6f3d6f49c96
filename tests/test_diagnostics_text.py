"""How mistakes read where nothing renders them: in a traceback, in a notebook."""

from __future__ import annotations

import pytest

import deqc

SPEC = 'deqc: 1\nname: M\ninput: {x: [4]}\nscale: [4]\nmain_layers: [{lniear: 4}, {"a\\nb": 3}]\nsolver: {steps: 3}\n'


def test_a_mistake_reads_as_a_place_a_code_and_a_hint() -> None:
    first = deqc.check(SPEC)[0]
    assert str(first) == "<spec>:5:16: error[E042]: there is no step 'lniear'\n    hint: did you mean 'linear'?"


def test_an_exception_holds_every_mistake_on_lines_of_its_own() -> None:
    with pytest.raises(deqc.SpecError) as raised:
        deqc.compile(SPEC)
    text = str(raised.value)
    heads = [line for line in text.split("\n") if not line.startswith("    ")]
    assert len(heads) == len(raised.value.diagnostics) == 3
    assert text == "\n".join(str(one) for one in deqc.check(SPEC))
    assert "" not in text.split("\n")
