"""Derivatives that nobody asks for cost nothing: f is evaluated for the solve alone, and nothing is kept."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
import torch
from torch import Tensor

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
