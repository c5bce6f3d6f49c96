"""Every solver on a model of three dense scales that read each other, started as torch starts its layers."""

from __future__ import annotations

import functools
from typing import Any

import pytest
import torch
from torch import Tensor

from deqc.compiler import compile_text
from deqc.loading import import_source
from tests.solvers.rows import METHODS

SPEC = """\
deqc: 1
name: Three
input: {{x: [5]}}
scales: [[4], [3], [2]]
blocks:
  dense: {{params: {{out: null}}, body: [{{linear: "${{out}}"}}, tanh]}}
main_layers:
  - {{sum: [{{dense: 4}}, [$x, {{dense: 4}}]]}}
  - {{dense: 3}}
  - {{dense: 2}}
mapping_layers:
  - [identity, {{dense: 3}}, {{dense: 2}}]
  - [{{dense: 4}}, identity, {{dense: 2}}]
  - [{{dense: 4}}, {{dense: 3}}, identity]
solver: {solver}
adjoint: none
"""
STEPS = 1000


@functools.cache
def model(solver: str, seed: int) -> Any:
    """The model with that solver; the weights follow from the seed."""
    torch.manual_seed(seed)
    return import_source(compile_text(SPEC.format(solver=solver), "three.yaml").source, "three").Three().double()


def inputs() -> Tensor:
    return torch.randn(6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(2))


def test_it_contracts_but_hardly() -> None:
    """With the first weights hardly, with the second well."""
    for seed, least, most in ((0, 0.8, 0.9), (1, 0.4, 0.7)):
        one = model("newton", seed)
        state = one.pack(one.solve(inputs()).z_star)
        rows = torch.func.vmap(torch.func.vjp(functools.partial(one.step, x=inputs()), state)[1])
        jacobian = rows(torch.eye(9, dtype=torch.float64).unsqueeze(1).expand(-1, 6, -1))[0].transpose(0, 1)
        radius = float(torch.linalg.eigvals(jacobian.detach()).abs().max())
        assert least < radius < most


@pytest.mark.parametrize("name", ["auto", *METHODS])
def test_every_solver_gets_to_a_millionth_whatever_the_batch(name: str) -> None:
    x = inputs()
    one = model(f"{{method: {name}, atol: 1.0e-8, max_steps: {STEPS}, on_failure: raise}}", 0)
    with torch.no_grad():
        solution = one.solve(x)
        assert max(float(part.abs().max()) for part in solution.residual) < 1e-7
        for i in (0, 3):
            alone = one.solve(x[i : i + 1])
            assert torch.equal(alone.original.status, solution.original.status[i : i + 1])
            torch.testing.assert_close(one.pack(alone.z_star), one.pack(solution.z_star)[i : i + 1], rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["auto", *METHODS])
def test_every_solver_gets_to_its_own_tolerance_by_default(name: str) -> None:
    one = model(f"{{method: {name}, on_failure: raise}}", 1)
    with torch.no_grad():
        assert max(float(part.abs().max()) for part in one.solve(inputs()).residual) <= 1.01e-3
