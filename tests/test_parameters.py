"""Parameters of the model itself, and what is said of weights: starts, parametrisations, constraints, names."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from math import sqrt
from typing import Any

import pytest
import torch
from torch import Tensor

import deqc
from deqc import reference
from deqc.compiler import compile_text
from deqc.loading import import_model
from tests.properties import apart, gradients, pieces

HEAD = "deqc: 1\nname: Own\ninput: {x: [4]}\nscale: [4]\n"
F = "main_layers: [{sum: [{linear: %s}, $x]}, tanh]\n"
EXACT = (
    "solver: {method: anderson, atol: 1.0e-13, max_steps: 200}\n"
    "adjoint: {method: implicit, linear_solver: {method: gmres, rtol: 1.0e-13, max_steps: 100}}\n"
)


def made(text: str) -> Any:
    """The model of a spec, in float64; the same numbers each time."""
    torch.manual_seed(0)
    return import_model(compile_text(HEAD + text, "own"))().double()


def weight(fields: str) -> Any:
    """The layer `linear` that reads z."""
    return made(F % fields).main_layers["0"]["sum"]["0"]["linear"]


TIED = """
parameters:
  step: {shape: [], init: {constant: 0.3}}
  W: {shape: [5, 4], init: {normal: 0.3}, parametrize: weight_norm}
  K: {shape: [2, 1, 3], init: xavier}
  shift: {shape: [4], trainable: false, init: {uniform: {low: -1, high: 1}}}
blocks: {scaled: [{mul: [identity, $step]}]}
encoder: {e: [$x, {linear: {weight: $W, bias: true}}]}
main_layers:
  - sum:
      - [{linear: {weight: $W, bias: false}}, tanh, {linear: {weight: $W, transpose: true}}, scaled]
      - [{reshape: [1, 4]}, {conv1d: {weight: $K}}, {reduce: {op: mean, dim: 0}}, scaled]
      - [$e, {linear: {out: 4, name: inject}}]
      - $shift
  - tanh
head: [{linear: {weight: $W}}]
"""


def test_one_parameter_in_several_places_computes_what_the_spec_means() -> None:
    compilation = compile_text(HEAD + TIED + EXACT, "own")
    torch.manual_seed(0)
    model: Any = import_model(compilation)().double()
    x = torch.randn(3, 4, dtype=torch.float64)

    def expected(*given: Tensor) -> tuple[Tensor, ...]:
        state = {**dict(model.named_buffers()), **dict(model.named_parameters())}
        found = reference.solve(compilation.lowered, state, given)
        assert found.residual < 1e-12
        return found.output

    assert apart(pieces(model(x)), expected(x)) < 1e-11
    assert apart(gradients(model, (x,), model), gradients(model, (x,), expected)) < 1e-9
    assert {name for name, _ in model.named_parameters() if name.startswith("params.")} == {
        "params.step", "params.W_g", "params.W_v", "params.K"
    }  # fmt: skip
    assert [name for name, _ in model.named_buffers()] == ["params.shift"]
    assert "main_layers.0.sum.2.inject.weight" in model.state_dict()


def test_one_table_embeds_words_and_scores_them() -> None:
    spec = """deqc: 1
name: Own
input: {ids: {shape: [6], dtype: int64}}
scale: [6, 8]
parameters: {E: {shape: [20, 8], init: {normal: 0.3}, parametrize: weight_norm}}
encoder: {inject: [$ids, {embedding: {weight: $E}}]}
main_layers: [{sum: [[{linear: 8}, {times: 0.3}], $inject]}, tanh]
head: [{linear: {weight: $E, bias: false}}]
"""
    compilation = compile_text(spec + EXACT, "own")
    torch.manual_seed(0)
    model: Any = import_model(compilation)().double()
    ids = torch.randint(0, 20, (3, 6))
    expected = reference.solve(compilation.lowered, dict(model.named_parameters()), (ids,)).output
    weights = list(model.parameters())
    assert apart([model(ids)], expected) < 1e-11
    got = torch.autograd.grad(model(ids).square().sum(), weights)
    assert apart(got, torch.autograd.grad(expected[0].square().sum(), weights)) < 1e-9


def test_parameters_are_drawn_before_layers_in_their_order() -> None:
    chain = "[{linear: {weight: $A, transpose: true, bias: false}}, tanh, {linear: {weight: $B, bias: false}}]"
    model = made(f"parameters: {{A: [4, 3], B: [4, 3], a: [3], s: []}}\nmain_layers: {chain}\n")
    torch.manual_seed(0)
    first, second = (torch.empty(4, 3).uniform_(-1 / sqrt(3), 1 / sqrt(3)) for _ in range(2))
    assert apart([model.params.A, model.params.B], [first.double(), second.double()]) < 1e-7
    assert model.params.a.tolist() == [0.0] * 3
    assert model.params.s.item() == 0


@pytest.mark.parametrize(
    ("said", "holds"),
    [
        ("zeros", lambda w: (w == 0).all()),
        ("{constant: 0.25}", lambda w: (w == 0.25).all()),
        ("{normal: {std: 0.01}}", lambda w: 0.003 < w.std() < 0.02),
        ("{uniform: {low: 2, high: 3}}", lambda w: (w >= 2).all() and (w <= 3).all() and w.std() > 0.1),
        ("uniform_fan_in", lambda w: 0.1 < w.abs().max() <= 1 / 4),
        ("{uniform_fan_in: 8}", lambda w: 1 < w.abs().max() <= 2),
        ("kaiming_uniform", lambda w: 0.25 < w.abs().max() <= 1 / 2),
        ("{xavier: {gain: 2}}", lambda w: 1 < w.abs().max() <= 2 * sqrt(6 / 8)),
        ("orthogonal", lambda w: torch.allclose(w @ w.mT, torch.eye(4).double(), atol=1e-6)),
        ("{orthogonal: 3}", lambda w: torch.allclose(w @ w.mT, 9 * torch.eye(4).double(), atol=1e-5)),
    ],
)
def test_starts(said: str, holds: Any) -> None:
    assert bool(holds(weight(f"{{out: 4, weight_init: {said}}}").weight))


def test_a_bias_has_a_start_of_its_own() -> None:
    layer = weight("{out: 4, bias_init: {constant: 2}}")
    assert layer.bias.tolist() == [2.0] * 4
    assert float(layer.weight.detach().abs().max()) <= 0.5


def value(model: Any) -> Tensor:
    """The weight that f multiplies z by, made of its parts."""
    weights: tuple[Tensor, ...] = model.weights(torch.zeros(1, 4).double())
    return next(w for w in weights if w.shape == (4, 4))


@pytest.mark.parametrize(
    ("said", "holds"),
    [
        ("weight_norm", lambda w, plain: torch.allclose(w, plain, atol=1e-7)),
        ("{weight_norm: 1}", lambda w, plain: torch.allclose(w, plain, atol=1e-7)),
        ("{spectral_norm: 0.9}", lambda w, plain: abs(float(torch.linalg.matrix_norm(w, 2)) - 0.9) < 1e-6),
        ("nonneg", lambda w, plain: (w > 0).all() and torch.allclose(w, plain.abs().clamp_min(1e-4), atol=1e-6)),
        ("skew", lambda w, plain: torch.allclose(w, plain - plain.mT, atol=1e-7)),
        ("orthogonal", lambda w, plain: torch.allclose(w @ w.mT, torch.eye(4).double(), atol=1e-7)),
    ],
)
def test_parametrised_weights_start_where_they_should_and_stay(said: str, holds: Any) -> None:
    fields = "{out: 4, bias: false, parametrize: %s}"
    plain = weight("{out: 4, bias: false}").weight.detach()
    model = made(F % (fields % said) + EXACT)
    assert bool(holds(value(model).detach(), plain))
    optimiser = torch.optim.SGD(model.parameters(), 0.05)
    for _ in range(3):
        optimiser.zero_grad()
        model(torch.randn(6, 4).double()).square().sum().backward()
        assert all(p.grad is not None and p.grad.any() for p in model.parameters())
        optimiser.step()
    now = value(model).detach()
    assert not torch.allclose(now, plain, atol=1e-3)
    if "weight_norm" not in said:  # what it promises holds for any value of its parts
        for _ in range(50 if "spectral" in said else 0):
            model(torch.randn(1, 4).double())
        checks: dict[str, Callable[[Tensor], bool]] = {
            "spectral": lambda w: abs(float(torch.linalg.matrix_norm(w, 2)) - 0.9) < 1e-4,
            "nonneg": lambda w: bool((w > 0).all()),
            "skew": lambda w: torch.allclose(w, -w.mT),
            "orthogonal": lambda w: torch.allclose(w @ w.mT, torch.eye(4).double(), atol=1e-7),
        }
        assert next(check for name, check in checks.items() if name in said)(value(model).detach())


def test_singular_vectors_turn_in_training_only_and_never_under_a_derivative() -> None:
    model = made(F % "{out: 4, parametrize: {spectral_norm: {target: 0.5, iterations: 2}}}" + EXACT)
    layer = model.main_layers["0"]["sum"]["0"]["linear"]
    with torch.no_grad():
        layer.weight_raw.add_(torch.randn(4, 4).double())
    x = torch.randn(3, 4).double()
    total = model(x).sum() + model(2 * x).sum()  # two passes, one backward: the vectors have turned in between
    total.backward()
    model.eval()
    before = layer.weight_left.clone()
    model(x)
    assert torch.equal(before, layer.weight_left)
    model.train()
    parameters = {name: p.detach() for name, p in model.named_parameters()}
    torch.func.grad(lambda p: torch.func.functional_call(model, p, (x,)).sum())(parameters)
    assert torch.equal(before, layer.weight_left)
    model(x)
    assert not torch.equal(before, layer.weight_left)


@pytest.mark.parametrize(
    ("said", "distance"),
    [
        ("nonneg", lambda w: float((-w).clamp_min(0).max())),
        ("{inf_norm_ball: 0.6}", lambda w: float(w.abs().sum(1).max()) - 0.6),
        ("{spectral_ball: {radius: 0.4}}", lambda w: float(torch.linalg.matrix_norm(w, 2)) - 0.4),
    ],
)
def test_projections_obey_and_leave_alone_what_obeys(said: str, distance: Any) -> None:
    model = made(F % f"{{out: 4, constraint: {said}}}")
    layer = model.main_layers["0"]["sum"]["0"]["linear"]
    assert distance(layer.weight.detach()) <= 1e-6  # as it starts
    before = layer.weight.detach().clone()
    model.project_()
    assert apart([layer.weight], [before]) < 1e-6
    with torch.no_grad():
        layer.weight.add_(torch.randn(4, 4).double())
    outside = layer.weight.detach().clone()
    assert distance(outside) > 0.1
    model.project_()
    projected = layer.weight.detach().clone()
    assert distance(projected) <= 1e-6
    generator = torch.Generator().manual_seed(1)
    for _ in range(200):  # none that obeys is nearer
        other = projected + 0.05 * torch.randn(4, 4, generator=generator, dtype=torch.float64)
        if distance(other) <= 0:
            assert float((other - outside).norm()) >= float((projected - outside).norm()) - 1e-9


def test_a_model_without_constraints_has_nothing_to_project() -> None:
    assert not hasattr(made(F % "4"), "project_")


def test_a_name_takes_the_place_of_the_step_in_paths_and_frees_its_number() -> None:
    model = made("main_layers: [{linear: {out: 5, name: first}}, tanh, {linear: 4}, {sum: [identity, $x]}]\n")
    layers = [name.removeprefix("main_layers.0.") for name, _ in model.named_parameters()]
    assert layers == ["first.weight", "first.bias", "linear.weight", "linear.bias"]


def test_nobody_reads_it() -> None:
    found = deqc.check(HEAD + "parameters: {W: [4, 4], W_g: [4, 4]}\n" + F % "{weight: $W_g}")
    assert [(d.code, d.message) for d in found] == [("N106", "nothing reads the parameter W")]


@pytest.mark.slow
def test_compiled_training_turns_the_vectors_too() -> None:
    eager = made(F % "{out: 4, parametrize: {spectral_norm: {target: 0.5, iterations: 2}}}" + EXACT)
    with torch.no_grad():
        eager.main_layers["0"]["sum"]["0"]["linear"].weight_raw.add_(torch.randn(4, 4).double())
    model = deepcopy(eager)
    compiled: Any = torch.compile(model, fullgraph=True)
    for _ in range(2):
        x = torch.randn(3, 4).double()
        assert apart([compiled(x)], [eager(x)]) < 1e-11
        assert apart(gradients(model, (x,), compiled), gradients(eager, (x,), eager)) < 1e-9
    assert apart(list(model.buffers()), list(eager.buffers())) < 1e-12
