"""The linear solvers of the steps of Newton's method and of the implicit ones, against dense solves."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from deqc.compiler import compile_text
from deqc.explain import explain
from deqc.loading import import_source
from deqc.solvers import INNER_SOLVERS
from tests.solvers.linear import Linear, linear
from tests.solvers.modules import SPEC, module
from tests.solvers.test_krylov import curved
from tests.solvers.test_linear_solvers import product, symmetric

Map = Callable[[Tensor], Tensor]
METHODS = ("newton_krylov", "implicit_euler", "trbdf2", "rosenbrock23")
ITERATIVE = ("gmres", "bicgstab", "cg")  # to any tolerance


def made(method: str, linear_solver: object, **settings: object) -> ModuleType:
    """The module that solves by that method, and its linear systems by that linear solver."""
    ours = {"atol": 1e-9, "on_failure": "ignore", "assume": "symmetric", **settings}
    return module(method, **ours, linear_solver=linear_solver)


def exact(name: str) -> dict[str, object]:
    """That linear solver, to many digits."""
    return {"method": name, **({} if name == "lu" else {"rtol": 1e-11, "max_steps": 40})}


def bed(name: str) -> Linear:
    """A map that the linear solver takes: neither a contraction nor symmetric, but for those that need it."""
    if name == "cg":
        return symmetric(linear("stiff"))
    return linear("contractive" if name == "neumann" else "rotating")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", INNER_SOLVERS)
def test_each_method_solves_by_each(method: str, name: str) -> None:
    """The fixed points are those of a dense solve, however rough the linear solves are."""
    f = bed(name)
    z, record = made(method, name, max_steps=400).fixed_point(f, torch.zeros_like(f.b))
    assert record.status.tolist() == [0] * 5
    torch.testing.assert_close(z, f.solution, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", [*ITERATIVE, "lu"])
def test_one_step_of_newton_solves_a_linear_map(name: str) -> None:
    f = bed(name)
    one = made("newton_krylov", exact(name), max_steps=1)
    z, _ = one.fixed_point(f, torch.zeros_like(f.b))
    torch.testing.assert_close(z, f.solution, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("name", [*ITERATIVE, "lu"])
def test_the_systems_of_the_implicit_methods(name: str) -> None:
    """d - c (J - I) d = b, for each sample's c, also a huge one; products are those taken, none where it is over."""
    f = bed(name)
    asked = []

    def multiply(v: Tensor) -> Tensor:
        asked.append(v)
        return product(f)(v)

    it: Any = made("rosenbrock23", exact(name))
    c = torch.tensor([[1e-3], [0.3], [2.0], [1e6], [1e12]], dtype=torch.float64)
    expected = torch.linalg.solve(torch.eye(6) - c.unsqueeze(2) * (f.a - torch.eye(6)), f.b)
    if name == "lu":
        d = it._Rosenbrock(None, 0.1, 0.0).solve(f.a, c, f.b)
    else:
        solver = it._Rosenbrock(lambda _: multiply, 0.1, 0.0, 1e-13, 60)
        d, count = solver.solve(multiply, c, f.b, torch.tensor([True] * 5))
        assert int(count.max()) == len(asked)
        assert solver.solve(multiply, c, f.b, torch.tensor([False] * 5))[1].tolist() == [0] * 5
    torch.testing.assert_close(d, expected, rtol=1e-6, atol=0)


@pytest.mark.parametrize("line_search", ["none", "backtracking"])
def test_by_lu_it_is_newton(line_search: str) -> None:
    f, _ = curved(reach=1.5)
    z0 = torch.zeros(4, 6, dtype=torch.float64)
    settings: dict[str, Any] = {"atol": 1e-10, "on_failure": "ignore", "line_search": line_search}
    z, record = module("newton", **settings).fixed_point(f, z0)
    # no forcing: what is exact cannot be rougher
    other = made("newton_krylov", "lu", **settings, forcing="eisenstat_walker")
    new, found = other.fixed_point(f, z0)
    assert torch.equal(new, z)
    for name in ("status", "steps", "nfe", "njvp"):
        assert torch.equal(getattr(found, name), getattr(record, name))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "linear_solver",
    [
        "lu",
        *("gmres", "bicgstab", "neumann"),
        *({"method": name, "preconditioner": "diagonal"} for name in ("gmres", "bicgstab", "neumann")),
    ],
)
def test_products_are_counted_once(method: str, linear_solver: object) -> None:
    """Of one sample those that were asked for, also by the preconditioner; a dense Jacobian counts as D."""
    f, jvp = curved(batch=1, reach=0.6)
    calls = {"f": 0, "product": 0}

    def counted(z: Tensor) -> Tensor:
        calls["f"] += 1
        return f(z)

    def counted_jvp(z: Tensor) -> Map:
        def counting(v: Tensor) -> Tensor:
            calls["product"] += 1
            return jvp(z)(v)

        return counting

    def counted_jacobian(z: Tensor) -> Tensor:
        calls["product"] += 6
        return torch.stack([jvp(z)(one.expand(1, -1)) for one in torch.eye(6, dtype=torch.float64)], 2)

    derivatives = {"jvp": counted_jvp, "jacobian": counted_jacobian}
    z0 = torch.zeros(1, 6, dtype=torch.float64)
    z, record = made(method, linear_solver, max_steps=400).fixed_point(counted, z0, **derivatives)
    assert record.status.tolist() == [0]
    assert float((f(z) - z).abs().max()) <= 1e-9
    assert calls == {"f": int(record.nfe), "product": int(record.njvp)}


@pytest.mark.parametrize("name", INNER_SOLVERS)
def test_samples_do_not_look_at_each_other(name: str) -> None:
    """One that is solved, one that is not finite, one that is hard: the last is as without them."""
    f = bed(name)
    hard = linear("expansive", seed=1)
    start = torch.zeros_like(f.b)
    it = made("newton_krylov", name)
    z, record = it.fixed_point(f, start)
    mixed = Linear(f.a.clone(), f.b.clone())
    mixed.a[3], mixed.b[3] = hard.a[3], hard.b[3]
    start = torch.stack([z[0], torch.full_like(z[0], math.nan), start[2], start[3], start[4]])
    new, found = it.fixed_point(mixed, start)
    assert found.status.tolist()[:2] == [0, 4]
    assert (int(found.steps[0]), int(found.nfe[0]), int(found.njvp[0])) == (0, 1, 0)
    assert torch.equal(new[0], z[0])
    for k in (2, 4):
        assert torch.equal(new[k], z[k])
        assert int(found.njvp[k]) == int(record.njvp[k])


@pytest.mark.parametrize("name", INNER_SOLVERS)
@pytest.mark.parametrize("batch", [0, 1])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_small_batches_and_dtypes(name: str, batch: int, dtype: torch.dtype) -> None:
    f = bed(name)
    f = Linear(0.4 * f.a[:batch].to(dtype), f.b[:batch].to(dtype))
    z, record = made("newton_krylov", name, atol=0.05).fixed_point(f, torch.zeros_like(f.b))
    assert z.dtype == dtype
    assert record.status.tolist() == [0] * batch


def source(solver: Mapping[str, object], adjoint: object) -> str:
    return compile_text(SPEC.format(solver=json.dumps(solver), adjoint=json.dumps(adjoint)), "bed.yaml").source


@pytest.mark.parametrize("name", ["gmres", "bicgstab", "cg", "neumann"])
def test_solve_and_adjoint_share_their_functions(name: str) -> None:
    """Written once; and each module has those that it calls, no others."""
    both = source(
        {"method": "trbdf2", "assume": "symmetric", "linear_solver": name},
        {"assume": "symmetric", "linear_solver": name},
    )
    assert both.count(f"def _{name}(") == 1
    assert both.count(f"_{name}(") == (3 if name == "neumann" else 4)  # the adjoint may go on from what is left
    assert "_restarted" not in both
    for other in {"gmres", "bicgstab", "cg", "neumann"} - {name}:
        assert f"_{other}(" not in both
    several = {"method": "gmres", "memory": 2}
    mixed = source({"method": "newton_krylov", "linear_solver": several}, {"linear_solver": several})
    assert mixed.count("def _restarted_gmres(") == mixed.count("def _gmres(") == 1


def test_a_krylov_space_of_the_adjoint_begins_anew() -> None:
    """The gradients are those of LU, and the products more than without."""
    body = SPEC.replace("[2]", "[8]").replace("linear: 2", "linear: 8")
    grads, counts = [], []
    for adjoint in ("lu", {"method": "gmres", "rtol": 1e-11, "max_steps": 200, "memory": 3}, "gmres"):
        written = body.format(solver="{method: newton, atol: 1e-12}", adjoint=json.dumps({"linear_solver": adjoint}))
        torch.manual_seed(0)
        model: Any = import_source(compile_text(written, "bed.yaml").source, "bed").Bed().double()
        x = torch.linspace(-1, 1, 40, dtype=torch.float64).reshape(5, 8)
        solution = model.solve(x)
        solution.z_star.square().sum().backward()
        grads.append([one.grad for one in model.parameters()])
        counts.append(solution.original.adjoint)
    torch.testing.assert_close(grads[1], grads[0], rtol=1e-8, atol=1e-9)
    assert bool((counts[1].njvp > 8).all())
    assert counts[1].status.tolist() == [0] * 5


def test_explain_tells_what_is_not_used() -> None:
    linear_solver = {"method": "lu", "rtol": 1e-4, "max_steps": 9}
    solver = {"method": "newton_krylov", "forcing": "eisenstat_walker", "linear_solver": linear_solver}
    said = explain(compile_text(SPEC.format(solver=json.dumps(solver), adjoint="implicit"), "bed.yaml"))
    assert "newton_krylov by lu, max |f(z) - z| <= 1e-3" in said
    for note in ("newton_krylov by lu is newton", "max_steps 9 is not used", "rtol 0.0001 is not used", "forcing eis"):
        assert note in said
