"""Derivatives that nobody asks for cost nothing: f is evaluated for the solve alone, and nothing is kept."""

from __future__ import annotations

import contextlib
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

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


class _Flops(TorchDispatchMode):
    """Counts those of products of matrices; torch's own counter cannot look at a module inside a derivative."""

    total = 0

    def __torch_dispatch__(self, func: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        value = func(*args, **(kwargs or {}))
        if func.overloadpacket in flop_registry:
            self.total += flop_registry[func.overloadpacket](*args, **(kwargs or {}), out_val=value)
        return value


@contextlib.contextmanager
def flops() -> Any:
    """Counts them, in `total`."""
    with cast("Any", _Flops)() as counter:
        yield counter


def flops_of_backward(model: Any, x: Tensor) -> tuple[int, dict[str, Tensor]]:
    """Of products of matrices in the backward pass, and the gradients by name."""
    model.zero_grad()
    z = model(x)
    with flops() as counter:
        z.square().sum().backward()
    gradients = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    return counter.total, {**gradients, **({"x": x.grad} if x.grad is not None else {})}


def own(body: str) -> list[nn.Linear]:
    """The modules that it wants."""
    return [nn.Linear(SIZE, SIZE)] if body == OWN else []


def layer_of_state(model: Any) -> tuple[nn.Module, str]:
    """What multiplies the state, and its name."""
    name = "cell" if hasattr(model, "cell") else "main_layers.0.sum.0.linear"
    return model.get_submodule(name), name


BATCH, SIZE = 4, 3
PRODUCT = 2 * BATCH * SIZE * SIZE  # u^T z, the gradient of a weight that multiplies the state
OWN = f"scale: [{SIZE}]\nmodules: {{cell: same}}\nmain_layers: [{{sum: [cell, [$x, {{linear: {SIZE}}}]]}}, tanh]\n"
FROZEN: dict[str, tuple[object, str, str]] = {
    "implicit": ("picard", "implicit", "deq"),
    "gauss": (STEPS, "gauss", "neural_ode"),
    "backsolve": (STEPS, "backsolve", "neural_ode"),
    "reversible": ("reversible", "reversible", "deq"),
}
PRODUCTS = {"implicit": 1, "gauss": 24, "backsolve": 24}  # once, or at each of the three nodes of eight steps


@pytest.mark.parametrize("body", ["single", OWN], ids=["generated", "torch's"])
@pytest.mark.parametrize("adjoint", FROZEN)
def test_a_frozen_layer_costs_nothing(adjoint: str, body: str) -> None:
    """Its products are not taken, also where torch differentiates f; the other gradients are as they were."""
    solver, _, kind = FROZEN[adjoint]
    model = model_of(text_of(solver, adjoint, body, kind=kind), *own(body))
    times = PRODUCTS.get(adjoint) or 2 * int(model.solve(inputs(BATCH)).original.steps.max())  # y and z of every step
    whole, expected = flops_of_backward(model, inputs(BATCH))
    layer, name = layer_of_state(model)
    layer.requires_grad_(False)
    less, found = flops_of_backward(model, inputs(BATCH))
    assert whole - less == times * PRODUCT
    assert set(expected) - set(found) == {f"{name}.weight", f"{name}.bias"}
    assert all(torch.equal(found[name], expected[name]) for name in found)


@pytest.mark.parametrize("body", ["single", OWN], ids=["generated", "torch's"])
def test_a_frozen_layer_costs_nothing_in_second_derivatives(body: str) -> None:
    """Those of |dz/dx|^2 by the other weights.

    Five products are spared: one in the gradient, one in its own, two where u = (df/dz)^T u + g is differentiated,
    and one for what the gradient of z* still asks for.
    """
    model = model_of(text_of("picard", "implicit", body), *own(body))
    layer, _ = layer_of_state(model)
    found, totals = list[dict[str, Tensor]](), list[int]()
    for frozen in (False, True):
        layer.requires_grad_(not frozen)
        model.zero_grad()
        x = inputs(BATCH).requires_grad_()
        with flops() as counter:
            (slope,) = torch.autograd.grad(model(x).sum(), x, create_graph=True)
            slope.square().sum().backward()
        found.append({name: p.grad for name, p in model.named_parameters() if p.grad is not None})
        totals.append(counter.total)
    assert totals[0] - totals[1] == 5 * PRODUCT
    assert len(found[0]) == len(found[1]) + 2
    assert all(torch.equal(one, found[0][name]) for name, one in found[1].items())


@pytest.mark.parametrize("adjoint", ["gauss", "backsolve"])
@pytest.mark.parametrize("body", ["single", OWN], ids=["generated", "torch's"])
def test_a_gradient_of_the_start_alone_takes_f_for_itself_alone(adjoint: str, body: str) -> None:
    """All weights are frozen: f is linearised for lambda only, not at the nodes of the integral."""
    model = model_of(text_of(STEPS, adjoint, body, kind="neural_ode"), *own(body))
    model.requires_grad_(False)
    z0 = torch.zeros(BATCH, SIZE, dtype=torch.float64, requires_grad=True)
    solution = model.solve(inputs(BATCH), z0=z0)
    with flops() as counter:
        solution.z_star.sum().backward()
    times = 2 if adjoint == "gauss" else 3  # z W of df/dz and (df/dz)^T lambda; where z is followed back, of z' too
    assert counter.total == times * int(solution.original.adjoint.njvp.max()) * PRODUCT


MATRIX = f"deqc: 1\nname: M\ninput: {{x: [{SIZE}], a: {{shape: [{SIZE}, {SIZE}], batch: false}}}}\nscale: [{SIZE}]\n"
MATRIX += "main_layers: [{matmul: {right: $a}}, {sum: [tanh, $x]}, {times: 0.5}]\n"


def test_an_input_that_needs_no_gradient_costs_nothing() -> None:
    model = module_of(MATRIX + "solver: {method: picard, atol: 1.0e-12, max_steps: 100}\n").M().double()
    x, a = inputs(BATCH).requires_grad_(), 0.5 * inputs(SIZE)
    found, totals = list[Tensor](), list[int]()
    for needs in (True, False):
        z = model(x, a.requires_grad_(needs))
        with flops() as counter:
            found += torch.autograd.grad(z.square().sum(), [x, a] if needs else [x])
        totals.append(counter.total)
    assert totals[0] - totals[1] == PRODUCT
    assert torch.equal(found[0], found[2])
    assert bool(found[1].any())
