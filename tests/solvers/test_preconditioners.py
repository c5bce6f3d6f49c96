"""Linear solvers with the diagonal as preconditioner: what they solve, by how many products, and for each sample."""

from __future__ import annotations

import json
import math
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from deqc.compiler import compile_text
from deqc.explain import explain
from deqc.loading import import_source
from tests.solvers.linear import FAMILIES, Linear, linear
from tests.solvers.modules import module
from tests.solvers.test_linear_solvers import SYMMETRIC, gradients, memory, product, symmetric

PROBES = 4
NAMES = ("gmres", "bicgstab", "cg")


def helpers(name: str = "gmres", **options: object) -> ModuleType:
    """A module with that linear solver, preconditioned, and what it calls."""
    linear_solver = {"method": name, "preconditioner": "diagonal", **options}
    return module("newton_krylov", assume="symmetric", linear_solver=linear_solver)


def solved(name: str, f: Linear, rtol: float = 1e-10, most: int = 200) -> tuple[Tensor, Tensor, Tensor]:
    """x with (I - A) x = b, its residual norms by the solver, and the steps."""
    it: Any = helpers(name)
    scale = it._scale(it._diagonal(product(f), f.b))
    weight = [scale.abs()] if name == "cg" else []
    scale = weight[0] if weight else scale
    goal = rtol * torch.linalg.vector_norm(f.b, dim=1)
    y, norm, steps = getattr(it, f"_{name}")(it._right(product(f), scale), f.b, goal, most, *weight)
    return scale * y, norm, steps


def badly_scaled(size: int = 32, batch: int = 5, even: bool = False) -> Linear:
    """I - A has a diagonal from 1 to 10^3 and much smaller entries beside it; `even` where it is symmetric."""
    generator = torch.Generator().manual_seed(0)
    s = 10 ** (3 * torch.rand(batch, size, generator=generator, dtype=torch.float64))
    n = 0.5 * torch.randn(batch, size, size, generator=generator, dtype=torch.float64) / math.sqrt(size)
    n = 0.35 * (n + n.mT) if even else n
    b = torch.randn(batch, size, generator=generator, dtype=torch.float64)
    return Linear(torch.diag_embed(1 - s) + n, b)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("family", FAMILIES)
def test_the_solution_is_that_of_a_dense_solve(name: str, family: str) -> None:
    """Whatever the estimate is worth; and the residual is that of the system."""
    f = symmetric(linear(family)) if name == "cg" else linear(family)
    x, norm, _ = solved(name, f)
    goal = 1e-10 * torch.linalg.vector_norm(f.b, dim=1)
    assert bool((norm <= goal).all())
    residual = torch.linalg.vector_norm(f(x) - x, dim=1)
    assert bool((residual <= 10 * goal).all())
    condition = torch.linalg.cond(torch.eye(6) - f.a)
    error = torch.linalg.vector_norm(x - f.solution, dim=1) / torch.linalg.vector_norm(f.solution, dim=1)
    assert bool((error <= 1e-8 * condition).all())


@pytest.mark.parametrize("name", NAMES)
def test_fewer_products_where_the_diagonal_is_badly_scaled(name: str) -> None:
    """Those of the probes included."""
    f = badly_scaled(even=name == "cg")
    x, norm, steps = solved(name, f, rtol=1e-8)
    goal = 1e-8 * torch.linalg.vector_norm(f.b, dim=1)
    assert bool((norm <= goal).all())
    torch.testing.assert_close(x, f.solution, rtol=1e-5, atol=1e-7)
    _, _, plain = getattr(module("newton_krylov", assume="symmetric", linear_solver=name), f"_{name}")(
        product(f), f.b, goal, 400
    )
    a_step = 2 if name == "bicgstab" else 1
    assert bool((2 * (a_step * steps + PROBES) <= a_step * plain).all())


def test_the_estimate_is_exact_where_far_entries_are_not_coupled() -> None:
    """And else off by what entries at a distance of a multiple of PROBES have in common."""
    generator = torch.Generator().manual_seed(0)
    a = torch.randn(3, 10, 10, generator=generator, dtype=torch.float64)
    places = torch.arange(10)
    apart = (places - places.unsqueeze(1)) % PROBES == 0
    it = helpers()
    found = it._diagonal(product(Linear(a, a[:, 0])), a[:, 0])
    torch.testing.assert_close(found, torch.where(apart, a, 0.0).sum(2))
    banded = torch.where((places - places.unsqueeze(1)).abs() < PROBES, a, 0.0)
    found = it._diagonal(product(Linear(banded, a[:, 0])), a[:, 0])
    torch.testing.assert_close(found, banded.diagonal(dim1=1, dim2=2))


def test_a_scale_that_is_no_number_is_1() -> None:
    diagonal = torch.tensor([[1.0, math.nan, math.inf, -1.0, 3.0, 0.0]])
    assert helpers()._scale(diagonal).tolist() == [[1.0, 1.0, 1.0, 0.5, -0.5, 1.0]]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["zero", "infinite", "hard"])
def test_samples_do_not_look_at_each_other(name: str, kind: str) -> None:
    f = badly_scaled(even=name == "cg")
    x, norm, steps = solved(name, f)
    mixed = Linear(f.a.clone(), f.b.clone())
    if kind == "zero":
        mixed.b[1:] = 0
    elif kind == "infinite":
        mixed.a[1:] = math.nan
    else:
        mixed.a[1:] = torch.eye(32, dtype=torch.float64)
    found, size, count = solved(name, mixed)
    # products with all vectors of a Krylov space add up in an order that depends on their number
    rounding = 1e-11 if name == "gmres" else 0.0
    torch.testing.assert_close(found[0], x[0], rtol=rounding, atol=0)
    torch.testing.assert_close(size[0], norm[0], rtol=1e2 * rounding, atol=0)
    assert int(count[0]) == int(steps[0])
    if kind == "zero":
        assert bool((found[1:] == 0).all())
        assert count[1:].tolist() == [0] * 4


@pytest.mark.parametrize("name", [*NAMES, "neumann"])
@pytest.mark.parametrize("batch", [0, 1])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_small_batches_and_dtypes(name: str, batch: int, dtype: torch.dtype) -> None:
    f = badly_scaled(8, even=True)
    f = Linear(f.a[:batch].to(dtype), f.b[:batch].to(dtype))
    it = module(
        "newton_krylov",
        atol=0.1,
        assume="symmetric",
        linear_solver={"method": name, "preconditioner": "diagonal", "rtol": 0.05},
    )
    z, record = it.fixed_point(f, torch.zeros_like(f.b))
    assert z.dtype == dtype
    assert record.status.tolist() == [0] * batch


@pytest.mark.parametrize("method", ["newton_krylov", "implicit_euler", "trbdf2", "rosenbrock23"])
@pytest.mark.parametrize("name", NAMES)
def test_solves_take_fewer_products(method: str, name: str) -> None:
    """And end where they do without; also where one sample is solved and one is not finite."""
    f = badly_scaled(even=name == "cg")
    start = torch.zeros_like(f.b)
    start[1], start[2] = f.solution[1], math.nan
    found = []
    for preconditioner in ("none", "diagonal"):
        linear_solver = {"method": name, "preconditioner": preconditioner, "max_steps": 100}
        it = module(method, atol=1e-7, on_failure="ignore", assume="symmetric", linear_solver=linear_solver)
        z, record = it.fixed_point(f, start)
        assert record.status.tolist() == [0, 0, 4, 0, 0]
        assert record.njvp.tolist()[1] == 0
        torch.testing.assert_close(z[3:], f.solution[3:], rtol=0, atol=1e-6)
        found.append(record.njvp[[0, 3, 4]])
    assert bool((found[1] < found[0]).all())


def test_a_krylov_space_begun_anew() -> None:
    f = linear("rotating", size=16)
    it: Any = helpers(memory=4, max_steps=200)
    z, record = it.fixed_point(f, torch.zeros_like(f.b))
    assert record.status.tolist() == [0] * 5
    torch.testing.assert_close(z, f.solution, rtol=0, atol=1e-2)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_those_of_lu(name: str) -> None:
    expected, _ = gradients(memory("lu"))
    found, record = gradients(memory(f"{{method: {name}, rtol: 1.0e-12, preconditioner: diagonal}}"))
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-11)
    assert record.status.tolist() == [0] * 4
    assert torch.equal(record.njvp, record.steps * (2 if name == "bicgstab" else 1) + PROBES + 1)


def test_second_derivatives() -> None:
    """The backward solve is differentiated by solves of its own, each with its preconditioner."""
    torch.manual_seed(0)
    model = memory("{method: gmres, rtol: 1.0e-13, preconditioner: diagonal}").Memory().double()
    x = torch.linspace(-1, 1, 10, dtype=torch.float64).reshape(2, 5).requires_grad_()
    assert torch.autograd.gradgradcheck(lambda x: model(x).square(), x)


@pytest.mark.parametrize("name", ["gmres", "cg"])
def test_unrolled_gradients(name: str) -> None:
    """Autograd goes through the estimate, too: the derivative is that of the solution."""
    linear_solver = {"method": name, "preconditioner": "diagonal", "rtol": 1e-12}
    it = module("newton_krylov", adjoint="unroll", atol=1e-13, assume="symmetric", linear_solver=linear_solver)
    b = torch.tensor([[0.3, -0.2, 0.5], [0.1, 0.4, 0.2]], dtype=torch.float64, requires_grad=True)
    a = torch.tensor([[-5.0, -0.4, 0.1], [-0.4, 0.3, -0.1], [0.1, -0.1, -20.0]], dtype=torch.float64)
    z, record = it.fixed_point(lambda z: z @ a + b, torch.zeros(2, 3, dtype=torch.float64))
    assert record.status.tolist() == [0, 0]
    (found,) = torch.autograd.grad(z.sum(), b)
    expected = torch.linalg.solve(torch.eye(3) - a, torch.ones(3, dtype=torch.float64))
    torch.testing.assert_close(found, expected.expand(2, -1), rtol=1e-9, atol=1e-9)


def test_a_solve_with_and_an_adjoint_without() -> None:
    """One function of cg serves both."""
    solver: dict[str, Any] = {"method": "newton_krylov", "assume": "symmetric", "atol": 1e-12}
    solver["linear_solver"] = {"method": "cg", "preconditioner": "diagonal", "rtol": 1e-8}
    text = SYMMETRIC.partition("solver:")[0] + f"solver: {json.dumps(solver)}\n"
    text += "adjoint: {assume: symmetric, linear_solver: {method: cg, rtol: 1.0e-12}}\n"
    source = compile_text(text, "memory.yaml").source
    assert source.count("def _cg(") == 1
    found, record = gradients(import_source(source, "memory"))
    torch.testing.assert_close(found, gradients(memory("lu"))[0], rtol=1e-9, atol=1e-10)
    assert torch.equal(record.njvp, record.steps + 1)  # one for the residual


def test_explain_tells_what_it_costs() -> None:
    text = SYMMETRIC + "adjoint: {linear_solver: {method: gmres, preconditioner: diagonal}}\n"
    said = explain(compile_text(text, "memory.yaml"))
    assert "implicit by gmres over the diagonal, rtol" in said
    assert "the preconditioner takes 4 products with df/dz for each linear system" in said
