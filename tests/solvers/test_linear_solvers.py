"""The linear solvers of the adjoint that have a function of their own, beside GMRES (`test_krylov.py`)."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import deqc
from deqc.compiler import compile_text
from deqc.explain import explain
from deqc.loading import import_source
from tests.solvers.linear import FAMILIES, SIZE, Linear, linear, solved
from tests.solvers.modules import module

Solve = Callable[..., tuple[Tensor, Tensor, Tensor]]

SYMMETRIC = """\
deqc: 1
name: Memory
input: {x: [5]}
parameters: {W: [8, 5]}
scale: [5]
init: $x
main_layers:
  - {linear: {weight: $W, bias: false}}
  - softmax
  - {linear: {weight: $W, transpose: true, bias: false}}
  - {sum: [{times: 0.7}, $x]}
solver: {method: newton, atol: 1.0e-12}
"""
# The same with a step behind it that hides the form from deqc.
UNSEEN = SYMMETRIC.replace("  - {sum: [{times: 0.7}, $x]}\n", "  - {sum: [{times: 0.7}, $x]}\n  - {flatten: {}}\n")


def own(name: str) -> Solve:
    """The function of that linear solver."""
    adjoint = {"assume": "symmetric", "linear_solver": name}
    solve: Solve = getattr(module("picard", adjoint=adjoint), f"_{name}")
    return solve


def product(f: Linear) -> Callable[[Tensor], Tensor]:
    return lambda v: (f.a @ v.unsqueeze(2)).squeeze(2)


def symmetric(f: Linear) -> Linear:
    """The same with the symmetric part of the matrices, moved so that the eigenvalues are below 1."""
    a = (f.a + f.a.mT) / 2
    top = torch.linalg.eigvalsh(a)[:, -1:, None]
    return Linear(a - torch.eye(SIZE) * (top - 0.9).clamp_min(0), f.b)


def goals(f: Linear, rtol: float = 1e-11) -> Tensor:
    found: Tensor = rtol * torch.linalg.vector_norm(f.b, dim=1)
    return found


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", ["bicgstab", "cg"])
def test_solves(name: str, family: str) -> None:
    f = linear(family) if name == "bicgstab" else symmetric(linear(family))
    x, norm, steps = own(name)(product(f), f.b, goals(f), 40)
    exact = torch.linalg.solve(torch.eye(SIZE) - f.a, f.b)
    condition = torch.linalg.cond(torch.eye(SIZE) - f.a)
    error = torch.linalg.vector_norm(x - exact, dim=1) / torch.linalg.vector_norm(exact, dim=1)
    assert bool((norm <= goals(f)).all())
    assert bool((error <= 1e-10 * condition).all())
    assert bool((steps <= 4 * SIZE).all())
    if name == "cg":
        assert bool((steps <= SIZE + 3).all())


def test_bicgstab_is_what_the_paper_says() -> None:
    """Three steps without a breakdown, against the algorithm in NumPy."""
    f = linear("rotating")
    x, norm, _ = own("bicgstab")(product(f), f.b, torch.zeros(5), 3)
    for k in range(5):
        a, b = np.eye(SIZE) - f.a[k].numpy(), f.b[k].numpy()
        y, r, p, rho = np.zeros(SIZE), b, b, b @ b
        for _ in range(3):
            v = a @ p
            alpha = rho / (b @ v)
            s = r - alpha * v
            t = a @ s
            omega = (t @ s) / (t @ t)
            y, r = y + alpha * p + omega * s, s - omega * t
            rho, beta = b @ r, (b @ r) / rho * alpha / omega
            p = r + beta * (p - omega * v)
        assert x[k].numpy() == pytest.approx(y, rel=1e-9)
        assert float(norm[k]) == pytest.approx(np.linalg.norm(b - a @ y), rel=1e-7)


def test_cg_has_the_least_error_in_the_norm_of_the_matrix() -> None:
    """Over the Krylov space: the projection of the solution onto it."""
    f = symmetric(linear("contractive"))
    x, norm, steps = own("cg")(product(f), f.b, torch.zeros(5), 3)
    for k in range(5):
        a, b = np.eye(SIZE) - f.a[k].numpy(), f.b[k].numpy()
        space = np.linalg.qr(np.stack([b, a @ b, a @ a @ b], 1))[0]
        y = space @ np.linalg.solve(space.T @ a @ space, space.T @ b)
        assert x[k].numpy() == pytest.approx(y, rel=1e-8, abs=1e-10)
        assert float(norm[k]) == pytest.approx(np.linalg.norm(b - a @ y), rel=1e-7)
    assert steps.tolist() == [3] * 5


@pytest.mark.parametrize("terms", [1, 2, 5])
def test_neumann_is_the_sum_of_the_first_terms(terms: int) -> None:
    f = linear("contractive")
    x, norm, steps = own("neumann")(product(f), f.b, torch.zeros(5), terms)
    powers = [torch.linalg.matrix_power(f.a, k) @ f.b.unsqueeze(2) for k in range(terms)]
    expected = torch.stack(powers).sum(0).squeeze(2)
    torch.testing.assert_close(x, expected)
    torch.testing.assert_close(norm, torch.linalg.vector_norm(f.b - x + product(f)(x), dim=1))
    assert steps.tolist() == [terms] * 5


@pytest.mark.parametrize("name", ["bicgstab", "cg", "neumann"])
@pytest.mark.parametrize("kind", ["zero", "infinite", "solved", "hard"])
def test_samples_do_not_look_at_each_other(name: str, kind: str) -> None:
    f, others = symmetric(linear("contractive")), symmetric(linear("stiff", seed=1))
    x, norm, steps = own(name)(product(f), f.b, goals(f), 30)
    a, b, goal = f.a.clone(), f.b.clone(), goals(f)
    a[1:], b[1:] = others.a[1:], others.b[1:]
    if kind == "zero":
        b[1:], goal[1:] = 0, 0
    if kind == "infinite":
        a[1:] = math.inf
    if kind == "solved":
        goal[1:] = math.inf
    found, size, count = own(name)(product(Linear(a, b)), b, goal, 30)
    assert torch.equal(found[0], x[0])
    assert torch.equal(size[0], norm[0])
    assert int(count[0]) == int(steps[0])
    if kind in ("zero", "solved"):
        assert count[1:].tolist() == [0] * 4
        assert bool((found[1:] == 0).all())
    if kind == "infinite":
        assert not bool(size[1:].isfinite().any())


@pytest.mark.parametrize("name", ["bicgstab", "cg"])
def test_a_breakdown_is_no_division_by_zero(name: str) -> None:
    """I - J = 0, and one that turns every vector by a right angle, which neither method solves."""
    j = torch.stack([torch.eye(2), torch.tensor([[1.0, 1.0], [-1.0, 1.0]]), torch.diag(torch.tensor([0.5, -1.0]))])
    b = torch.ones(3, 2)
    x, norm, steps = own(name)(product(Linear(j, b)), b, torch.full((3,), 1e-5), 10)
    assert bool(x.isfinite().all())
    assert bool((norm[:2] > 1).all())
    assert steps.tolist()[:2] == [10, 10]
    torch.testing.assert_close(x[2], torch.tensor([2.0, 0.5]))


@pytest.mark.parametrize("name", ["bicgstab", "cg"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("batch", [0, 1, 5])
def test_dtypes_and_batches(name: str, dtype: torch.dtype, batch: int) -> None:
    f = symmetric(linear("contractive"))
    f = Linear(f.a[:batch].to(dtype), f.b[:batch].to(dtype))
    x, norm, steps = own(name)(product(f), f.b, goals(f, 20 * torch.finfo(dtype).eps), 40)
    assert x.dtype == dtype
    assert x.shape == f.b.shape
    assert norm.shape == steps.shape == (batch,)
    assert bool((norm <= goals(f, 20 * torch.finfo(dtype).eps)).all())


def memory(linear_solver: str) -> ModuleType:
    text = SYMMETRIC + f"adjoint: {{assume: symmetric, linear_solver: {linear_solver}}}\n"
    return import_source(compile_text(text, "memory.yaml").source, "memory")


def gradients(found: Any) -> tuple[list[Tensor], Any]:
    torch.manual_seed(0)
    model = found.Memory().double()
    x = torch.randn(4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    model(x).square().sum().backward()
    grads = [p.grad for p in model.parameters()]
    model.zero_grad()
    solution = model.solve(x)
    solution.z_star.square().sum().backward()
    return grads, solution.original.adjoint


@pytest.mark.parametrize("name", ["gmres", "bicgstab", "cg"])
def test_gradients_are_those_of_lu(name: str) -> None:
    expected, _ = gradients(memory("lu"))
    found, record = gradients(memory(f"{{method: {name}, rtol: 1.0e-12}}"))
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-11)
    assert record.status.tolist() == [0] * 4
    assert torch.equal(record.njvp, record.steps * (2 if name == "bicgstab" else 1) + 1)  # and one for the residual


@pytest.mark.parametrize("least", [1e-6, 1e-3])
@pytest.mark.parametrize("name", ["gmres", "bicgstab", "cg"])
def test_the_residual_is_the_one_that_is_left(name: str, least: float) -> None:
    """Also where the recurrence has lost it: the eigenvalues of I - J are `least`, and others up to 5."""
    q = torch.linalg.qr(torch.randn(6, 6, generator=torch.Generator().manual_seed(5)))[0]
    j = torch.eye(6) - q @ torch.diag(torch.tensor([least, 0.5, 0.7, 1.4, 1.8, 5.0])) @ q.T
    b = torch.randn(3, 6, generator=torch.Generator().manual_seed(1))
    it: Any = module("picard", adjoint={"assume": "symmetric", "linear_solver": name})
    x, record = solved(it, b, lambda goal: it._adjoint_solve(lambda v: v @ j, b, goal))
    left = torch.linalg.vector_norm(b - (x - x @ j), dim=1)
    torch.testing.assert_close(record.residual_norm, left, rtol=0.05, atol=1e-6)
    assert record.status.tolist() == (left > 1e-3 * torch.linalg.vector_norm(b, dim=1)).int().tolist()
    assert (least < 1e-5) == bool((record.status > 0).any())


@pytest.mark.parametrize("options", ["max_steps: 5", "max_steps: 24, memory: 3"])
def test_compiled_gmres_is_one_graph(options: str) -> None:
    """Forward and backward are traced whole; the slow tests run them by Inductor."""
    made = memory(f"{{method: gmres, rtol: 1.0e-11, {options}}}")
    torch.manual_seed(0)
    model = made.Memory().double()
    x = torch.randn(3, 5, dtype=torch.float64, requires_grad=True)
    (want,) = torch.autograd.grad(model(x).square().sum(), x)
    compiled: Any = torch.compile(model, backend="aot_eager", fullgraph=True)
    (found,) = torch.autograd.grad(compiled(x).square().sum(), x)
    torch.testing.assert_close(found, want, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", ["gmres", "bicgstab"])
def test_compiled_autograd_goes_through_the_steps(name: str) -> None:
    """Where the adjoint is `unroll`: torch differentiates no loop of its own rightly, so they are written out."""
    linear = {"method": name, "max_steps": 2}
    made: Any = module("newton_krylov", max_steps=2, linear_solver=linear, adjoint="unroll", on_failure="ignore")
    torch.manual_seed(0)
    model = made.Bed().double()
    x = torch.randn(3, 2, dtype=torch.float64, requires_grad=True)
    (want,) = torch.autograd.grad(model(x).square().sum(), x)
    compiled: Any = torch.compile(model, backend="aot_eager", fullgraph=True)
    (found,) = torch.autograd.grad(compiled(x).square().sum(), x)
    torch.testing.assert_close(found, want, rtol=1e-9, atol=1e-11)


def test_gradients_by_neumann_are_better_with_more_terms(recwarn: pytest.WarningsRecorder) -> None:
    """And one that ends after its terms is no failure that is warned of."""
    expected, _ = gradients(memory("lu"))
    errors = []
    for terms in (1, 3, 9):
        (found,), record = gradients(memory(f"{{method: neumann, rtol: 0, max_steps: {terms}}}"))
        errors.append(float((found - expected[0]).abs().max()))
        assert record.status.tolist() == [1] * 4
        assert record.njvp.tolist() == [terms] * 4
    assert errors[0] > 3 * errors[1] > 9 * errors[2]
    assert not [one for one in recwarn if "backward" in str(one.message)]


def test_explain_says_what_is_approximate_and_what_is_taken_on_trust() -> None:
    text = UNSEEN + "adjoint: {assume: symmetric, linear_solver: neumann}\n"
    said = explain(compile_text(text, "memory.yaml"))
    assert "implicit by neumann, rtol 1e-3, atol 0.0, at most 5 steps: approximate" in said
    assert "taken to be symmetric" in said


def test_cg_wants_to_be_told() -> None:
    with pytest.raises(deqc.SpecError) as error:
        compile_text(UNSEEN + "adjoint: {linear_solver: cg}\n", "memory.yaml")
    assert "error[E082]: cg needs a symmetric df/dz" in str(error.value)
