"""variational_dropout: one mask a solve, shared by what is dropped together, ones in evaluation."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import deqc

SPEC = """\
deqc: 1
name: Masked
input: {{x: {shape}}}
scale: {shape}
main_layers: [{{times: 0.5}}, {{variational_dropout: {{p: 0.25, per: {per}}}}}, {{sum: [identity, $x]}}, tanh]
"""


@pytest.mark.parametrize(
    ("per", "shape", "mask"),
    [("element", [40], (40,)), ("channel", [40, 3, 3], (40, 1, 1)), ("token", [40, 6], (40, 1))],
)
def test_mask(per: str, shape: list[int], mask: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    model: Any = deqc.load(SPEC.format(per=per, shape=shape))()
    x = torch.randn(50, *shape)
    drawn = model.weights(x).mask
    assert drawn.shape == (50, *mask)
    torch.testing.assert_close(drawn.unique(), torch.tensor([0.0, 1 / 0.75]))
    assert abs(float((drawn == 0).float().mean()) - 0.25) < 0.05
    assert not torch.equal(drawn, model.weights(x).mask)
    assert torch.equal(model.eval().weights(x).mask, torch.ones(50, *mask))


def test_nothing_is_dropped_at_zero() -> None:
    text = SPEC.format(per="element", shape="[4]").replace("0.25", "0")
    assert "mask" not in deqc.compile(text)
