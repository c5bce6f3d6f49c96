"""A backward pass inside autocast, or compiled there: the equation of the gradient is solved as outside of it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from tests.solvers.small import inputs, model_of, text_of

# no product outside of f, which torch would take low
BODY = "scale: [3]\nmain_layers: [{sum: [{linear: {out: 3, bias: false}}, $x]}, tanh]\n"
STEPS = {"method": "rk4", "step_size": 0.125}
ADJOINTS: dict[str, tuple[dict[str, object], object]] = {
    "lu": ({"method": "picard"}, {"linear_solver": {"method": "lu"}}),
    "gmres": ({"method": "picard"}, {"linear_solver": {"method": "gmres"}}),
    "anderson": ({"method": "picard"}, {"linear_solver": {"method": "anderson"}}),
    "reversible": ({"method": "reversible"}, "reversible"),
    "gauss": (STEPS, "gauss"),
    "backsolve": (STEPS, "backsolve"),
}
ODES = ("gauss", "backsolve")


def model(name: str, precision: str = "full") -> Any:
    """In float32, with an adjoint of that name; a solve or a backward solve that ends short of its tolerance raises."""
    solver, adjoint = ADJOINTS[name]
    solver = {**solver, "atol": 1e-6, "rtol": 1e-6, "on_failure": "raise"}
    if name in ODES:
        return model_of(text_of(solver, adjoint, BODY, kind="neural_ode")).float()
    return model_of(text_of({**solver, "max_steps": 200, "precision": precision}, adjoint, BODY)).float()


def gradients(model: Any, called: Any, inside: bool, second: bool = False) -> list[Tensor]:
    """Of a loss of a state that was found under autocast; `inside` of which the backward pass is called, too."""
    model.zero_grad()
    x = inputs(4).float().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        z = called(x)
    with torch.autocast("cpu", torch.bfloat16, enabled=inside):
        if second:
            (slope,) = torch.autograd.grad(z.sum(), x, create_graph=True)
            z = slope
        z.square().sum().backward()
    assert x.grad is not None
    return [x.grad, *(p.grad for p in model.parameters())]


@pytest.mark.parametrize("name", ADJOINTS)
def test_it_is_as_outside(name: str) -> None:
    one = model(name)
    outside, inside = (gradients(one, one, inside) for inside in (False, True))
    assert all(torch.equal(a, b) for a, b in zip(outside, inside, strict=True))
    assert all(bool(g.any()) for g in outside)


def test_in_mixed_precision_too() -> None:
    one = model("lu", "mixed")
    outside, inside = (gradients(one, one, inside) for inside in (False, True))
    assert all(torch.equal(a, b) for a, b in zip(outside, inside, strict=True))


def test_shine_estimates_as_outside() -> None:
    """What it makes of g, that is: torch differentiates f itself, and takes the products with the weights low."""
    solver = {"method": "broyden", "atol": 1e-6, "rtol": 1e-6, "max_steps": 200}
    one = model_of(text_of(solver, {"method": "shine", "refine": 2}, BODY)).float()
    outside, inside = (gradients(one, one, inside)[0] for inside in (False, True))
    assert torch.equal(outside, inside)


def test_the_backward_solve_of_a_second_derivative() -> None:
    """It ends within its tolerance, or it would raise; products of torch's own in between are low."""
    one = model("gmres")
    outside, inside = (gradients(one, one, inside, second=True) for inside in (False, True))
    torch.testing.assert_close(inside, outside, rtol=0.1, atol=0.1)


@pytest.mark.parametrize("name", [name for name in ADJOINTS if name not in ODES])
def test_compiled(name: str) -> None:
    """Under torch.compile, which takes the backward pass to be called where the forward pass was."""
    one = model(name)
    found = gradients(one, torch.compile(one, fullgraph=True, backend="aot_eager"), inside=False)
    torch.testing.assert_close(found, gradients(one, one, inside=False), rtol=1e-5, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gmres", "reversible"])
def test_compiled_with_inductor(name: str) -> None:
    one = model(name)
    found = gradients(one, torch.compile(one, fullgraph=True), inside=False)
    torch.testing.assert_close(found, gradients(one, one, inside=False), rtol=1e-5, atol=1e-5)
