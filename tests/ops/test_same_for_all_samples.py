"""Steps on values without a batch, parameters of the model: alone, and beside values that have one."""

from __future__ import annotations

import pytest

from tests.ops.compiled import PASSES, build
from tests.test_adjoint import compare_f, compare_model

STEPS = [
    "{sum: [sin, [$row, {expand: $z}]]}",
    "{sum: [sin, [$row, {expand: $table}, tanh]]}",
    "{sum: [sin, [$scalar, {expand: $z}]]}",
    "{sum: [sin, [$tall, {reduce: {op: mean, dim: 0}}, {expand: $z}]]}",
    "{sum: [sin, [$table, {reduce: {op: max, dim: 1, keep: true}}, {expand: $z}]]}",
    "{mul: [sin, [$table, normalize]]}",
    "{mul: [sin, [$table, {normalize: 0}]]}",
    "{sum: [sin, [$tall, {permute: [1, 0]}, {linear: 4}, {permute: [1, 0]}, {last: {dim: 0, like: $z}}]]}",
    "{matmul: {left: $square}}",
    "{matmul: {left: $square, transpose: true}}",
    "{matmul: {left: [$square, tanh]}}",
    "{matmul: {right: $mixing}}",
    "{matmul: {right: $mixing, transpose: true}}",
    "{sum: [sin, [$table, {matmul: {left: $square}}]]}",
    "{sum: [sin, [$square, {matmul: {right: $z}}]]}",
    "{sum: [sin, [$table, {matmul: {left: [$z, {matmul: {right: identity, transpose: true}}, tanh]}}]]}",
    "{bilinear: {of: [identity, $table], out: 4}}",
    "{bilinear: {of: [$table, sin], out: 4, bias: false}}",
    "{sum: [sin, {bilinear: {of: [$table, $table], out: 4}}]}",
    "{attention: {mask: $square}}",
    "{attention: {heads: 2, mask: [$square, tanh], query: $table}}",
    "{attention: {key: $table, value: [$table, {linear: 4}]}}",
    "{sum: [sin, [$table, {attention: {heads: 2, causal: true}}]]}",
    "{sum: [sin, [$table, flatten, {reshape: [3, 4]}]]}",
    "{sum: [sin, [$table, {softmax: 0}], [$table, {log_softmax: 0}]]}",
    "{sum: [sin, [$table, {slice: {dim: 0, stop: 1}}, {expand: $z}]]}",
    "{sum: [sin, [$table, detach, {linear: 4}]]}",
    "{sum: [sin, [$table, {fourier_features: 4}, {linear: 4}]]}",
    "{sum: [sin, [$table, {sinusoidal: 4}, {mul: [identity, $table]}]]}",
]


def spec(step: str) -> str:
    """The step in f, on a state of [3, 4]."""
    return f"""
deqc: 1
name: Same
input: {{x: [3, 4]}}
parameters: {{row: [4], table: [3, 4], tall: [4, 4], square: [3, 3], mixing: [4, 4], scalar: []}}
scale: [3, 4]
main_layers: [{{sum: [identity, $x]}}, {step}, tanh, {{times: 0.4}}]
solver: picard
adjoint: {{linear_solver: gmres}}
"""


@pytest.mark.parametrize("disabled", [frozenset[str](), PASSES], ids=["all passes", "no pass"])
@pytest.mark.parametrize("step", STEPS)
def test_f_and_its_derivatives(step: str, disabled: frozenset[str]) -> None:
    compare_f(build(spec(step), disabled))


@pytest.mark.parametrize("step", STEPS)
def test_whole_model(step: str) -> None:
    compare_model(build(spec(step), scale=0.2))
