"""A sparse matrix by which every sample is multiplied, and masks of truth values: sizes known at the call only."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from deqc import reference
from deqc.compiler import compile_text
from deqc.loading import import_model, import_source
from tests.properties import apart, gradients, pieces

EXACT = (
    "solver: {method: picard, atol: 1.0e-13, max_steps: 900}\n"
    "adjoint: {method: implicit, linear_solver: {method: gmres, rtol: 1.0e-13, max_steps: 200}}\n"
)
GRAPH = """deqc: 1
name: Graph
input:
  u: [N, 5]
  adjacency: {shape: [N, N], batch: false, layout: sparse_csr}
scale: [N, 4]
main_layers:
  - {linear: {out: 4, bias: false, constraint: {inf_norm_ball: 0.9}}}
  - {sum: [identity, [$u, {linear: 4}]]}
  - {matmul: {left: $adjacency, transpose: %s}}
  - tanh
"""
MASKED = """deqc: 1
name: Masked
input:
  u: [L, 4]
  keep: {shape: [L, L], dtype: bool, batch: %s}
scale: [L, 4]
main_layers:
  - {sum: [{attention: {heads: %d, mask: $keep}}, [$u, {linear: 4}]]}
  - {times: 0.4}
  - tanh
"""


def agrees(text: str, *inputs: Tensor, exact: str = EXACT) -> None:
    """Values and gradients are those of the reference."""
    compilation = compile_text(text + exact, "m")
    torch.manual_seed(0)
    model: Any = import_model(compilation)().double()
    given = inputs[1:]

    def expected(u: Tensor) -> tuple[Tensor, ...]:
        found = reference.solve(compilation.lowered, dict(model.named_parameters()), (u, *given))
        assert found.residual < 1e-12
        return found.output

    assert apart(pieces(model(*inputs)), expected(inputs[0])) < 1e-11
    assert (
        apart(gradients(model, inputs[:1], lambda u: model(u, *given)), gradients(model, inputs[:1], expected)) < 1e-9
    )


@pytest.mark.parametrize("transpose", ["false", "true"])
@pytest.mark.parametrize(("nodes", "batch"), [(6, 3), (4, 1), (3, 0)])
def test_a_sparse_matrix(nodes: int, batch: int, transpose: str) -> None:
    generator = torch.Generator().manual_seed(1)
    matrix = torch.rand(nodes, nodes, dtype=torch.float64, generator=generator) / nodes
    matrix = matrix * (torch.rand(nodes, nodes, generator=generator) < 0.5)
    u = torch.randn(batch, nodes, 5, dtype=torch.float64, generator=generator)
    if batch:
        agrees(GRAPH % transpose, u, matrix.to_sparse_csr())
    else:
        model: Any = import_model(compile_text(GRAPH % transpose, "m"))().double()
        assert model(u, matrix.to_sparse_csr()).shape == (0, nodes, 4)


@pytest.mark.parametrize("solver", ["newton", "anderson"])
@pytest.mark.parametrize("linear", ["lu", "gmres"])
def test_a_sparse_matrix_under_dense_solvers(solver: str, linear: str) -> None:
    generator = torch.Generator().manual_seed(3)
    matrix = torch.rand(4, 4, dtype=torch.float64, generator=generator) / 4
    u = torch.randn(2, 4, 5, dtype=torch.float64, generator=generator)
    exact = EXACT.replace("picard", solver).replace("gmres", linear)
    agrees(GRAPH % "false", u, matrix.to_sparse_csr(), exact=exact)


@pytest.mark.parametrize("batch", ["true", "false"])
@pytest.mark.parametrize("heads", [1, 2])
@pytest.mark.parametrize("hidden", [False, True])
def test_a_mask_of_truth_values(hidden: bool, heads: int, batch: str) -> None:
    generator = torch.Generator().manual_seed(2)
    keep = torch.rand(3, 5, 5, generator=generator) < 0.6
    keep |= torch.eye(5, dtype=torch.bool)
    if hidden:  # queries that may look at nothing weigh all keys alike, and the scores do not matter
        keep[:, 1] = keep[1] = False
    u = torch.randn(3, 5, 4, dtype=torch.float64, generator=generator)
    agrees(MASKED % (batch, heads), u, keep if batch == "true" else keep[0])


def test_derivatives_where_a_mask_hides_all_keys_of_a_query() -> None:
    """The products of the generated code are those of torch.func; the reference goes another way."""
    module: Any = import_source(compile_text(MASKED % ("false", 2) + "solver: newton_krylov\n", "m").source, "m")
    model = module.Masked().double()
    keep = torch.ones(4, 4, dtype=torch.bool).tril(-1)
    keep[3] = False
    u, z, cotangent = torch.randn(3, 2, 16, dtype=torch.float64).unbind()
    w = model.weights(u.view(2, 4, 4), keep)
    back: Any = torch.func.vjp(lambda at: module.f(at, w), z)[1]
    assert apart([module.vjp(cotangent, module.linearize(z, w), w)], back(cotangent)) < 1e-13
    along: Any = torch.func.jvp(lambda at: module.f(at, w), (z,), (cotangent,))[1]
    assert apart([module.products(z, w)(cotangent)], [along]) < 1e-13


def test_a_mask_in_half_precision() -> None:
    model: Any = import_model(compile_text(MASKED % ("false", 2) + "solver: {on_failure: ignore}\n", "m"))().half()
    keep = torch.ones(4, 4, dtype=torch.bool).tril()
    assert bool(model(torch.randn(1, 4, 4).half(), keep).isfinite().all())


def test_what_a_mask_hides_has_no_influence() -> None:
    model: Any = import_model(compile_text(MASKED % ("false", 2) + EXACT, "m"))().double()
    keep = torch.ones(4, 4, dtype=torch.bool).tril()
    u = torch.randn(1, 4, 4, dtype=torch.float64)
    changed = u.clone()
    changed[:, 3] += 1
    before, after = model(u, keep), model(changed, keep)
    assert apart([before[:, :3]], [after[:, :3]]) < 1e-6
    assert apart([before[:, 3]], [after[:, 3]]) > 1e-3
