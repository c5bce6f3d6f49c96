"""Positions that the stop test does not look at."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
import torch

import deqc
from deqc.compiler import compile_text
from deqc.diagnostics import SpecError
from deqc.explain import explain
from deqc.loading import import_source
from deqc.settings import MODES

F64 = torch.float64


def spec(
    mask: str = "$mask",
    inputs: str = "mask: {shape: [L], dtype: bool}",
    scales: str = "scale: [L, 2]",
    main: str = "[{times: 0.5}, {sum: [identity, $x]}]",
    x: str = "[L, 2]",
    **settings: object,
) -> str:
    """f(z) = z / 2 + x at every position."""
    solver = json.dumps({"method": "picard", "on_failure": "ignore", "max_steps": 200, "mask": mask, **settings})
    return f"deqc: 1\nname: M\ninput: {{x: {x}, {inputs}}}\n{scales}\nmain_layers: {main}\nsolver: {solver}\n"


def model(*arguments: Any, **settings: Any) -> Any:
    """Its model."""
    return import_source(compile_text(spec(*arguments, **settings), "m").source, "made").M().double()


X = torch.tensor([[[1.0, -1.0], [0.5, 2.0], [1e6, 1e6]], [[1e3, 1.0], [1e5, 0.0], [1.0, 1.0]]], dtype=F64)
VALID = torch.tensor([[True, True, False], [True, False, False]])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("norm", ["max", "l2", "rms"])
def test_a_padded_sample_stops_where_the_short_one_does(mode: str, norm: str) -> None:
    """The positions do not see each other, so that without the padding the solve is the same."""
    made = model(termination={"mode": mode, "norm": norm}, atol=1e-6, rtol=1e-6)
    padded = made.solve(X, VALID).original
    for k, length in enumerate(VALID.sum(1).tolist()):
        short = made.solve(X[k : k + 1, :length], VALID[k : k + 1, :length]).original
        for name in ("status", "steps", "residual_norm", "best_residual_norm"):
            torch.testing.assert_close(getattr(padded, name)[k : k + 1], getattr(short, name))
    everywhere = made.solve(X, torch.ones_like(VALID)).original
    if mode.startswith("abs"):
        assert bool((everywhere.steps > padded.steps).all())


def test_the_norm_over_a_batch_counts_what_is_seen() -> None:
    made = model(termination={"mode": "abs_norm", "norm": "rms"}, coupling="batch", atol=1e-6)
    seen = made.solve(X, VALID).original.steps
    r0 = X[VALID].square().mean().sqrt()  # f(0) - 0, halved by every step
    assert seen.tolist() == [math.ceil(math.log2(float(r0) / 1e-6))] * 2


def test_where_nothing_is_seen_there_is_nothing_to_do() -> None:
    """Even if the padding is not finite."""
    valid = torch.tensor([[False] * 3, [True, False, False]])
    x = X.clone()
    x[0], x[1, 1] = math.nan, math.inf
    record = model().solve(x, valid).original
    assert record.status.tolist() == [0, 0]
    assert record.steps[0] == 0
    assert record.residual_norm[0] == 0


def test_bare_fixed_point_looks_everywhere_unless_told() -> None:
    module = import_source(compile_text(spec(), "m").source, "made")
    z0 = torch.tensor([[1.0, 1e9]], dtype=F64)
    all_, some = (module.fixed_point(lambda z: z / 2, z0, mask=m)[1] for m in (None, torch.tensor([[True, False]])))
    assert (int(some.steps), bool(all_.steps > 30)) == (9, True)


def test_scales_and_images_and_ones() -> None:
    """In the packed state an image has its channels last; a size of 1 stands for any."""
    main = "[{times: 0.5}, {sum: [identity, $x]}]"
    made = model(inputs="mask: {shape: [1, 2, 3], dtype: bool}", scales="scale: [4, 2, 3]", main=main, x="[4, 2, 3]")
    x = torch.zeros(1, 4, 2, 3, dtype=F64)
    x[0, :, 1, 2] = 1e9
    mask = torch.ones(1, 1, 2, 3, dtype=torch.bool)
    mask[..., 1, 2] = False
    assert made.solve(x, mask).original.steps.tolist() == [0]
    assert made.solve(x, ~mask).original.steps.tolist() > [30]
    main = "[[{times: 0.5}, {sum: [identity, $x]}], [{times: 0.5}]]"
    made = model(inputs="mask: {shape: [3], dtype: bool}", scales="scales: [[3], [3, 5]]", main=main, x="[3]")
    x = torch.tensor([[0.0, 1e9, 0.0]], dtype=F64)
    seen = [made.solve(x, torch.tensor([one])).original.steps.tolist() for one in ([True, False, True], [True] * 3)]
    assert seen[0] == [0]
    assert seen[1] > [30]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"mask": "$other"}, "E043"),
        ({"mask": "other"}, "E022"),
        ({"inputs": "mask: [L]"}, "E066"),
        ({"inputs": "mask: {shape: [L], dtype: int64}"}, "E066"),
        ({"inputs": "mask: {shape: [3, L], dtype: bool}"}, "E060"),
        ({"inputs": "mask: {shape: [L, 2, 1], dtype: bool}"}, "E060"),
    ],
)
def test_a_mask_that_does_not_fit_is_told(arguments: dict[str, Any], code: str) -> None:
    with pytest.raises(SpecError) as fault:
        deqc.compile(spec(**arguments))
    (told,) = [one for one in fault.value.diagnostics if one.severity.value == "error"]
    assert (told.code, told.span.line) == (code, 6)


def test_it_is_told_and_nothing_is_doubted() -> None:
    compilation = compile_text(spec(), "m")
    assert not compilation.warnings
    assert "where mask is true" in explain(compilation)
