"""The seed's own test matrix (DeepEquilibriumNetworks.jl, test/layers_tests.jl) for every solver, and a harder one.

There: {VCAB3, Tsit5, NewtonRaphson, SimpleLimitedMemoryBroyden} by {deq, skipdeq, skipregdeq} by {dense, conv} by
{nothing, AutoZygote, AutoForwardDiff, AutoFiniteDiff}, the kinds of Jacobian regularisation; then the model of four
scales by {deq, skipdeq, skipregdeq}, where it has none, and the neural ODE, which deqc does not have yet.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from tests.solvers.rows import METHODS
from tests.solvers.seed_specs import BODY, KINDS, SIZE, build, inputs

OF_THE_SEED = ("vcab3", "tsit5", "newton", "limited_memory_broyden")
EACH = [pytest.param(name, marks=() if name in OF_THE_SEED else pytest.mark.slow) for name in METHODS]
# What stands for each backend there; the last one's quantity is another than that of the first two.
REGULARIZATION = {
    "nothing": None,
    "AutoZygote": {"quantity": "trace", "mode": "vjp"},
    "AutoForwardDiff": {"quantity": "trace", "mode": "jvp"},
    "AutoFiniteDiff": {"quantity": "frobenius", "mode": "finite_difference"},
}
BACKENDS = [
    pytest.param(one, marks=() if one in ("nothing", "AutoZygote") else pytest.mark.slow) for one in REGULARIZATION
]
TIGHT = {"atol": 1e-9, "max_steps": 2000}


def pieces(z: Any) -> list[Tensor]:
    """The tensors of all scales."""
    return [z] if isinstance(z, Tensor) else list(z)


def largest(outputs: Any) -> float:
    """The largest entry of all scales."""
    return max(float(z.detach().abs().max()) for z in pieces(outputs))


def gradients(solution: Any, model: torch.nn.Module, x: Tensor) -> list[Tensor]:
    """Of the seed's loss, sum y² + sum (z* - u0)² + that of the Jacobian, for x and every parameter."""
    starts = pieces(solution.u0)
    loss = sum((z**2).sum() + ((z - u) ** 2).sum() for z, u in zip(pieces(solution.z_star), starts, strict=True))
    loss = loss if solution.jacobian_loss is None else loss + solution.jacobian_loss
    found = torch.autograd.grad(loss, [x, *model.parameters()], allow_unused=True)  # type: ignore[arg-type]
    return [torch.zeros(()) if g is None else g for g in found]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("model", BODY)
@pytest.mark.parametrize("method", EACH)
def test_as_the_seed_tests_it(method: str, model: str, backend: str, kind: str) -> None:
    """Weights of 1e-3 and single precision, settings by default."""
    solver = {"method": method, "on_failure": "raise"}
    module: Any = build(model, kind, solver, 1e-3, torch.float32, regularization=REGULARIZATION[backend])
    x = inputs(model, torch.float32).requires_grad_()
    solution = module.solve(x)
    assert [z.shape for z in pieces(solution.z_star)] == [u.shape for u in pieces(solution.u0)]
    assert sum(z[0].numel() for z in pieces(solution.z_star)) == SIZE[model]
    assert all(bool(z.isfinite().all()) for z in pieces(solution.z_star))
    assert largest(solution.residual) <= 1e-3
    assert (solution.jacobian_loss is None) == (backend == "nothing")
    assert solution.jacobian_loss is None or bool(solution.jacobian_loss.isfinite())
    assert all(bool(g.isfinite().all()) for g in gradients(solution, module, x))

    unrolled = module.solve(x, depth=10)
    assert unrolled.nfe == 10
    assert all(bool(z.isfinite().all()) for z in pieces(unrolled.z_star))
    assert all(bool(g.isfinite().all()) for g in gradients(unrolled, module, x))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("model", BODY)
@pytest.mark.parametrize("method", EACH)
def test_with_weights_that_are_not_tiny(method: str, model: str, kind: str) -> None:
    """The solution and all gradients are those of two hundred steps of f with ordinary autograd."""
    solver = {"method": method, **TIGHT, "on_failure": "raise"}
    if method == "anderson":
        solver["ridge"] = 1e-10
    module: Any = build(model, kind, solver, 0.3, torch.float64, {"linear_solver": {"method": "lu"}})
    x = inputs(model, torch.float64).requires_grad_()
    solution = module.solve(x)
    unrolled = module.solve(x, depth=200)
    assert largest(unrolled.residual) < 1e-13, "the reference has converged"
    assert largest(solution.z_star) > 0.3, "f is far from constant"
    for z, expected in zip(pieces(solution.z_star), pieces(unrolled.z_star), strict=True):
        torch.testing.assert_close(z, expected, rtol=0, atol=1e-8)
    for g, expected in zip(gradients(solution, module, x), gradients(unrolled, module, x), strict=True):
        torch.testing.assert_close(g, expected, rtol=1e-6, atol=1e-6)
