"""The backward solve with what Broyden's method has learnt of (I - df/dz)^-1 as its preconditioner."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from deqc.compiler import compile_text
from deqc.explain import explain
from deqc.loading import import_source
from tests.solvers.linear import linear, solved
from tests.solvers.modules import module
from tests.solvers.test_linear_solvers import product
from tests.solvers.test_shine import F64, SOLVERS, cotangent, gradients, inputs, learnt, made, text

NAMES = ("gmres", "bicgstab")
EXACT = {"linear_solver": "lu"}


def over(name: str = "gmres", preconditioner: str = "broyden", **options: object) -> dict[str, object]:
    """The adjoint by that linear solver."""
    return {"linear_solver": {"method": name, "rtol": 1e-12, "preconditioner": preconditioner, **options}}


@pytest.mark.parametrize("disable", [frozenset[str](), frozenset({"adjoint"})], ids=["rules", "torch"])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("solver", SOLVERS)
def test_gradients_are_those_of_lu(solver: str, name: str, disable: frozenset[str]) -> None:
    x = inputs()
    expected = gradients(made(solver, EXACT, atol=1e-12)[0], x)
    model, _ = made(solver, over(name), disable, atol=1e-12)
    torch.testing.assert_close(gradients(model, x), expected, rtol=1e-9, atol=1e-10)
    solution = model.solve(x.clone().requires_grad_())
    solution.z_star.sum().backward()
    record = solution.original.adjoint
    assert record.status.tolist() == [0] * 5
    assert torch.equal(record.njvp, record.steps * (2 if name == "bicgstab" else 1) + 1)


def test_it_restarts() -> None:
    x = inputs()
    expected = gradients(made("broyden", EXACT, atol=1e-12)[0], x)
    model, module = made("broyden", over(memory=2, max_steps=200), atol=1e-12)
    assert hasattr(module, "_restarted_gmres")
    torch.testing.assert_close(gradients(model, x), expected, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("kind", ["adjoint", "tangent"])
def test_it_is_what_the_solver_ends_with(solver: str, kind: str) -> None:
    """Where that is (I - A)^-1, the transposed one for the adjoint, one step is enough, and else some are."""
    f = linear("rotating")
    size = f.a.shape[1]
    inverse = torch.linalg.inv(torch.eye(size, dtype=F64) - f.a)
    it: Any = module(solver, adjoint=over())
    given = (inverse,)
    if solver == "limited_memory_broyden":  # I + (inverse - I): rows l_i = e_i, r_i
        ones = torch.eye(size, dtype=F64).expand_as(inverse)
        given = it._factors(ones / 2.0, inverse - ones, torch.full((len(inverse),), size), 2.0)
    right_way = tuple(reversed(given)) if len(given) == 2 else (given[0].mT,)
    at, turned = (given, right_way) if kind == "tangent" else (right_way, given)
    matrix = type(f)(f.a if kind == "tangent" else f.a.mT.contiguous(), f.b)
    x, record = solved(it, f.b, lambda goal: it._adjoint_solve(product(matrix), f.b, goal, *at))
    torch.testing.assert_close(x, matrix.solution, rtol=1e-9, atol=1e-9)
    assert record.steps.tolist() == [1] * len(x)
    _, record = solved(it, f.b, lambda goal: it._adjoint_solve(product(matrix), f.b, goal, *turned))
    assert int(record.steps.min()) > 1


@pytest.mark.parametrize("alpha", [1.0, 2.5])
def test_the_factors_are_of_the_inverse_times_alpha(alpha: float) -> None:
    model, it = made("limited_memory_broyden", over(), alpha=alpha, history=4)
    x = inputs()
    _, h = learnt(model, it, x)
    with torch.no_grad():
        w = model.weights(x)
        memory = it._solved(lambda z: it.f(z, w), torch.zeros_like(x))[2]
    left, right = it._factors(*memory[:3], alpha)
    torch.testing.assert_close(torch.eye(6, dtype=F64) + left.mT @ right, alpha * h, rtol=1e-12, atol=1e-12)


LINE = """\
deqc: 1
name: M
input: {x: [40]}
scale: [40]
main_layers: [{sum: [{linear: {out: 40, bias: false}}, $x]}]
"""
RANDOM, LEAST = 0.95, 1e-3  # the spectral radius of W; the least eigenvalue of I - W


def near_one(hard: bool) -> Tensor:
    """W with eigenvalues all over a disk of radius 0.95; where `hard`, those of I - W go from 1e-3 to 1."""
    generator = torch.Generator().manual_seed(0)
    a = torch.randn(40, 40, generator=generator, dtype=F64)
    if not hard:
        return a * (RANDOM / float(torch.linalg.eigvals(a).abs().max()))
    q = torch.linalg.qr(a)[0]
    w: Tensor = torch.eye(40) - q @ torch.diag(torch.logspace(math.log10(LEAST), 0, 40, dtype=F64)) @ q.T
    return w


def of_line(solver: str, name: str, preconditioner: str, hard: bool) -> tuple[float, Any]:
    """How far the gradient of z = W z + x is from that of the closed form, and the record of the solve."""
    history = ", history: 200" if solver == "limited_memory_broyden" else ""
    settings = f"solver: {{method: {solver}, atol: 1.0e-6, max_steps: 200{history}, on_failure: ignore}}\n"
    linear_solver = f"{{method: {name}, rtol: 1.0e-6, max_steps: 200, preconditioner: {preconditioner}}}"
    source = compile_text(f"{LINE}{settings}adjoint: {{linear_solver: {linear_solver}}}\n", "m.yaml").source
    model: Any = import_source(source, "line").M().double()
    weight = near_one(hard)
    with torch.no_grad():
        next(model.parameters()).copy_(weight)
    x = torch.randn(3, 40, generator=torch.Generator().manual_seed(1), dtype=F64).requires_grad_()
    solution = model.solve(x)
    (found,) = torch.autograd.grad((cotangent_of_line() * solution.z_star).sum(), x)
    exact = torch.linalg.solve(torch.eye(40, dtype=F64) - weight.T, cotangent_of_line().T).T
    return float((found - exact).norm() / exact.norm()), solution.original


def cotangent_of_line() -> Tensor:
    return torch.randn(3, 40, generator=torch.Generator().manual_seed(2), dtype=F64)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("solver", SOLVERS)
def test_fewer_products_where_the_solve_took_many_steps(solver: str, name: str) -> None:
    """Also that one counted which looks at the residual."""
    error, with_it = of_line(solver, name, "broyden", hard=False)
    _, without = of_line(solver, name, "none", hard=False)
    assert with_it.status.tolist() == [0] * 3
    assert int(with_it.steps.min()) > 30
    assert error < 1e-4
    assert bool((4 * with_it.adjoint.njvp <= 3 * without.adjoint.njvp).all())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("solver", SOLVERS)
def test_a_matrix_that_is_ill_conditioned_spoils_nothing(solver: str, name: str) -> None:
    """After several times as many steps as the state has numbers it is; the solve without goes on from there."""
    error, with_it = of_line(solver, name, "broyden", hard=True)
    plain, without = of_line(solver, name, "none", hard=True)
    assert int(with_it.steps.min()) > 100
    assert bool((with_it.adjoint.njvp > without.adjoint.njvp).any())
    assert with_it.adjoint.status.tolist() == [0] * 3
    assert error < max(1e-3, 2 * plain)


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_solve_without_a_step_leaves_the_identity(solver: str) -> None:
    """The same steps, and the same gradients up to rounding, as without a preconditioner."""
    x = inputs()
    found = []
    for preconditioner in ("broyden", "none"):
        model, _ = made(solver, over(preconditioner=preconditioner), atol=1e-9)
        start = model(x).detach()
        at = x.clone().requires_grad_()
        solution = model.solve(at, z0=start)
        assert solution.original.steps.tolist() == [0] * 5
        (gradient,) = torch.autograd.grad((cotangent() * solution.z_star).sum(), at)
        found.append((gradient, solution.original.adjoint.steps))
    torch.testing.assert_close(found[0], found[1], rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("value", [math.nan, math.inf, 1e300])
@pytest.mark.parametrize("solver", SOLVERS)
def test_a_sample_whose_matrix_is_not_finite_goes_without(solver: str, value: float) -> None:
    f = linear("rotating")
    it: Any = module(solver, adjoint=over())
    size = f.a.shape[1]
    ones = torch.eye(size, dtype=F64).repeat(len(f.b), 1, 1)
    fine = (ones,) if solver == "broyden" else (0.1 * ones, ones)
    broken = (fine[0].clone(), *fine[1:])
    broken[0][1] = value
    b = f.b.clone()
    b[1] *= 1e10  # what is finite in the matrix is not in the product
    x, record = solved(it, b, lambda goal: it._adjoint_solve(product(f), b, goal, *broken))
    plain, expected = solved(it, b, lambda goal: it._adjoint_solve(product(f), b, goal, *fine))
    others = [0, *range(2, len(b))]
    assert torch.equal(x[others], plain[others])
    assert torch.equal(record.steps[others], expected.steps[others])
    assert record.status.tolist() == [0] * len(b)
    torch.testing.assert_close(x[1], 1e10 * f.solution[1], rtol=1e-8, atol=1)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("batch", [0, 1])
def test_small_batches(solver: str, name: str, batch: int) -> None:
    model, _ = made(solver, over(name), atol=1e-10)
    found = gradients(model, inputs(batch) if batch else torch.zeros(0, 6, dtype=F64))
    expected = gradients(made(solver, EXACT, atol=1e-10)[0], inputs(batch) if batch else torch.zeros(0, 6, dtype=F64))
    torch.testing.assert_close(found, expected, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("compaction", [False, True])
@pytest.mark.parametrize("solver", SOLVERS)
def test_a_sample_is_alone(solver: str, compaction: bool) -> None:
    model, _ = made(solver, over(rtol=1e-3), compaction=compaction, atol=1e-6)
    x = torch.cat([inputs(4), torch.zeros(1, 6, dtype=F64), 5 * inputs(3)])
    whole = gradients(model, x)[0]
    c = cotangent(len(x))
    for i in range(len(x)):
        alone = x[i : i + 1].clone().requires_grad_()
        (found,) = torch.autograd.grad((c[i : i + 1] * model(alone)).sum(), alone)
        torch.testing.assert_close(whole[i : i + 1], found, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("solver", SOLVERS)
def test_with_every_setting_of_the_solver(solver: str) -> None:
    """With `coupling: batch` the products of the solver are over all samples, and those here of each."""
    settings: dict[str, Any] = {"termination": "abs_norm_safe_best", "trace": True, "coupling": "batch"}
    settings |= {"eval": {"alpha": 3.0}, **({"update": "bad"} if solver == "broyden" else {})}
    x = inputs()
    exact = gradients(made(solver, EXACT, atol=1e-12)[0], x)
    model, _ = made(solver, over(), atol=1e-12, **settings)
    torch.testing.assert_close(gradients(model, x), exact, rtol=1e-9, atol=1e-10)
    torch.testing.assert_close(gradients(model.eval(), x), exact, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("solver", SOLVERS)
def test_transforms(solver: str) -> None:
    """Of torch.func, forward and backward, and one in the other: each solve has the same preconditioner."""
    model, _ = made(solver, over(), atol=1e-13)
    exact, _ = made(solver, EXACT, atol=1e-13)
    x, c = inputs(2), cotangent(2)
    (expected, *_) = gradients(exact, x)

    def one(x: Tensor, c: Tensor) -> Tensor:
        loss: Tensor = (c * model(x.unsqueeze(0))[0]).sum()
        return loss

    mapped = torch.func.vmap(torch.func.grad(one))(x, c)
    torch.testing.assert_close(mapped, expected, rtol=1e-8, atol=1e-9)
    tangent = torch.func.jvp(lambda x: (c * model(x)).sum(), (x,), (x,))[1]
    torch.testing.assert_close(tangent, (expected * x).sum(), rtol=1e-8, atol=1e-9)
    second = torch.func.hessian(lambda x: model(x).square().sum())(x[:1])
    true = torch.func.hessian(lambda x: exact(x).square().sum())(x[:1])
    torch.testing.assert_close(second, true, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("solver", SOLVERS)
def test_second_derivatives(solver: str) -> None:
    model, _ = made(solver, over(rtol=1e-13), atol=1e-13)
    assert torch.autograd.gradgradcheck(lambda x: model(x).square(), inputs(1).requires_grad_())


def test_explain_names_it() -> None:
    told = explain(compile_text(text({"method": "broyden"}, over()), "m.yaml"))
    assert "implicit by gmres over what the solver has learnt, rtol" in told
    assert "the preconditioner is what each sample's solve ends with, the identity where it took no step" in told
