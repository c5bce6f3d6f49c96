"""That df/dz is symmetric is proven from the form of f, and never where it is not."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import deqc
from deqc.compiler import compile_text
from deqc.explain import explain
from deqc.ir.symmetry import is_symmetric
from deqc.loading import import_source
from tests.properties import apart

HEAD = "deqc: 1\nname: Model\ninput: {x: [4], g: {shape: [], batch: true}}\n"
HEAD += "parameters: {W: [6, 4], V: [4, 6], a: [], d: [4]}\n"
UP = "{linear: {weight: $W, bias: false}}"
DOWN = "{linear: {weight: $W, transpose: true, bias: false}}"
SYMMETRIC = (
    f"[{UP}, {{times: 8.0}}, softmax, {DOWN}]",
    f"[{UP}, tanh, {DOWN}, {{mul: [identity, $a]}}, {{sum: [identity, $x]}}]",
    "[{times: 0.5}, {linear: {weight: $W}}, tanh, {linear: {weight: $W, transpose: true}}]",
    f"[{{sum: [[{UP}, tanh, {DOWN}], [tanh, {{times: 0.3}}], $x]}}]",
    f"[{UP}, {{mul: [tanh, $g]}}, {DOWN}, {{mul: [identity, $g]}}]",
    "[softmax, {times: 2.0}]",
    "[{mul: [identity, $d]}, tanh, {mul: [identity, $d]}]",
    "[{linear: {weight: $V, transpose: true, bias: false}}, tanh, {linear: {weight: $V, bias: false}}]",
    f"[{UP}, {{linear: {{weight: $V, bias: false}}}}, tanh, {{linear: {{weight: $V, transpose: true}}}}, {DOWN}]",
)
NOT = (
    "[{linear: 4}, tanh]",
    f"[{UP}, tanh, {{linear: {{weight: $V, bias: false}}}}]",
    f"[{UP}, tanh, {DOWN}, tanh]",
    f"[{UP}, {{linear: {{weight: $V}}}}, tanh, {{linear: {{weight: $V, transpose: true}}}}, sigmoid, {DOWN}]",
    f"[tanh, {UP}, tanh, {DOWN}]",
    f"[{UP}, tanh, {DOWN}, {{mul: [identity, $d]}}]",
    f"[{UP}, softmax, tanh, {DOWN}]",
    "[tanh, softmax]",
    f"[{UP}, {{mul: [identity, tanh]}}, {DOWN}, {{sum: [identity, {{linear: 4}}]}}]",
    "[{mul: [softmax, identity]}]",
    f"[{UP}, {{sum: [tanh, [$z, {{linear: 6}}]]}}, {DOWN}]",
    "[{reduce: {op: mean, dim: 0, keep: true}}, {sum: [identity, $a]}, {expand: {like: $x}}]",
)


def jacobian_and_verdict(layers: str) -> tuple[torch.Tensor, bool]:
    """(B, D, D) at a random state, and what is proven."""
    compilation = compile_text(f"{HEAD}scale: [4]\nmain_layers: {layers}\n", "m")
    torch.manual_seed(0)
    module: Any = import_source(compilation.source, "m")
    model = module.Model().double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_()
    x, g, z = (torch.randn(size, dtype=torch.float64) for size in ((2, 4), (2,), (2, 4)))
    rows = torch.autograd.functional.jacobian(lambda one: model.step(one, x, g).sum(0), z)
    return rows.transpose(0, 1), is_symmetric(compilation.lowered)


@pytest.mark.parametrize("layers", SYMMETRIC)
def test_proven(layers: str) -> None:
    jacobian, proven = jacobian_and_verdict(layers)
    assert proven
    assert apart([jacobian], [jacobian.mT]) < 1e-14
    assert bool((jacobian != 0).any())


@pytest.mark.parametrize("layers", NOT)
def test_not_proven(layers: str) -> None:
    jacobian, proven = jacobian_and_verdict(layers)
    assert not proven
    assert apart([jacobian], [jacobian.mT]) > 1e-4 or "reduce" in layers


def test_several_axes_and_several_scales() -> None:
    one = "deqc: 1\nname: M\ninput: {x: [3, 4]}\nparameters: {W: [6, 4]}\nscale: [3, 4]\n"
    one += f"main_layers: [{UP}, softmax, {DOWN}, {{sum: [identity, $x]}}]\n"
    assert is_symmetric(compile_text(one, "m").lowered)
    two = "deqc: 1\nname: M\ninput: {x: [4]}\nscales: [[4], [4]]\nmain_layers: {each: [tanh, {sum: [identity, $x]}]}\n"
    assert not is_symmetric(compile_text(two, "m").lowered)


def test_cg_needs_no_word_where_the_form_shows_it() -> None:
    text = f"{HEAD}scale: [4]\nmain_layers: {SYMMETRIC[1]}\nsolver: picard\nadjoint: {{linear_solver: cg}}\n"
    assert not [one for one in deqc.check(text) if one.code == "E082"]
    assert "df/dz is symmetric, as the form of f shows" in explain(compile_text(text, "m"))
    other = text.replace(SYMMETRIC[1], NOT[1])
    assert [one.code for one in deqc.check(other) if one.code.startswith("E")] == ["E082"]
