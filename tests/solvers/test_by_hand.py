"""Gradients by hand: of linear and of scalar equations, of approximate adjoints by their definitions; hard cases.

With u the solution of u = (df/dz)^T u + g, the gradient of whatever f reads is that of f at z*, of the cotangent u.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.properties import apart, constants, loss
from tests.solvers.exact import IMPLICIT, LINEAR, OF_THE_STEPS, QUICK, Exact
from tests.solvers.linear import linear
from tests.solvers.small import inputs, model_of, module_of, text_of

F64 = torch.float64
EYE = torch.eye(6, dtype=F64)
NEWTON = {"method": "newton", "atol": 1e-13, "rtol": 1e-13, "max_steps": 30}
EXACT = {**IMPLICIT, **OF_THE_STEPS}
LINE = "scale: [6]\nmain_layers: [{sum: [{linear: 6}, [$x, {linear: {out: 6, bias: false}}]]}]\n"
SCALAR = "scale: [1]\nmain_layers: [{sum: [{linear: 1}, [$x, {linear: {out: 1, bias: false}}]]}, tanh]\n"


def spec(body: str, adjoint: object, solver: object = NEWTON) -> str:
    """With that f, from zeros."""
    return text_of(solver, adjoint, body)


def symmetric(w: Tensor) -> Tensor:
    """What cg is for: symmetric, with I - W positive definite."""
    s = (w + w.mT) / 2
    top: Tensor = s - EYE * (torch.linalg.eigvalsh(s).max() - 0.9).clamp_min(0)
    return top


def line(adjoint: object, w: Tensor) -> Any:
    """z = W z + U x + b."""
    model = model_of(spec(LINE, adjoint))
    with torch.no_grad():
        model.main_layers["0"]["sum"]["0"]["linear"].weight.copy_(w)
    return model


def cotangent(size: int = 6) -> Tensor:
    """Of z*, for a batch of two."""
    return torch.randn(2, size, generator=torch.Generator().manual_seed(3), dtype=F64)


def of_line(model: Any, x: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """The gradients of <c, z*> for x, W, b and U: found, and by hand."""
    inner, outer = model.main_layers["0"]["sum"]["0"]["linear"], model.main_layers["0"]["sum"]["1"]["linear"]
    leaf, c = x.clone().requires_grad_(), cotangent().to(x.dtype)
    found = torch.autograd.grad((c * model(leaf)).sum(), [leaf, inner.weight, inner.bias, outer.weight])
    with torch.no_grad():
        inverse = torch.linalg.inv(EYE - inner.weight.double())
        z = (x.double() @ outer.weight.double().mT + inner.bias.double()) @ inverse.mT
        u = c.double() @ inverse  # (I - W)^-T c, row by row
        return list(found), [u @ outer.weight.double(), u.mT @ z, u.sum(0), u.mT @ x.double()]


@pytest.mark.parametrize("name", EXACT)
def test_a_linear_equation(name: str) -> None:
    w = 0.6 * linear("contractive", 1).a[0]
    found, by_hand = of_line(line(EXACT[name], symmetric(w) if name == "cg" else w), inputs())
    assert apart(found, by_hand) < 1e-12


@pytest.mark.parametrize("name", EXACT)
def test_a_scalar_equation(name: str) -> None:
    """z = tanh(w z + b + v x), s = 1 - z^2: dz/da = s / (1 - w s) for the argument a, and from there the second."""
    model = model_of(spec(SCALAR, EXACT[name]), scale=0.5)
    inner, outer = model.main_layers["0"]["sum"]["0"]["linear"], model.main_layers["0"]["sum"]["1"]["linear"]
    x = inputs().requires_grad_()
    z = model(x)
    first = torch.autograd.grad(z.sum(), [x, inner.weight, inner.bias, outer.weight], create_graph=True)
    (second,) = torch.autograd.grad(first[0][:, 0].sum(), x)
    with torch.no_grad():
        w, v, s = inner.weight.item(), outer.weight, 1 - z**2
        slope = s / (1 - w * s)
        bend = -2 * z * slope / (1 - w * s) ** 2  # ds/da = -2 z dz/da, of s / (1 - w s)
        by_hand = [slope * v, (slope * z).sum().view(1, 1), slope.sum().view(1), (slope * x).sum(0, keepdim=True)]
        by_hand.append(bend * v[:, :1] * v)
    assert apart([*first, second], by_hand) < 1e-12


# ---- approximate adjoints are what they say


def at_solution(model: Any, x: Tensor) -> tuple[Tensor, Tensor]:
    """z* and df/dz there, of each sample."""
    with torch.no_grad():
        z = model.pack(model.solve(x).z_star)
    whole = torch.func.jacrev(lambda z: model.step(z, x))(z).detach()
    return z, torch.stack([whole[i, :, i] for i in range(len(x))])


def pulled_back(model: Any, x: Tensor, z: Tensor, u: Tensor) -> list[Tensor]:
    """The gradients of <u, f> for x and the parameters."""
    leaf = x.clone().requires_grad_()
    return list(torch.autograd.grad((u * model.step(z, leaf)).sum(), [leaf, *model.parameters()]))


def series(j: Tensor, g: Tensor, terms: int) -> Tensor:
    """The sum of J^k^T g over k < terms, of each sample."""
    powers = [torch.linalg.matrix_power(j.mT, k) @ g.unsqueeze(2) for k in range(terms)]
    return torch.stack(powers).sum(0).squeeze(2)


@pytest.mark.parametrize("scales", ["single", "multi"])
@pytest.mark.parametrize(("steps", "damping"), [(1, 1.0), (1, 0.4), (4, 1.0), (5, 0.7)])
def test_phantom_is_a_finite_sum(steps: int, damping: float, scales: str) -> None:
    """u = damping sum_k (damping J + (1 - damping) I)^k^T g over k < steps (Geng et al. 2021)."""
    model = model_of(text_of(NEWTON, {"method": "phantom", "steps": steps, "damping": damping}, scales))
    x = inputs()
    z, j = at_solution(model, x)
    g = cotangent(z.shape[1])
    damped = damping * j + (1 - damping) * torch.eye(z.shape[1], dtype=F64)
    leaf = x.clone().requires_grad_()
    found = torch.autograd.grad((g * model.pack(model.solve(leaf).z_star)).sum(), [leaf, *model.parameters()])
    assert apart(found, pulled_back(model, x, z, damping * series(damped, g, steps))) < 1e-10


@pytest.mark.parametrize("scales", ["single", "multi"])
@pytest.mark.parametrize("terms", [1, 2, 6])
def test_neumann_is_a_truncated_series(terms: int, scales: str) -> None:
    """And jfb its first term."""
    adjoints: list[object] = [{"linear_solver": {"method": "neumann", "rtol": 0, "max_steps": terms}}]
    for adjoint in adjoints + ["jfb"] * (terms == 1):
        model = model_of(text_of(NEWTON, adjoint, scales))
        x = inputs()
        z, j = at_solution(model, x)
        g = cotangent(z.shape[1])
        leaf = x.clone().requires_grad_()
        found = torch.autograd.grad((g * model.pack(model.solve(leaf).z_star)).sum(), [leaf, *model.parameters()])
        assert apart(found, pulled_back(model, x, z, series(j, g, terms))) < 1e-10


@pytest.mark.parametrize(("adjoint", "steps", "damping"), [("jfb", 1, 1.0), ("phantom", 3, 0.6)])
def test_so_are_their_other_derivatives(adjoint: str, steps: int, damping: float) -> None:
    """Second ones and forward mode: those of the steps that define them, from a z* that is a constant."""
    settings = {"method": "phantom", "steps": steps, "damping": damping} if adjoint == "phantom" else adjoint
    model = model_of(text_of(NEWTON, settings))
    x = inputs()
    z, _ = at_solution(model, x)

    def defined(x: Tensor) -> Tensor:
        p = z
        for _ in range(steps):
            p = p + damping * (model.step(p, x) - p)
        return p

    def derivatives(g: Callable[[Tensor], Tensor]) -> list[Tensor]:
        def number(x: Tensor) -> Tensor:
            return g(x).square().sum()

        by_both = torch.func.hessian(number)(x)
        by_reverse = torch.func.jacrev(torch.func.grad(number))(x)
        return [by_both, by_reverse, torch.func.jvp(g, (x,), (x.cos(),))[1]]

    assert apart(derivatives(model), derivatives(defined)) < 1e-12


# ---- hard cases

EVERYWHERE = ("gmres", "lu", "bicgstab", "anderson", "broyden", "limited_memory_broyden", "auto")
WHOLE, RTOL = ("lu", "auto"), 1e-12


def rotated(block: Tensor) -> Tensor:
    """Q B Q^T."""
    q = torch.linalg.qr(torch.randn(6, 6, generator=torch.Generator().manual_seed(5), dtype=F64))[0]
    found: Tensor = q @ block @ q.mT
    return found


def diagonal(*values: float) -> Tensor:
    return rotated(torch.diag(torch.tensor(values, dtype=F64)))


ABOVE = torch.diag(torch.ones(5, dtype=F64), 1)
HARD = {
    "radius 3": linear("expansive", 1).a[0],
    "radius 30": linear("stiff", 1).a[0],
    "defective": rotated(0.5 * EYE + ABOVE),
    "defective, radius 1.5": rotated(-1.5 * EYE + ABOVE),
    "defective, at 0.9": rotated(0.9 * EYE + 0.1 * ABOVE),
    "1e-3 below 1": diagonal(1 - 1e-3, 0.5, 0.3, -0.4, -0.8, 0.1),
    "1e-3 above 1": diagonal(1 + 1e-3, 0.5, 0.3, -0.4, -0.8, 0.1),
    "symmetric, radius 6": diagonal(0.9, 0.5, -1.3, -2.0, -4.0, -6.0),
}


def more(name: str) -> object:
    """The adjoint with as many steps as a hard system may take, to a tolerance that rounding lets it reach."""
    adjoint = IMPLICIT[name]
    assert isinstance(adjoint, dict)
    return {**adjoint, "linear_solver": {**LINEAR[name], "rtol": RTOL, **({} if name in WHOLE else {"max_steps": 400})}}


@pytest.mark.parametrize("case", HARD)
@pytest.mark.parametrize("name", EVERYWHERE)
def test_hard_equations(name: str, case: str) -> None:
    """Newton's method finds their fixed points, plain steps do not, or hardly: gradients are right to the tolerance."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # neither solve misses
        found, by_hand = of_line(line(more(name), HARD[case]), inputs())
    assert apart(found, by_hand) < 10 * RTOL * float(torch.linalg.cond(EYE - HARD[case]))


def test_cg_where_the_radius_is_above_1() -> None:
    """What it needs is that I - W is positive definite."""
    found, by_hand = of_line(line(more("cg"), HARD["symmetric, radius 6"]), inputs())
    assert apart(found, by_hand) < 1e-10


@pytest.mark.parametrize("name", ["picard", "neumann"])
def test_what_needs_a_contraction_says_where_it_is_none(name: str) -> None:
    """By a warning, and approximate ones by their record."""
    model = line(IMPLICIT[name], HARD["radius 3"])
    solution = model.solve(inputs())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        solution.z_star.sum().backward()
    record: Any = solution.original.adjoint
    assert bool((record.status != 0).all())
    assert bool((record.residual_norm > 1).all())
    assert ["the backward solve missed" in str(one.message) for one in caught] == [True] * (name == "picard")


SINE = "scale: [3]\nmain_layers: [sin, {linear: 3}, {sum: [identity, [$x, {linear: 3}]]}]\n"


@pytest.mark.parametrize("name", EVERYWHERE)
def test_a_curved_equation_that_expands(name: str) -> None:
    """Every derivative at a point where df/dz has a spectral radius above 3: near z = 0, where Newton's method ends."""
    model, x = model_of(spec(SINE, IMPLICIT[name]), scale=0.3), inputs(1)
    with torch.no_grad():
        model.main_layers["0"]["linear"].weight.copy_(
            torch.tensor([[3.0, 0.5, -1.0], [0.2, -4.0, 0.3], [0.7, 0.1, 2.0]])
        )
    _, j = at_solution(model, x)
    assert float(torch.linalg.eigvals(j).abs().max()) > 3
    leaf = x.requires_grad_()
    assert torch.autograd.gradcheck(model, (leaf,), check_forward_ad=True)
    assert torch.autograd.gradgradcheck(model, (leaf,))


@pytest.mark.parametrize("name", QUICK)
def test_float32_is_as_near_to_float64_as_its_tolerance(name: str) -> None:
    exact = Exact(name, *QUICK[name])
    model, x = model_of(exact.text), inputs()

    def gradients(dtype: torch.dtype) -> list[Tensor]:
        made, leaf = copy.deepcopy(model).to(dtype), x.to(dtype).requires_grad_()
        found = torch.autograd.grad(loss(made(leaf)), [leaf, *made.parameters()], materialize_grads=True)
        assert {one.dtype for one in found} == {dtype}
        return [one.double() for one in found]

    wide = gradients(torch.float64)
    with constants(module_of(exact.text), ATOL=1e-6, RTOL=1e-6, ADJOINT_RTOL=1e-6):
        assert apart(gradients(torch.float32), wide) < 1e-5
