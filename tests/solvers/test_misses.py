"""A solve for a derivative that misses its goal says so, by whichever way the derivative is asked for."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.func import grad, hessian, jacfwd, jacrev, jvp, vmap

from tests.properties import constants, loss
from tests.solvers.small import inputs, model_of, module_of, text_of

BACKWARD, FORWARD, FURTHER = "the backward solve", "the forward-mode solve", "the solve of a further derivative"
TRIANGLE = "scale: [4]\nmain_layers: [{linear: {out: 4, bias: false}}, {sum: [tanh, [$x, {linear: 4}]]}]\n"


def dual(model: Any, x: Tensor) -> None:
    with forward_ad.dual_level():
        model(forward_ad.make_dual(x, torch.ones_like(x)))


def twice(model: Any, x: Tensor) -> None:
    leaf = x.clone().requires_grad_()
    (first,) = torch.autograd.grad(loss(model(leaf)), leaf, create_graph=True)
    first.sum().backward()


def batched(model: Any, x: Tensor) -> None:
    z = model(leaf := x.clone().requires_grad_())
    torch.autograd.grad(z, leaf, torch.eye(z.numel(), dtype=z.dtype).view(-1, *z.shape), is_grads_batched=True)


def number(model: Any) -> Callable[[Tensor], Tensor]:
    return lambda x: loss(model(x))


WAYS: dict[str, tuple[Callable[[Any, Tensor], object], set[str]]] = {
    "dual numbers": (dual, {FORWARD}),
    "jvp": (lambda model, x: jvp(model, (x,), (x,)), {FORWARD}),
    "jacfwd": (lambda model, x: jacfwd(model)(x), {FORWARD}),
    "backward": (lambda model, x: loss(model(x)).backward(), {BACKWARD}),
    "grad": (lambda model, x: grad(number(model))(x), {BACKWARD}),
    "jacrev": (lambda model, x: jacrev(model)(x), {BACKWARD}),
    "per-sample gradients": (lambda model, x: vmap(grad(number(model)))(x.unsqueeze(1)), {BACKWARD}),
    "double backward": (twice, {BACKWARD, FURTHER}),
    "grad of grad": (lambda model, x: grad(lambda x: grad(number(model))(x).sum())(x), {BACKWARD, FURTHER}),
    "grad of jvp": (
        lambda model, x: grad(lambda x: jvp(number(model), (x,), (x,))[1])(x),
        {FORWARD, BACKWARD, FURTHER},
    ),
    "hessian": (lambda model, x: hessian(number(model))(x), {FORWARD, BACKWARD, FURTHER}),
    "batched gradients": (batched, set()),  # of these torch has no values to read
}


def model(steps: int, on_failure: str = "warn", method: str = "gmres") -> Any:
    """Whose solve converges, and whose linear solver takes so many steps."""
    solver = {"method": "newton", "atol": 1e-12, "on_failure": on_failure}
    return model_of(text_of(solver, {"linear_solver": {"method": method, "max_steps": steps, "rtol": 1e-8}}))


def told(ask: Callable[[Any, Tensor], object], model: Any) -> set[str]:
    """The solves that the warnings are about."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ask(model, inputs())
    found = (re.match("M: (.*) missed", str(one.message)) for one in caught)
    return {one[1] for one in found if one}


@pytest.mark.parametrize("way", WAYS)
def test_a_solve_that_misses_says_which_one_it_is(way: str) -> None:
    ask, missed = WAYS[way]
    assert told(ask, model(2)) == missed
    assert told(ask, model(12)) == set()
    assert told(ask, model(2, "ignore")) == set()


@pytest.mark.parametrize("way", [way for way, (_, missed) in WAYS.items() if missed])
def test_raised_where_the_spec_says_so(way: str) -> None:
    ask, missed = WAYS[way]
    ask(model(12, "raise"), inputs())
    with pytest.raises(RuntimeError, match="|".join(missed)):
        ask(model(2, "raise"), inputs())


@pytest.mark.parametrize("method", ["bicgstab", "picard", "anderson", "broyden"])
def test_every_linear_solver_says_so(method: str) -> None:
    assert told(dual, model(2, method=method)) == {FORWARD}


@pytest.fixture
def triangle() -> Any:
    """For the last number of z* one step of gmres is enough: it is an eigenvector of (df/dz)^T, others are not."""
    linear_solver = {"method": "gmres", "max_steps": 1, "rtol": 1e-8}
    text = text_of({"method": "newton", "atol": 1e-12}, {"linear_solver": linear_solver}, TRIANGLE)
    model = model_of(text)
    with torch.no_grad():
        weight = model.main_layers["0"]["linear"].weight
        weight.copy_(torch.diag(torch.tensor([0.9, 0.5, 0.3, -0.8])) + torch.triu(torch.full((4, 4), 0.3), 1))
    return model


def test_the_record_stays_that_of_the_first_backward_solve(triangle: Any) -> None:
    """The derivative of the gradient for its cotangent takes a solve of its own."""
    solution = triangle.solve(leaf := inputs().requires_grad_())
    cotangent = torch.eye(4, dtype=torch.float64)[[3, 3]].requires_grad_()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (first,) = torch.autograd.grad(solution.z_star, leaf, cotangent, create_graph=True)
    record = solution.original.adjoint
    with pytest.warns(UserWarning, match=f"{FURTHER} missed .* on 2 of 2 samples"):
        torch.autograd.grad(first.sum(), cotangent)
    assert solution.original.adjoint is record
    assert record.status.tolist() == [0, 0]


def test_forward_mode_files_no_record() -> None:
    made = model(12)
    with forward_ad.dual_level():
        solution = made.solve(forward_ad.make_dual(inputs(), torch.ones(2, 3, dtype=torch.float64)))
        assert solution.original.adjoint is None


@pytest.mark.parametrize("adjoint", ["implicit", "unroll", "jfb"])
@pytest.mark.parametrize(
    "ask",
    [WAYS["grad"][0], WAYS["jvp"][0], lambda model, x: vmap(lambda row: model(row[None])[0])(x)],
    ids=["grad", "jvp", "vmap"],
)
def test_the_solve_itself_under_a_transform(adjoint: str, ask: Callable[[Any, Tensor], object]) -> None:
    text = text_of({"method": "picard", "max_steps": 60, "atol": 1e-9}, adjoint)
    assert told(ask, model_of(text)) == set()
    with constants(module_of(text), MAX_STEPS=2), pytest.warns(UserWarning, match=r"the solve missed .* on 2 of 2 s"):
        ask(model_of(text), inputs())


def test_a_way_back_that_drifts_under_vmap() -> None:
    """Found again is a start near the true one, not the same."""
    text = text_of({"method": "reversible", "max_steps": 20, "on_failure": "raise"}, "reversible")
    per_sample = WAYS["per-sample gradients"][0]
    per_sample(model_of(text), inputs())
    with (
        constants(module_of(text), ADJOINT_DRIFT=-1.0),
        pytest.raises(RuntimeError, match=r"the way back missed .* 2 of 2"),
    ):
        per_sample(model_of(text), inputs())
