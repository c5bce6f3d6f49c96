"""Anderson acceleration against its definition by least squares, its types, its safeguard, and the adjoint's own."""

from __future__ import annotations

from typing import Any

import numpy
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from tests.solvers.linear import FAMILIES, linear
from tests.solvers.modules import module

Vector = NDArray[numpy.float64]
PLAIN: dict[str, Any] = {"ridge": 1e-14, "safeguard": False, "on_failure": "ignore"}


def contraction(z: Tensor) -> Tensor:
    """Nonlinear, of any batch, in which each entry reads its neighbours."""
    return 0.4 * torch.sin(z + 0.5 * z.roll(1, 1)) + 0.3 * torch.cos(2 * z.roll(2, 1)) + 0.2


def reference(z: Vector, steps: int, history: int, damping: float, first: bool) -> Vector:
    """The next z has weights that sum to 1, by which the combined residual is least, or orthogonal to all steps."""
    points, residuals = [z], []
    for _ in range(steps):
        image: Vector = contraction(torch.from_numpy(points[-1]).unsqueeze(0))[0].numpy()
        residuals.append(image - points[-1])
        z, r = numpy.stack(points[-history - 1 :]), numpy.stack(residuals[-history - 1 :])
        n = len(z)
        s, y = numpy.diff(z, axis=0), numpy.diff(r, axis=0)
        # orthogonality to s (type I) or to y (the least squares of type II), and the sum of the weights
        system = numpy.vstack([(s if first else y) @ r.T, numpy.ones((1, n))])
        weights = numpy.linalg.solve(system, numpy.eye(n)[-1])
        points.append(weights @ (z + damping * r))
    return points[-1]


@pytest.mark.parametrize("kind", ["i", "ii"])
@pytest.mark.parametrize("damping", [1.0, 0.6])
@pytest.mark.parametrize("history", [1, 3, 4])
def test_the_definition(kind: str, damping: float, history: int) -> None:
    steps = 6
    settings = {**PLAIN, "type": kind, "damping": damping, "history": history, "max_steps": steps, "atol": 0.0}
    z0 = torch.linspace(0.2, 0.8, 14, dtype=torch.float64).view(2, 7)
    z, record = module("anderson", **settings).fixed_point(contraction, z0)
    expected = numpy.stack([reference(one.numpy(), steps, history, damping, kind == "i") for one in z0])
    numpy.testing.assert_allclose(z.numpy(), expected, rtol=0, atol=1e-9)
    assert record.nfe.tolist() == [steps + 1] * 2


@pytest.mark.parametrize("kind", ["i", "ii"])
@pytest.mark.parametrize("family", ["contractive", "near_one", "expansive", "stiff"])
def test_linear_maps_end_one_step_after_their_size(kind: str, family: str) -> None:
    """Like GMRES and Arnoldi's method (Walker & Ni 2011, theorems 2.2 and 2.3)."""
    f = linear(family, size=5)
    solve = module("anderson", **PLAIN, type=kind, history=6, max_steps=6, atol=1e-5).fixed_point
    _, record = solve(f, torch.zeros_like(f.b))
    assert record.status.tolist() == [0] * 5


@pytest.mark.parametrize("kind", ["i", "ii"])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_safeguard_solves_what_has_no_place_in_the_history(kind: str, family: str) -> None:
    f = linear(family, batch=20)
    solve = module("anderson", type=kind, history=5, max_steps=1000, atol=1e-9, on_failure="ignore").fixed_point
    _, record = solve(f, torch.zeros_like(f.b))
    assert int((record.status != 0).sum()) == 0


@pytest.mark.parametrize("safeguard", [True, False])
def test_a_combination_that_leads_to_nothing_is_refused(safeguard: bool) -> None:
    """The secant through the first two residuals, 2 and 1.2, leads to 5, above which f is not finite."""

    def f(z: Tensor) -> Tensor:
        return torch.where(z > 4.5, torch.nan, torch.where(z < 3, 0.6 * z + 2, 3.8 + 0.1 * (z - 3)))

    start = torch.zeros(1, 1).double()
    z, record = module("anderson", atol=1e-9, safeguard=safeguard, on_failure="ignore").fixed_point(f, start)
    assert record.status.tolist() == [0 if safeguard else 4]
    if safeguard:
        torch.testing.assert_close(z, torch.full_like(start, 3.5 / 0.9), rtol=0, atol=1e-8)


@pytest.mark.parametrize(
    ("solver", "options"), [("anderson", {"type": "i"}), ("anderson", {}), ("broyden", {"update": "bad"})]
)
@pytest.mark.parametrize("linear_solver", ["anderson", "broyden", "limited_memory_broyden"])
def test_the_adjoint_has_a_solver_with_options_of_its_own(
    solver: str, options: dict[str, Any], linear_solver: str
) -> None:
    """Gradients are those of lu, whichever options the forward solver has."""
    gradients = []
    for method in (linear_solver, "lu"):
        adjoint = {"method": "implicit", "linear_solver": {"method": method, "rtol": 1e-12, "max_steps": 50}}
        made = module(solver, adjoint=adjoint, atol=1e-13, max_steps=200, **options)
        torch.manual_seed(0)
        model = made.Bed().double()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(0.7)
        model(torch.linspace(-1, 1, 6, dtype=torch.float64).view(3, 2)).square().sum().backward()
        gradients.append(torch.cat([p.grad.flatten() for p in model.parameters()]))
    torch.testing.assert_close(*gradients, rtol=0, atol=1e-10)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_ridge_that_half_precision_rounds_to_nothing(dtype: torch.dtype) -> None:
    """The first secant leads to the fixed point of a line, though all slots but one are empty."""
    start = torch.zeros(2, 1, dtype=dtype)
    solve = module("anderson", ridge=1e-8, atol=0.02, on_failure="ignore").fixed_point
    z, record = solve(lambda z: 0.75 * z + torch.ones_like(z), start)
    assert record.steps.tolist() == [2, 2]
    torch.testing.assert_close(z, torch.full_like(start, 4.0), rtol=0, atol=0.1)
