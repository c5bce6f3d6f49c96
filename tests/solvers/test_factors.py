"""The backward solve by the LU factors that the last step of Newton's or Halley's method has left."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from deqc.compiler import compile_text
from deqc.explain import explain
from deqc.loading import import_source
from tests.solvers.linear import FAMILIES, linear, solved
from tests.solvers.modules import module
from tests.solvers.test_linear_solvers import product

F64 = torch.float64
SOLVERS = ("newton", "halley")
EXACT = {"linear_solver": "lu"}
BODY = """\
deqc: 1
name: M
input: {x: [6]}
scale: [6]
main_layers: [{sum: [{linear: 6}, [$x, {linear: 6}]]}, tanh]
"""
# z = x + 2 z (1 - z), entry by entry: J = 2 - 4 z is no contraction, and far from constant.
STEEP = """\
deqc: 1
name: M
input: {x: [6]}
scale: [6]
main_layers: [{sum: [$x, {mul: [{times: 2.0}, [{times: -1.0}, {plus: 1.0}]]}]}]
"""


def reusing(**options: object) -> dict[str, object]:
    return {"linear_solver": {"method": "lu", "factors": "last_step", "rtol": 1e-12, **options}}


def text(solver: dict[str, Any], adjoint: object, body: str = BODY) -> str:
    settings = {"atol": 1e-4, "max_steps": 60, **solver}
    return f"{body}solver: {json.dumps(settings)}\nadjoint: {json.dumps(adjoint)}\n"


def made(solver: str, adjoint: object, disable: frozenset[str] = frozenset(), body: str = BODY, **settings: Any) -> Any:
    """The model in float64, with weights that make the spectral radius of df/dz about 1."""
    source = compile_text(text({"method": solver, **settings}, adjoint, body), "m.yaml", disable).source
    torch.manual_seed(1)
    model = import_source(source, "factors").M().double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2.5)
    return model


def random(batch: int, seed: int) -> Tensor:
    return torch.randn(batch, 6, generator=torch.Generator().manual_seed(seed), dtype=F64)


def gradients(model: Any, x: Tensor) -> tuple[list[Tensor], Any]:
    """Of <c, z*> for the input and the parameters, the first row by row; and the record of the solve."""
    x = x.clone().requires_grad_()
    solution = model.solve(x)
    loss = (random(len(x), 4) * solution.z_star).sum()
    return list(torch.autograd.grad(loss, [x, *model.parameters()])), solution.original


@pytest.mark.parametrize("disable", [frozenset[str](), frozenset({"adjoint"})], ids=["rules", "torch"])
@pytest.mark.parametrize("solver", SOLVERS)
def test_gradients_are_those_of_lu(solver: str, disable: frozenset[str]) -> None:
    x = random(5, 3)
    expected, _ = gradients(made(solver, EXACT, disable), x)
    found, record = gradients(made(solver, reusing(), disable), x)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-10)
    assert record.adjoint.status.tolist() == [0] * 5
    assert torch.equal(record.adjoint.njvp, record.adjoint.steps)
    assert 1 <= int(record.adjoint.steps.min()) <= int(record.adjoint.steps.max()) <= 8


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_refinement_is_enough_near_the_solution(solver: str) -> None:
    """Where the solve is to 1e-9, the iterate before z* is within 1e-4 of it, and so are the factors."""
    _, record = gradients(made(solver, reusing(rtol=1e-3), atol=1e-9), random(5, 3))
    assert record.adjoint.njvp.tolist() == [1] * 5


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("kind", ["adjoint", "tangent"])
@pytest.mark.parametrize("off", [0.0, 1e-3, 10.0], ids=["exact", "near", "far"])
def test_what_is_solved(kind: str, family: str, off: float) -> None:
    """Factors of the matrix itself need one refinement, near ones a few, and others are made anew."""
    f = linear(family)
    size = f.a.shape[1]
    it: Any = module("newton", adjoint=reusing())
    a = torch.eye(size, dtype=F64) - f.a
    noise = torch.randn(a.shape, generator=torch.Generator().manual_seed(7), dtype=F64)
    factors, pivots = torch.linalg.lu_factor((a + off * noise).mT)
    turned = type(f)(f.a.mT, f.b) if kind == "adjoint" else f
    matrix = torch.eye(size, dtype=F64) - turned.a
    x, record = solved(
        it,
        f.b,
        lambda goal: it._refined(product(turned), f.b, goal, factors, pivots, kind == "adjoint", lambda: matrix),
    )
    exact = torch.linalg.solve(matrix, f.b)
    error = torch.linalg.vector_norm(x - exact, dim=1) / torch.linalg.vector_norm(exact, dim=1)
    assert bool((error <= 1e-11 * torch.linalg.cond(a)).all())
    assert record.status.tolist() == [0] * len(x)
    if off == 0:
        assert int(record.steps.max()) <= 2
        assert torch.equal(record.njvp, record.steps)
    elif off > 1:
        assert int(record.njvp.min()) > size


@pytest.mark.parametrize("solver", SOLVERS)
def test_steps_that_are_far_from_the_solution(solver: str) -> None:
    """After one loose step the gradient at the z that is returned is still that of the equation there."""
    x = 3 * random(5, 3)
    settings: dict[str, Any] = {"max_steps": 1, "atol": 1e-12, "on_failure": "ignore", "body": STEEP}
    expected, _ = gradients(made(solver, EXACT, **settings), x)
    model = made(solver, reusing(rtol=1e-10), **settings)
    found, record = gradients(model, x)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
    assert record.status.tolist() == [1] * 5
    assert record.adjoint.status.tolist() == [0] * 5
    assert bool((record.adjoint.njvp > 6).any()), "some factors are of no use"


def test_a_closed_form_where_f_expands() -> None:
    """z = x + 2 z (1 - z) has the root z = (1 + sqrt(1 + 8 x)) / 4 with df/dz = 1 - sqrt(1 + 8 x), here below -1."""
    x = torch.linspace(1.0, 5.0, 12, dtype=F64).view(2, 6).requires_grad_()
    model = made("newton", reusing(), body=STEEP, atol=1e-13)
    solution = model.solve(x, z0=torch.ones(2, 6, dtype=F64))
    root = (1 + 8 * x).sqrt()
    torch.testing.assert_close(solution.z_star, (1 + root) / 4, rtol=1e-12, atol=1e-12)
    (first,) = torch.autograd.grad(solution.z_star.sum(), x, create_graph=True)
    torch.testing.assert_close(first, 1 / root, rtol=1e-11, atol=1e-11)
    (second,) = torch.autograd.grad(first.sum(), x)
    torch.testing.assert_close(second, -4 / root**3, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_singular_matrix_says_so(solver: str) -> None:
    """At x = -1/8 the two roots of z = x + 2 z (1 - z) meet, df/dz = 1; the other sample is solved."""
    model = made(solver, reusing(), body=STEEP, atol=1e-13, on_failure="warn")
    x = torch.stack([torch.full((6,), -0.125, dtype=F64), torch.ones(6, dtype=F64)]).requires_grad_()
    solution = model.solve(x, z0=torch.tensor([[0.25], [1.0]], dtype=F64).expand(2, 6).contiguous())
    assert solution.original.status.tolist() == [0, 0]
    with pytest.warns(UserWarning, match="I - df/dz is close to singular at the solution"):
        (found,) = torch.autograd.grad(solution.z_star.sum(), x)
    assert solution.original.adjoint.status.tolist()[0] in (2, 4)
    assert solution.original.adjoint.status.tolist()[1] == 0
    torch.testing.assert_close(found[1], torch.full((6,), 1 / 3, dtype=F64), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_step_that_is_singular_ends_its_sample_alone(solver: str) -> None:
    """At z = 1/4 the matrix I - df/dz of z = x + 2 z (1 - z) is zero: that sample stays where it is."""
    model = made(solver, reusing(), body=STEEP, atol=1e-12, on_failure="ignore")
    start = torch.tensor([[0.25], [1.0]], dtype=F64).expand(2, 6).contiguous()
    solution = model.solve(torch.ones(2, 6, dtype=F64), z0=start)
    assert solution.original.status.tolist() == [2, 0]
    assert torch.equal(solution.z_star[0], start[0])
    torch.testing.assert_close(solution.z_star[1], torch.ones(6, dtype=F64), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_solve_without_a_step_factorises_at_the_solution(solver: str) -> None:
    x = random(5, 3)
    start = made(solver, EXACT, atol=1e-12)(x).detach()
    model = made(solver, reusing(), atol=1e-9)
    at = x.clone().requires_grad_()
    solution = model.solve(at, z0=start)
    assert solution.original.steps.tolist() == [0] * 5
    (found,) = torch.autograd.grad((random(5, 4) * solution.z_star).sum(), at)
    torch.testing.assert_close(found, gradients(made(solver, EXACT, atol=1e-12), x)[0][0], rtol=1e-9, atol=1e-10)
    assert solution.original.adjoint.njvp.tolist() == [7] * 5


@pytest.mark.parametrize("value", [math.nan, math.inf, 0.0])
def test_a_sample_whose_factors_are_of_no_use(value: float) -> None:
    f = linear("rotating")
    it: Any = module("newton", adjoint=reusing())
    matrix = torch.eye(6, dtype=F64) - f.a
    factors, pivots = torch.linalg.lu_factor(matrix.mT)
    broken = factors.clone()
    broken[1] = value
    x, record = solved(it, f.b, lambda goal: it._refined(product(f), f.b, goal, broken, pivots, False, lambda: matrix))
    plain, expected = solved(
        it, f.b, lambda goal: it._refined(product(f), f.b, goal, factors, pivots, False, lambda: matrix)
    )
    others = [0, *range(2, len(x))]
    assert torch.equal(x[others], plain[others])
    assert torch.equal(record.njvp[others], expected.njvp[others])
    torch.testing.assert_close(x[1], f.solution[1], rtol=1e-10, atol=1e-10)
    assert record.status.tolist() == [0] * len(x)
    assert int(record.njvp[1]) == 7


def test_cotangents_that_are_zero_or_not_finite() -> None:
    f = linear("rotating")
    it: Any = module("newton", adjoint=reusing())
    matrix = torch.eye(6, dtype=F64) - f.a
    matrix[0] = 0.0  # of no inverse, and none is needed
    b = f.b.clone()
    b[0], b[1] = 0.0, math.nan
    turned = type(f)(torch.eye(6, dtype=F64) - matrix, b)
    factors, pivots = torch.linalg.lu_factor_ex(matrix.mT)[:2]
    x, record = solved(
        it, b, lambda goal: it._refined(product(turned), b, goal, factors, pivots, False, lambda: matrix)
    )
    assert torch.equal(x[0], torch.zeros(6, dtype=F64))
    assert record.status.tolist() == [0, 4, 0, 0, 0]
    torch.testing.assert_close(x[2:], f.solution[2:], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("compaction", [False, True])
@pytest.mark.parametrize("solver", SOLVERS)
def test_a_sample_is_alone(solver: str, compaction: bool) -> None:
    """Its factors are those of its own last step, however long its mates take, to a goal that shows it."""
    model = made(solver, reusing(rtol=1e-2), compaction=compaction, atol=1e-3)
    x = torch.cat([random(4, 3), torch.zeros(1, 6, dtype=F64), 5 * random(3, 5)])
    (whole, *_), record = gradients(model, x)
    c = random(len(x), 4)
    assert len(set(record.steps.tolist())) > 1
    for i in range(len(x)):
        alone = x[i : i + 1].clone().requires_grad_()
        solution = model.solve(alone)
        (found,) = torch.autograd.grad((c[i : i + 1] * solution.z_star).sum(), alone)
        torch.testing.assert_close(whole[i : i + 1], found, rtol=1e-10, atol=1e-12)
        assert solution.original.adjoint.njvp[0] == record.adjoint.njvp[i]


@pytest.mark.parametrize("batch", [0, 1])
def test_small_batches(batch: int) -> None:
    x = random(batch, 3)
    found, _ = gradients(made("newton", reusing()), x)
    torch.testing.assert_close(found, gradients(made("newton", EXACT), x)[0], rtol=1e-9, atol=1e-10)


def test_with_every_setting_of_the_solver() -> None:
    settings: dict[str, Any] = {"termination": "abs_norm_safe_best", "trace": True, "line_search": "backtracking"}
    settings |= {"coupling": "batch", "eval": {"atol": 1e-8}}
    x = random(5, 3)
    expected, _ = gradients(made("newton", EXACT, **settings), x)
    model = made("newton", reusing(), **settings)
    torch.testing.assert_close(gradients(model, x)[0], expected, rtol=1e-9, atol=1e-10)
    expected, _ = gradients(made("newton", EXACT, **settings).eval(), x)
    torch.testing.assert_close(gradients(model.eval(), x)[0], expected, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_other_precisions(dtype: torch.dtype) -> None:
    x = random(5, 3).to(dtype)
    settings: dict[str, Any] = {"atol": 0.05, "max_steps": 4, "on_failure": "ignore"}
    found, record = gradients(made("newton", reusing(rtol=1e-3), **settings).to(dtype), x)
    expected, _ = gradients(made("newton", EXACT, **settings).to(dtype), x)
    assert found[0].dtype == dtype
    assert record.adjoint.status.tolist() == [0] * 5
    rounding = max(2e-3, 40 * torch.finfo(dtype).eps)
    difference = torch.linalg.vector_norm((found[0] - expected[0]).float())
    assert float(difference) < rounding * float(torch.linalg.vector_norm(expected[0].float()))


@pytest.mark.parametrize("solver", SOLVERS)
def test_transforms(solver: str) -> None:
    """Of torch.func, forward and backward, and one in the other: each solve has the same factors."""
    model, exact = (made(solver, adjoint, atol=1e-13) for adjoint in (reusing(), EXACT))
    x, c = random(2, 3), random(2, 4)
    (expected, *_), _ = gradients(exact, x)

    def one(x: Tensor, c: Tensor) -> Tensor:
        loss: Tensor = (c * model(x.unsqueeze(0))[0]).sum()
        return loss

    mapped = torch.func.vmap(torch.func.grad(one))(x, c)
    torch.testing.assert_close(mapped, expected, rtol=1e-9, atol=1e-10)
    tangent = torch.func.jvp(lambda x: (c * model(x)).sum(), (x,), (x,))[1]
    torch.testing.assert_close(tangent, (expected * x).sum(), rtol=1e-9, atol=1e-10)
    second = torch.func.hessian(lambda x: model(x).square().sum())(x[:1])
    true = torch.func.hessian(lambda x: exact(x).square().sum())(x[:1])
    torch.testing.assert_close(second, true, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("solver", ["newton", pytest.param("halley", marks=pytest.mark.slow)])
def test_all_derivatives(solver: str) -> None:
    """Reverse and forward, of batches of cotangents, and their own; the weights among the inputs."""
    model = made(solver, reusing(), atol=1e-13)
    names = [name for name, _ in model.named_parameters()]
    given = (random(1, 3).requires_grad_(), *(p.detach().clone().requires_grad_() for p in model.parameters()))

    def loss(x: Tensor, *weights: Tensor) -> Tensor:
        z: Tensor = torch.func.functional_call(model, dict(zip(names, weights, strict=True)), (x,))
        return z.square()

    assert torch.autograd.gradcheck(loss, given, check_forward_ad=True, check_batched_grad=True)
    assert torch.autograd.gradgradcheck(loss, given, check_batched_grad=True, check_fwd_over_rev=True)


def test_only_what_it_uses() -> None:
    plain = compile_text(text({"method": "newton"}, EXACT), "m.yaml").source
    reused = compile_text(text({"method": "newton"}, reusing()), "m.yaml").source
    assert "_dense_solve" in plain
    assert "lu_factor" not in plain
    assert "_dense_solve" not in reused


def test_explain_names_it() -> None:
    told = explain(compile_text(text({"method": "newton"}, reusing()), "m.yaml"))
    assert "implicit by lu with the factors of the last step, rtol 1e-12, atol 0.0: exact" in told
    assert "lu refines to its rtol what the factors of each sample's last step give, 36 numbers" in told
