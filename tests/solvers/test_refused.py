"""A derivative that an adjoint cannot give is refused by a message that names the adjoint; it is never zero instead."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad

from tests.solvers.small import inputs, model_of, output, text_of

Function = Callable[[Tensor], Tensor]

STEPS = {"method": "rk4", "step_size": 0.125, "max_steps": 8}  # batched, no solve ends before them
ONCE: dict[str, tuple[object, object, str]] = {
    "shine": ("broyden", "shine", "deq"),
    "shine refined": ("limited_memory_broyden", {"method": "shine", "refine": 2}, "deq"),
    "reversible": ("reversible", "reversible", "deq"),
    "gauss": (STEPS, "gauss", "neural_ode"),
    "backsolve": (STEPS, "backsolve", "neural_ode"),
}
each = pytest.mark.parametrize("name", ONCE)


def function_of(name: str, scales: str = "multi") -> Function:
    """x -> output with that adjoint."""
    solver, adjoint, kind = ONCE[name]
    model = model_of(text_of(solver, adjoint, scales, "chain", kind))
    return lambda x: output(model, x)


def number(function: Function) -> Function:
    return lambda x: function(x).square().sum()


def alone(function: Function) -> Function:
    """One sample."""
    return lambda x: function(x.unsqueeze(0)).squeeze(0)


def by_dual_numbers(function: Function, x: Tensor) -> Tensor:
    with forward_ad.dual_level():
        return function(forward_ad.make_dual(x, torch.ones_like(x)))


def tangent_of_the_cotangent(function: Function, x: Tensor) -> Tensor:
    """The cotangent moves, nothing that f reads does."""
    leaf = x.clone().requires_grad_()
    y = function(leaf)
    with forward_ad.dual_level():
        cotangent = forward_ad.make_dual(torch.ones_like(y), torch.ones_like(y))
        return torch.autograd.grad(y, leaf, cotangent)[0]


FORWARD: dict[str, Callable[[Function, Tensor], Any]] = {
    "jvp": lambda g, x: torch.func.jvp(g, (x,), (x,)),
    "dual numbers": by_dual_numbers,
    "jacfwd": lambda g, x: torch.func.jacfwd(g)(x),
    "hessian": lambda g, x: torch.func.hessian(number(g))(x),
    "over grad": lambda g, x: torch.func.jvp(torch.func.grad(number(g)), (x,), (x,)),
    "of the cotangent": tangent_of_the_cotangent,
    "under no_grad": torch.no_grad()(lambda g, x: torch.func.jvp(g, (x,), (x,))),
    "over vmap, under no_grad": torch.no_grad()(lambda g, x: torch.func.jvp(torch.func.vmap(alone(g)), (x,), (x,))),
}


@each
@pytest.mark.parametrize("way", FORWARD)
def test_forward_mode(name: str, way: str) -> None:
    adjoint = name.split()[0]
    with pytest.raises(RuntimeError, match=f"the adjoint {adjoint} has no forward mode: (implicit|discrete) has"):
        FORWARD[way](function_of(name), inputs())


@pytest.mark.parametrize("name", ["shine", "reversible"])
def test_forward_mode_over_vmap(name: str) -> None:
    x = inputs()
    with pytest.raises(RuntimeError, match=f"the adjoint {name} has no forward mode"):
        torch.func.jvp(torch.func.vmap(alone(function_of(name))), (x,), (x,))


def twice(function: Function, x: Tensor) -> Tensor:
    leaf = x.clone().requires_grad_()
    (first,) = torch.autograd.grad(function(leaf).sum(), leaf, create_graph=True)
    return torch.autograd.grad(first.sum(), leaf)[0]


SECOND: dict[str, Callable[[Function, Tensor], Any]] = {
    "twice, linear loss": twice,
    "twice": lambda g, x: twice(number(g), x),
    "jacrev of grad": lambda g, x: torch.func.jacrev(torch.func.grad(number(g)))(x),
    "grad of grad": lambda g, x: torch.func.grad(lambda x: torch.func.grad(number(g))(x).sum())(x),
}


@each
@pytest.mark.parametrize("way", SECOND)
def test_second_derivatives(name: str, way: str) -> None:
    with pytest.raises(RuntimeError, match=f"the adjoint {name.split()[0]} has (no second|first) derivatives"):
        SECOND[way](function_of(name), inputs())


@pytest.mark.parametrize("name", ["gauss", "backsolve"])
def test_vmap_of_what_follows_the_equation_back(name: str) -> None:
    """Its steps are kept outside of autograd; without gradients there are none to keep."""
    function, x = function_of(name), inputs()
    for way in (alone(function), torch.func.grad(number(alone(function)))):
        with pytest.raises(RuntimeError, match=rf"the adjoint {name} has no vmap outside of torch\.no_grad\(\)"):
            torch.func.vmap(way)(x)
    with torch.no_grad():
        torch.testing.assert_close(torch.func.vmap(alone(function))(x), function(x), rtol=1e-14, atol=1e-14)


@each
def test_what_they_have(name: str) -> None:
    """Reverse mode, of one cotangent and of several at once, by autograd and by torch.func."""
    function, x = function_of(name), inputs()
    leaf = x.clone().requires_grad_()
    y = function(leaf)
    cotangents = torch.eye(y.numel(), dtype=y.dtype).view(-1, *y.shape)
    rows = [torch.autograd.grad(y, leaf, c, retain_graph=True)[0] for c in cotangents]
    whole = torch.stack(rows)
    assert float(whole.abs().max()) > 0.1
    (batched,) = torch.autograd.grad(y, leaf, cotangents, retain_graph=True, is_grads_batched=True)
    torch.testing.assert_close(batched, whole, rtol=1e-12, atol=1e-13)
    torch.testing.assert_close(torch.func.jacrev(function)(x).view_as(whole), whole, rtol=1e-12, atol=1e-13)
    torch.testing.assert_close(
        torch.func.grad(number(function))(x), torch.autograd.grad(number(function)(leaf), leaf)[0], rtol=1e-12, atol=0
    )


@pytest.mark.parametrize("kind", ["deq", "neural_ode"])
def test_none_is_a_constant(kind: str) -> None:
    """By the spec's choice, which the docstring tells: z carries no derivatives, whichever are asked for."""
    model = model_of(text_of(STEPS if kind == "neural_ode" else "picard", "none", kind=kind))
    x = inputs()
    assert not output(model, x.clone().requires_grad_()).requires_grad
    assert not torch.func.jvp(lambda x: output(model, x), (x,), (x,))[1].any()
    assert not torch.func.grad(lambda x: output(model, x).sum())(x).any()
