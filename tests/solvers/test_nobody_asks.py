"""Derivatives that nobody asks for cost nothing: f is evaluated for the solve alone, and nothing is kept."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from tests.solvers.small import inputs, model_of, module_of, text_of

STEPS = {"method": "rk4", "step_size": 0.125}
ADJOINTS: dict[str, tuple[object, object, str]] = {
    "implicit": ("anderson", "implicit", "deq"),
    "jfb": ("anderson", "jfb", "deq"),
    "phantom": ("anderson", {"method": "phantom", "steps": 4}, "deq"),
    "shine": ("broyden", {"method": "shine", "refine": 2}, "deq"),
    "unroll": ("picard", "unroll", "deq"),
    "unroll again": ("picard", {"method": "unroll", "checkpoint": 4}, "deq"),
    "reversible": ("reversible", "reversible", "deq"),
    "discrete": (STEPS, "discrete", "neural_ode"),
    "gauss": (STEPS, "gauss", "neural_ode"),
    "backsolve": (STEPS, "backsolve", "neural_ode"),
}


@contextlib.contextmanager
def calls_of_f(module: Any) -> Any:
    """Counts them, in a list of one number."""
    f, count = module.f, [0]

    def counted(*given: Any) -> Tensor:
        count[0] += 1
        value: Tensor = f(*given)
        return value

    module.f = counted
    try:
        yield count
    finally:
        module.f = f


@contextlib.contextmanager
def kept() -> Any:
    """Counts the tensors that autograd keeps, in a list of one number."""
    count = [0]

    def pack(one: Tensor) -> Tensor:
        count[0] += 1
        return one

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda one: one):
        yield count


@pytest.mark.parametrize("how", [torch.no_grad, torch.inference_mode, contextlib.nullcontext], ids=lambda h: h.__name__)
@pytest.mark.parametrize("name", ADJOINTS)
def test_no_call_of_f_and_no_tensor_kept(name: str, how: Any) -> None:
    """Without autograd; and with it, where no parameter and no input needs a gradient."""
    solver, adjoint, kind = ADJOINTS[name]
    text = text_of(solver, adjoint, "multi", "chain", kind)
    model = model_of(text)
    x = inputs()
    if how is contextlib.nullcontext:
        model.requires_grad_(False)
    with how(), calls_of_f(module_of(text)) as calls, kept() as tensors:
        solution, recording = model.solve(x), torch.is_grad_enabled()
    assert calls == [solution.nfe + (kind == "deq")]  # and once for the residual
    if name != "unroll again" or not recording:  # torch's checkpoint holds the states until its end
        assert tensors == [0]
    assert not any(z.requires_grad for z in solution.z_star)
    if how is contextlib.nullcontext:  # a start that needs one does not change that, where z* does not depend on it
        z0 = tuple(torch.zeros_like(z).requires_grad_() for z in solution.z_star)
        depends = name.startswith("unroll") or name == "reversible" or kind == "neural_ode"
        assert all(z.requires_grad is depends for z in model.solve(x, z0=z0).z_star)


@pytest.mark.parametrize(
    "name", [name for name in ADJOINTS if name not in ("shine", "reversible", "gauss", "backsolve")]
)
def test_forward_mode_is_asked_for_under_no_grad_too(name: str) -> None:
    """It does not depend on what autograd does; tangents are those of torch.func with autograd."""
    solver, adjoint, kind = ADJOINTS[name]
    model, x = model_of(text_of(solver, adjoint, "multi", "chain", kind)), inputs()
    expected = torch.func.jvp(model, (x,), (x,))[1]
    assert all(bool(t.any()) for t in expected)
    with torch.no_grad():
        torch.testing.assert_close(torch.func.jvp(model, (x,), (x,))[1], expected, rtol=0, atol=0)
        with torch.autograd.forward_ad.dual_level():
            dual = model(torch.autograd.forward_ad.make_dual(x, x))
            found = tuple(torch.autograd.forward_ad.unpack_dual(z).tangent for z in dual)
    torch.testing.assert_close(found, expected, rtol=1e-14, atol=1e-14)


def flops_of_backward(model: Any, x: Tensor) -> tuple[int, dict[str, Tensor]]:
    """Of products of matrices in the backward pass, and the gradients by name."""
    model.zero_grad()
    z = model(x)
    with FlopCounterMode(display=False) as counter:
        z.square().sum().backward()
    gradients = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    return counter.get_total_flops(), {**gradients, **({"x": x.grad} if x.grad is not None else {})}


BATCH, SIZE = 4, 3
PRODUCT = 2 * BATCH * SIZE * SIZE  # u^T z, the gradient of a weight that multiplies the state
FROZEN: dict[str, tuple[str, int]] = {
    "implicit": ("deq", 1),
    "gauss": ("neural_ode", 24),
    "backsolve": ("neural_ode", 24),
}


@pytest.mark.parametrize("adjoint", FROZEN)
def test_a_frozen_weight_costs_nothing(adjoint: str) -> None:
    """Its product is not taken, neither once nor at each of the three nodes of eight steps; others are as they were."""
    kind, times = FROZEN[adjoint]
    model = model_of(text_of(STEPS if kind == "neural_ode" else "picard", adjoint, kind=kind))
    whole, expected = flops_of_backward(model, inputs(BATCH))
    weight = model.main_layers["0"]["sum"]["0"]["linear"].weight.requires_grad_(False)
    less, found = flops_of_backward(model, inputs(BATCH))
    assert whole - less == times * PRODUCT
    assert set(expected) - set(found) == {"main_layers.0.sum.0.linear.weight"}
    assert all(torch.equal(found[name], expected[name]) for name in found)
    assert weight.grad is None


MATRIX = f"deqc: 1\nname: M\ninput: {{x: [{SIZE}], a: {{shape: [{SIZE}, {SIZE}], batch: false}}}}\nscale: [{SIZE}]\n"
MATRIX += "main_layers: [{matmul: {right: $a}}, {sum: [tanh, $x]}, {times: 0.5}]\n"


def test_an_input_that_needs_no_gradient_costs_nothing() -> None:
    model = module_of(MATRIX + "solver: {method: picard, atol: 1.0e-12, max_steps: 100}\n").M().double()
    x, a = inputs(BATCH).requires_grad_(), 0.5 * inputs(SIZE)
    found, flops = list[Tensor](), list[int]()
    for needs in (True, False):
        z = model(x, a.requires_grad_(needs))
        with FlopCounterMode(display=False) as counter:
            found += torch.autograd.grad(z.square().sum(), [x, a] if needs else [x])
        flops.append(counter.get_total_flops())
    assert flops[0] - flops[1] == PRODUCT
    assert torch.equal(found[0], found[2])
    assert bool(found[1].any())
