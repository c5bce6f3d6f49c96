"""GMRES by itself, and Newton's method with it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from itertools import pairwise
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.solvers.linear import FAMILIES, SIZE, Linear, linear
from tests.solvers.modules import module

Map = Callable[[Tensor], Tensor]


def product(f: Linear) -> Map:
    """v -> A v."""
    return lambda v: (f.a @ v.unsqueeze(2)).squeeze(2)


def krylov(linear: Mapping[str, object] | None = None, **settings: object) -> ModuleType:
    ours = {"atol": 1e-10, "max_steps": 100, "on_failure": "ignore", **settings}
    return module("newton_krylov", **ours, linear_solver={"method": "gmres", **(linear or {})})


def curved(size: int = 6, batch: int = 4, reach: float = 1.2) -> tuple[Map, Callable[[Tensor], Map]]:
    """tanh(A z + b), another for each sample, with its derivative in closed form."""
    generator = torch.Generator().manual_seed(3)
    a = torch.randn(batch, size, size, generator=generator, dtype=torch.float64) * (reach / math.sqrt(size))
    b = torch.randn(batch, size, generator=generator, dtype=torch.float64)

    def f(z: Tensor) -> Tensor:
        return torch.tanh((a @ z.unsqueeze(2)).squeeze(2) + b)

    return f, lambda z: lambda v: (1 - f(z).square()) * (a @ v.unsqueeze(2)).squeeze(2)


# GMRES


@pytest.mark.parametrize("family", FAMILIES)
def test_gmres_solves(family: str) -> None:
    f = linear(family)
    goal = 1e-12 * torch.linalg.vector_norm(f.b, dim=1)
    x, norm, products = krylov()._gmres(product(f), f.b, goal, SIZE)
    exact = torch.linalg.solve(torch.eye(SIZE) - f.a, f.b)
    condition = torch.linalg.cond(torch.eye(SIZE) - f.a)
    error = torch.linalg.vector_norm(x - exact, dim=1) / torch.linalg.vector_norm(exact, dim=1)
    assert bool((norm <= goal).all())
    assert bool((error <= 1e-12 * condition).all())
    assert products.tolist() == [SIZE] * 5


@pytest.mark.parametrize("steps", range(1, SIZE))
def test_gmres_has_the_least_residual_of_its_krylov_space(steps: int) -> None:
    f = linear("expansive")
    x, norm, products = krylov()._gmres(product(f), f.b, torch.zeros(5), steps)
    a, b = (np.eye(SIZE) - f.a.numpy()), f.b.numpy()
    for k in range(5):
        space = np.stack([np.linalg.matrix_power(a[k], j) @ b[k] for j in range(steps)], 1)
        y = np.linalg.lstsq(a[k] @ space, b[k], rcond=None)[0]
        assert x[k].numpy() == pytest.approx(space @ y, rel=1e-7, abs=1e-9)
        assert float(norm[k]) == pytest.approx(np.linalg.norm(b[k] - a[k] @ space @ y), rel=1e-9, abs=1e-12)
    assert products.tolist() == [steps] * 5


def test_gmres_ends_early_where_few_eigenvalues_are_distinct() -> None:
    """After as many steps as there are."""
    a = torch.diag_embed(torch.tensor([[0.5] * 6, [0.5, -2.0] * 3, [0.5, -2.0, 3.0] * 2], dtype=torch.float64))
    f = Linear(a, torch.ones(3, 6, dtype=torch.float64))
    _, norm, products = krylov()._gmres(product(f), f.b, torch.full((3,), 1e-12), 6)
    assert products.tolist() == [1, 2, 3]
    assert bool((norm <= 1e-12).all())


def test_gmres_does_not_look_at_other_samples() -> None:
    """Whether they are solved, zero, not finite or hard."""
    f, others = linear("rotating"), linear("expansive", seed=1)
    goal = torch.full((5,), 1e-9, dtype=torch.float64)
    x, norm, products = krylov()._gmres(product(f), f.b, goal, SIZE)
    for kind in ("hard", "zero", "infinite", "solved"):
        a, b, goals = f.a.clone(), f.b.clone(), goal.clone()
        a[1:], b[1:] = others.a[1:], others.b[1:]
        if kind == "zero":
            b[1:] = 0
        if kind == "infinite":
            a[1:] = math.inf
        if kind == "solved":
            goals[1:] = math.inf
        found, size, count = krylov()._gmres(product(Linear(a, b)), b, goals, SIZE)
        assert torch.equal(found[0], x[0])
        assert torch.equal(size[0], norm[0])
        assert int(count[0]) == int(products[0])
        if kind in ("zero", "solved"):
            assert count[1:].tolist() == [0] * 4
        if kind == "zero":
            assert bool((found[1:] == 0).all())
        if kind == "infinite":
            assert not bool(size[1:].isfinite().any())


def test_gmres_tells_that_a_singular_system_is_not_solved() -> None:
    """I - J = 0 on the first sample, and on the second for one of two entries."""
    j = torch.diag_embed(torch.tensor([[1.0, 1.0], [1.0, 0.0], [0.0, 0.5]], dtype=torch.float64))
    b = torch.ones(3, 2, dtype=torch.float64)
    x, norm, products = krylov()._gmres(product(Linear(j, b)), b, torch.full((3,), 1e-9), 2)
    assert norm[:2].tolist() == pytest.approx([math.sqrt(2), 1])
    assert bool(x.isfinite().all())
    assert x[0].tolist() == [0, 0]
    assert x[2].tolist() == pytest.approx([1, 2])
    assert float(norm[2]) < 1e-12
    assert int(products[2]) == 2


def test_gmres_begins_anew_with_bounded_memory() -> None:
    f = linear("contractive")
    goal = torch.full((5,), 1e-9, dtype=torch.float64)
    asked = []

    def counting(v: Tensor) -> Tensor:
        asked.append(v)
        return product(f)(v)

    x, norm, products = krylov({"memory": 3})._restarted_gmres(counting, f.b, goal, 60, 3)
    residual = torch.linalg.vector_norm(f.b - x + product(f)(x), dim=1)
    torch.testing.assert_close(residual, norm, rtol=1e-5, atol=1e-12)
    assert bool((norm <= goal).all())
    assert len(asked) == int(products.max())
    assert bool((products > 7).all())  # more than one beginning
    short, left, few = krylov({"memory": 3})._restarted_gmres(product(f), f.b, goal, 5, 3)  # 3 + 1 + 2
    assert few.tolist() == [6] * 5
    assert bool((left > goal).all())
    first, _, _ = krylov()._gmres(product(f), f.b, goal, 3)
    second, expected, _ = krylov()._gmres(product(f), f.b - first + product(f)(first), goal, 2)
    torch.testing.assert_close(short, first + second)
    torch.testing.assert_close(left, expected)


# Newton's method


def least(a: np.ndarray, b: np.ndarray, goal: float, most: int) -> tuple[np.ndarray, int]:
    """The least |b - a x| over growing Krylov spaces until it is the goal, by QR and least squares."""
    q = np.zeros((len(b), 0))
    for k in range(most):
        q = np.linalg.qr(np.column_stack([q, b if k == 0 else a @ q[:, -1]]))[0]
        y = np.linalg.lstsq(a @ q, b, rcond=None)[0]
        if np.linalg.norm(b - a @ q @ y) <= goal:
            break
    return q @ y, k + 1


def newton(a: np.ndarray, b: np.ndarray, z: np.ndarray, tol: float) -> tuple[int, int]:
    """Steps and products of the inexact method with Eisenstat and Walker's second choice, f = tanh(a z + b)."""
    eta, before, steps, products = 0.5, 0.0, 0, 0
    while np.abs(r := np.tanh(a @ z + b) - z).max() > tol and steps < 100:
        size = float(np.linalg.norm(r))
        if steps:
            new = 0.9 * (size / before) ** 2
            if 0.9 * eta**2 > 0.1:
                new = max(new, 0.9 * eta**2)
            eta = min(max(new, 1e-3), 0.9)
        d, used = least(np.eye(len(z)) - (1 - (z + r) ** 2)[:, None] * a, r, eta * size, 20)
        z, before, steps, products = z + d, size, steps + 1, products + used
    return steps, products


def test_newton_krylov_is_what_the_paper_says() -> None:
    f, jvp = curved()
    a = torch.stack([jvp(torch.zeros(4, 6, dtype=torch.float64))(e.expand(4, -1)) for e in torch.eye(6).double()], 2)
    a = a / (1 - f(torch.zeros(4, 6, dtype=torch.float64)).square()).unsqueeze(2)
    b = torch.atanh(f(torch.zeros(4, 6, dtype=torch.float64)))
    _, record = krylov(atol=1e-9, forcing="eisenstat_walker").fixed_point(
        f, torch.zeros(4, 6, dtype=torch.float64), jvp=jvp
    )
    for k in range(4):
        steps, products = newton(a[k].numpy(), b[k].numpy(), np.zeros(6), 1e-9)
        assert (int(record.steps[k]), int(record.njvp[k])) == (steps, products)


def test_fewer_products_by_the_forcing_term() -> None:
    f, jvp = curved(30, reach=0.9)
    z0 = torch.zeros(4, 30, dtype=torch.float64)
    counts = {}
    for forcing, rtol in (("fixed", 1e-8), ("eisenstat_walker", 1e-8)):
        z, record = krylov({"rtol": rtol}, forcing=forcing).fixed_point(f, z0, jvp=jvp)
        assert record.status.tolist() == [0] * 4
        assert bool(((f(z) - z).abs() <= 1e-10).all())
        counts[forcing] = int(record.njvp.sum())
    assert counts["eisenstat_walker"] < counts["fixed"]


@pytest.mark.parametrize(
    ("forcing", "order"),
    [("fixed", 2.0), ("eisenstat_walker", 1.8)],
)
def test_order(forcing: str, order: float) -> None:
    """log |r_(k+1)| / log |r_k| while the residual is small, but not yet rounding."""
    f, jvp = curved(1, 1, reach=0.5)
    sizes = []
    for steps in range(1, 9):
        made = krylov({"rtol": 1e-14}, atol=0.0, max_steps=steps, forcing=forcing)
        _, record = made.fixed_point(f, torch.full((1, 1), 4.0, dtype=torch.float64), jvp=jvp)
        sizes.append(float(record.residual_norm))
    rates = [math.log(b) / math.log(a) for a, b in pairwise(sizes) if a < 1e-2 and b > 1e-14]
    assert rates
    assert max(rates) > order


def test_a_fixed_forcing_term_converges_linearly_at_its_rate() -> None:
    """On a linear map each step lowers the residual by the rtol at least, and by far more only by luck."""
    f = linear("expansive", size=20)
    sizes = []
    for steps in range(1, 5):
        made = krylov({"rtol": 0.1}, forcing="fixed", atol=0.0, max_steps=steps)
        z, record = made.fixed_point(f, torch.zeros_like(f.b), jvp=lambda _z: product(f))
        sizes.append(torch.linalg.vector_norm(f(z) - z, dim=1))
    for a, b in pairwise(sizes):
        assert bool((b <= 0.1 * a * (1 + 1e-9)).all())
    assert bool((record.njvp < 4 * 20).all())


@pytest.mark.parametrize("line_search", ["none", "backtracking"])
def test_evaluations_and_products_are_counted(line_search: str) -> None:
    f, jvp = curved(batch=1, reach=1.5)
    made = krylov(line_search=line_search)
    calls = {"f": 0, "product": 0}

    def counted(z: Tensor) -> Tensor:
        calls["f"] += 1
        return f(z)

    def counted_jvp(z: Tensor) -> Map:
        multiply = jvp(z)

        def counting(v: Tensor) -> Tensor:
            calls["product"] += 1
            return multiply(v)

        return counting

    _, record = made.fixed_point(counted, torch.zeros(1, 6, dtype=torch.float64), jvp=counted_jvp)
    assert int(record.status) == 0
    assert calls == {"f": int(record.nfe), "product": int(record.njvp)}


def test_the_line_search_solves_what_plain_steps_do_not() -> None:
    """z + d of arctan overshoots further and further from 1.5 on."""
    z0 = torch.full((1, 1), 3.0, dtype=torch.float64)
    f: Map = lambda z: z - torch.arctan(z)  # noqa: E731
    assert int(krylov(max_steps=20).fixed_point(f, z0)[1].status) != 0
    z, record = krylov(max_steps=20, line_search="backtracking").fixed_point(f, z0)
    assert int(record.status) == 0
    assert float(z.abs()) <= 1e-10


def test_samples_that_have_ended_stay_and_cost_nothing() -> None:
    """One solved at the start, one not finite, one hard: the others are as without them, but for rounding.

    The vectors of all samples are as many as the slowest one has, zeros where a sample has fewer, and the order in
    which a product of matrices adds up depends on their number.
    """
    f, jvp = curved()
    z0 = torch.zeros(4, 6, dtype=torch.float64)
    z, record = krylov().fixed_point(f, z0, jvp=jvp)
    start = torch.stack([z[0], torch.full((6,), math.nan, dtype=torch.float64), torch.full((6,), 5.0), z0[3]])
    new, other = krylov().fixed_point(f, start, jvp=jvp)
    torch.testing.assert_close(new[3], z[3], rtol=1e-13, atol=1e-14)
    assert torch.equal(new[0], z[0])
    assert other.status.tolist() == [0, 4, 0, 0]
    assert (int(other.steps[0]), int(other.njvp[0]), int(other.nfe[0])) == (0, 0, 1)
    assert int(other.njvp[1]) == 0
    assert int(other.njvp[3]) == int(record.njvp[3])


def test_a_singular_system_ends_as_stalled() -> None:
    z, record = krylov().fixed_point(lambda z: z + 1, torch.zeros(2, 3))
    assert record.status.tolist() == [2, 2]
    assert bool((z == 0).all())


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("batch", [0, 1, 4])
def test_dtypes_and_batches(dtype: torch.dtype, batch: int) -> None:
    f, _ = curved(reach=0.7)
    tolerance = {torch.float64: 1e-10, torch.float32: 1e-5, torch.bfloat16: 0.02}[dtype]
    sample = torch.zeros(batch, 6, dtype=dtype)
    z, record = krylov(atol=tolerance).fixed_point(
        lambda z: (
            f(z.to(torch.float64).expand(4, 6) if batch == 1 else z.to(torch.float64))[:batch].to(dtype) if batch else z
        ),
        sample,
    )
    assert z.dtype == dtype
    assert record.status.tolist() == [0] * batch


@pytest.mark.parametrize("forcing", ["fixed", "eisenstat_walker"])
def test_unrolled_gradients(forcing: str) -> None:
    """Those of the solution, also beside a sample that is solved at the start and with a zero residual."""
    made = krylov({"rtol": 1e-12, "memory": 4}, adjoint="unroll", atol=1e-13, max_steps=12, forcing=forcing)
    b = torch.tensor([[0.3, -0.2, 0.5], [0.0, 0.0, 0.0]], dtype=torch.float64, requires_grad=True)
    a = torch.tensor([[0.5, -0.4, 0.1], [0.2, 0.3, -0.6], [0.3, 0.1, 0.2]], dtype=torch.float64)
    f: Map = lambda z: torch.tanh(z @ a.t() + b)  # noqa: E731
    z, record = made.fixed_point(f, torch.zeros(2, 3, dtype=torch.float64))
    assert record.status.tolist() == [0, 0]
    (found,) = torch.autograd.grad(z[0].sum(), b)
    d = torch.diag(1 - z[0].detach().square())
    expected = torch.ones(3, dtype=torch.float64) @ torch.linalg.inv(torch.eye(3) - d @ a) @ d
    torch.testing.assert_close(found[0], expected, rtol=1e-9, atol=1e-9)
    assert bool((found[1] == 0).all())


@pytest.mark.parametrize("memory", [2, 4])
def test_second_derivatives_of_what_is_unrolled(memory: int) -> None:
    """Those of the solution, also beside a sample whose linear systems are zero."""
    made = krylov({"rtol": 1e-12, "memory": memory}, adjoint="unroll", atol=1e-13, max_steps=12)
    a = torch.tensor([[0.5, -0.4], [0.2, 0.3]], dtype=torch.float64)
    b = torch.tensor([[0.3, -0.2], [0.0, 0.0]], dtype=torch.float64, requires_grad=True)

    def f(z: Tensor) -> Tensor:
        return torch.tanh(z @ a.t() + b)

    z, _ = made.fixed_point(f, torch.zeros(2, 2, dtype=torch.float64))
    (first,) = torch.autograd.grad(z[0].sum(), b, create_graph=True)
    (found,) = torch.autograd.grad(first[0, 0], b)
    y = torch.zeros(2, 2, dtype=torch.float64)
    for _ in range(200):
        y = f(y)
    (first,) = torch.autograd.grad(y[0].sum(), b, create_graph=True)
    (expected,) = torch.autograd.grad(first[0, 0], b)
    torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-9)
