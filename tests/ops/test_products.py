"""Generated products v -> (df/dz) v: against torch, and against the transposed product."""

from __future__ import annotations

import json

import pytest
import torch
from torch import Tensor

from deqc.compiler import compile_text
from deqc.explain import explain
from deqc.loading import import_source
from tests.ops import programs, table
from tests.ops.compiled import PASSES, Compiled, build, gap
from tests.ops.test_table import rows
from tests.ops.test_table import spec as with_one_op

CLOSE = 1e-10
FEW, MANY = range(16), range(16, 400)


def with_products(text: str) -> str:
    """The spec with a solver that reads products."""
    assert "solver: picard" in text
    return text.replace("solver: picard", "solver: newton_krylov")


def compare(case: Compiled) -> None:
    module, z, v, u = case.module, case.state(), case.state(5), case.state(6)
    w = type(case.weights())(*(one.detach() for one in case.weights()))
    product: Tensor = module.products(z, w)(v)
    expected = torch.func.jvp(lambda z: module.f(z, w), (z,), (v,))[1]
    assert gap(product, expected) < CLOSE
    assert gap((u * product).sum(1), (case.vjp(u, z, w) * v).sum(1)) < CLOSE


@rows
@pytest.mark.parametrize("disabled", [frozenset(), pytest.param(PASSES, marks=pytest.mark.slow)], ids=["all", "none"])
def test_every_op(row: table.Row, disabled: frozenset[str]) -> None:
    case = build(with_products(with_one_op(row)), disabled, scale=0.7)
    derivatives = case.compilation.derivatives
    assert derivatives is not None
    assert (derivatives.jvp is None) == row.autograd
    if row.autograd:  # then torch makes all of them
        assert not hasattr(case.module, "products")
        assert "products (df/dz) v by torch.func" in explain(case.compilation)
    else:
        compare(case)


@pytest.mark.parametrize("seed", [*FEW, *(pytest.param(s, marks=pytest.mark.slow) for s in MANY)])
def test_random_programs(seed: int) -> None:
    text = json.loads(programs.spec(seed))
    case = build(json.dumps({**text, "solver": "newton_krylov"}), PASSES if seed % 4 == 3 else (), scale=0.7)
    if hasattr(case.module, "products"):
        compare(case)
    else:
        assert case.compilation.derivatives is not None
        assert case.compilation.derivatives.autograd


def test_no_evaluation_is_inside_of_a_generated_product() -> None:
    """Every call of f is one of a step or of the start; `products` evaluates it by `linearize`, once a step."""
    layers = "main_layers: [{sum: [{linear: 4}, $x]}, tanh]"
    text = f"{{deqc: 1, name: Use, input: {{x: [4]}}, scale: [4], {layers}, solver: newton_krylov}}"
    case = build(text, scale=0.3)
    _, record = case.module.equilibrium(case.state(), case.weights())
    assert record.status.eq(0).all()
    assert record.nfe.equal(record.steps + 1)
    assert record.njvp.gt(record.steps).all()


def test_sizes_keep_out_of_the_way_of_arguments() -> None:
    """A dimension may be called as somebody would call a tangent."""
    text = """
deqc: 1
name: Sized
input: {x: [v, 4]}
scale: [v, 4]
main_layers: [{sum: [{linear: 4}, $x, [{reduce: {op: sum, dim: 0, keep: true}}, {times: 0.05}, {expand: $x}]]}, tanh]
solver: newton_krylov
"""
    module = import_source(compile_text(text, "sized.yaml").source, "sized")
    model = module.Sized().double()
    w = module.Weights(*(one.detach() for one in model.weights(torch.ones(2, 3, 4, dtype=torch.float64))))
    z, tangent = (torch.linspace(-1, last, 24, dtype=torch.float64).view(2, 12) for last in (1, 2))
    expected = torch.autograd.functional.jvp(lambda z: module.f(z, w), z, tangent)[1]
    assert gap(module.products(z, w)(tangent), expected) < CLOSE
