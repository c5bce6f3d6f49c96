"""Gradients are right: against finite differences, and against the unrolled reference; by hand: test_by_hand.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from deqc import reference
from deqc.compiler import compile_text
from tests import properties
from tests.properties import Case, apart, flat, loss, with_parameters
from tests.solvers.exact import QUICK, Exact, cases
from tests.solvers.small import inputs, model_of, module_of

each = pytest.mark.parametrize("exact", cases())
# those that have all derivatives; where the tests of targets, examples and neural ODEs have the same, it is slow here
TWICE = cases("auto", "gmres", "lu", "picard", "anderson", "broyden", "unroll again", "discrete")
twice = pytest.mark.parametrize("exact", [one for one in TWICE if not one.values[0].once])
# Of the steps, which derivatives lag behind; of those that can be undone; of the equation, up to the length of steps.
WITHIN = {"unroll": 1e-9, "unroll again": 1e-9, "reversible": 1e-4, "discrete": 1e-6, "gauss": 1e-6, "backsolve": 1e-6}


def function_of(exact: Exact, batch: int) -> tuple[Callable[..., Tensor], tuple[Tensor, ...]]:
    """The model as a function of x and of the parameters, and those."""
    function, parameters = with_parameters(model_of(exact.text), 1)
    leaves = (inputs(batch), *parameters)
    return function, tuple(one.clone().requires_grad_() for one in leaves)


@pytest.mark.parametrize("exact", cases("auto"))
def test_against_finite_differences(exact: Exact) -> None:
    """Reverse and forward mode along random directions; by x also with batches of cotangents and of tangents."""
    function, leaves = function_of(exact, 2)
    forward = not exact.once
    assert torch.autograd.gradcheck(function, leaves, fast_mode=True, check_forward_ad=forward)
    function, (x, *rest) = function_of(exact, 1)
    batched = {"check_batched_grad": True, "check_batched_forward_grad": forward}
    assert torch.autograd.gradcheck(
        lambda x: function(x, *rest), (x,), fast_mode=True, check_forward_ad=forward, **batched
    )


@pytest.mark.slow
@pytest.mark.parametrize("exact", [Exact(adjoint, *rest) for adjoint, rest in QUICK.items()], ids="-".join)
def test_every_entry_against_finite_differences(exact: Exact) -> None:
    """Not along random directions, but number by number."""
    function, leaves = function_of(exact, 2)
    forward = not exact.once
    batched = {"check_batched_grad": True, "check_batched_forward_grad": forward}
    assert torch.autograd.gradcheck(function, leaves, check_forward_ad=forward, **batched)


@twice
def test_second_derivatives_against_finite_differences(exact: Exact) -> None:
    """Reverse over reverse and forward over reverse; those by x also in batches."""
    function, leaves = function_of(exact, 1)
    assert torch.autograd.gradgradcheck(function, leaves, fast_mode=True, check_fwd_over_rev=True)
    x, *rest = leaves
    assert torch.autograd.gradgradcheck(lambda x: function(x, *rest), (x,), check_batched_grad=True, fast_mode=True)


def expected(exact: Exact, x: Tensor, model: Any) -> Tensor:
    """What the spec means, by the unoptimised program and autograd through plain steps.

    They go on for as long after the solution is found as its derivatives need, which lag behind.
    """
    lowered, parameters = compile_text(exact.text, "m.yaml").lowered, dict(model.named_parameters())
    if exact.kind == "neural_ode":
        return flat(reference.integrate(lowered, parameters, (x,), 1.0).output)
    given = reference.leaves(lowered, parameters, (x,))
    z = torch.zeros(len(x), lowered.size, dtype=x.dtype)
    for _ in range(100):
        z = reference.apply_f(lowered, z, given)
    return z


@each
def test_against_the_unrolled_reference(exact: Exact) -> None:
    """First and second derivatives; of a neural ODE first ones, up to the length of its steps."""
    model, x = model_of(exact.text), inputs().requires_grad_()
    wanted = [x, *model.parameters()]

    def derivatives(y: Tensor) -> list[Tensor]:
        first = torch.autograd.grad(loss(y), wanted, create_graph=True, materialize_grads=True)
        if exact.once or exact.kind == "neural_ode":
            return list(first)
        total = torch.stack([g.sin().sum() for g in first]).sum()
        return [*first, *torch.autograd.grad(total, wanted, materialize_grads=True)]

    found, true = derivatives(flat(model(x))), derivatives(expected(exact, x, model))
    assert apart(found, true) < WITHIN.get(exact.adjoint, 1e-11)


@twice
def test_under_the_transforms(exact: Exact) -> None:
    """torch.func.grad, vmap, jvp, jacrev, jacfwd, hessian and what is made of them."""
    case = Case(
        "small",
        module_of(exact.text),
        lambda: model_of(exact.text),
        lambda batch: (inputs(batch),),
        lambda *_: None,
        traced=False,
    )
    properties.transforms(case)
