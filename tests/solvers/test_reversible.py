"""The reversible iteration can be undone, and is what its formula says; and the adjoint that undoes it."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from torch import Tensor

from deqc.compiler import compile_text
from deqc.diagnostics import SpecError
from deqc.explain import explain
from deqc.loading import import_model
from tests.solvers.modules import module

F64 = torch.float64
DAMPING = 0.7


def f(z: torch.Tensor) -> torch.Tensor:
    """A contraction."""
    return 0.6 * torch.cos(z) + 0.3


def test_the_steps_are_the_formulas_and_can_be_undone() -> None:
    z0 = torch.tensor([[1.5, -2.0], [0.2, 0.9]], dtype=F64)
    made = module("reversible", damping=DAMPING, atol=0.0, max_steps=7, on_failure="ignore")
    z, record = made.fixed_point(f, z0)
    y, at = z0, z0
    for _ in range(7):
        y = (1 - DAMPING) * y + DAMPING * f(at)
        at = (1 - DAMPING) * at + DAMPING * f(y)
    torch.testing.assert_close(z, at, rtol=1e-14, atol=1e-14)
    assert record.nfe.tolist() == [15, 15]
    for _ in range(7):
        at = (at - DAMPING * f(y)) / (1 - DAMPING)
        y = (y - DAMPING * f(at)) / (1 - DAMPING)
    torch.testing.assert_close(at, z0, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(y, z0, rtol=1e-9, atol=1e-9)


BODY = """\
deqc: 1
name: M
input: {x: [6]}
scale: [6]
main_layers: [{sum: [{linear: 6}, [$x, {linear: 6}]]}, tanh, {times: 0.9}]
"""
PARTS = """\
deqc: 1
name: M
input: {x: [6], a: {shape: [2, 2], batch: false}}
scales: [[3], [2]]
main_layers: [{sum: [{linear: 3}, [$x, {linear: 3}]]}, {linear: 2}]
mapping_layers: [[tanh, {linear: 2}], [{linear: 3}, {matmul: {right: $a}}]]
post_fuse_layers: {each: [tanh, {times: 0.7}]}
"""


def made(adjoint: object, body: str = BODY, **settings: object) -> Any:
    """The model in float64, always with the same weights."""
    solver = {"method": "reversible", "damping": 0.6, "atol": 1e-4, "max_steps": 12, "on_failure": "ignore", **settings}
    text = f"{body}solver: {json.dumps(solver)}\nadjoint: {json.dumps(adjoint)}\n"
    model = import_model(compile_text(text, "m.yaml"))
    torch.manual_seed(0)
    return model().double()


def inputs(body: str = BODY) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    scale = torch.tensor([[0.0], [1.0], [1.0], [9.0]], dtype=F64)
    x = scale * torch.randn(4, 6, generator=generator, dtype=F64)
    return [x, 0.4 * torch.randn(2, 2, generator=generator, dtype=F64)] if body == PARTS else [x]


def gradients(model: Any, given: list[Tensor], z0: Any = None) -> list[Tensor]:
    """Of a loss for the inputs, the parameters, and the start where there is one."""
    leaves = [one.clone().requires_grad_() for one in given]
    start = None if z0 is None else z0.clone().requires_grad_()
    z = model.solve(*leaves, z0=start).z_star
    pieces = [z] if isinstance(z, Tensor) else list(z)
    loss = torch.stack([(one.sin() * torch.linspace(0.5, 1.5, one.shape[1])).sum() for one in pieces]).sum()
    wanted = [*leaves, *model.parameters(), *([] if start is None else [start])]
    return list(torch.autograd.grad(loss, wanted))


@pytest.mark.parametrize("body", [BODY, PARTS], ids=["one scale", "two scales"])
@pytest.mark.parametrize(
    "settings",
    [{}, {"atol": 0.0}, {"coupling": "batch"}, {"compaction": True}, {"termination": "rel_norm_safe", "trace": True}],
    ids=str,
)
def test_the_gradient_is_that_of_the_steps(settings: dict[str, Any], body: str) -> None:
    """Samples take different numbers of steps, each its own is undone."""
    given = inputs(body)
    undone, unrolled = made("reversible", body, **settings), made("unroll", body, **settings)
    taken = undone.solve(*given).original.steps.tolist()
    assert len(set(taken)) > 1 or body == PARTS or settings.keys() & {"atol", "coupling"}
    torch.testing.assert_close(gradients(undone, given), gradients(unrolled, given), rtol=1e-10, atol=1e-11)


def test_the_start_has_a_gradient_too() -> None:
    z0 = torch.full((4, 6), 0.3, dtype=F64)
    found = gradients(made("reversible"), inputs(), z0)
    torch.testing.assert_close(found, gradients(made("unroll"), inputs(), z0), rtol=1e-10, atol=1e-11)
    assert float(found[-1].abs().max()) > 1e-6


def test_no_step_is_undone_where_none_was_taken() -> None:
    model = made("reversible")
    z0 = model(*inputs()).detach()
    model = made("reversible", atol=1.0)
    start = z0.clone().requires_grad_()
    solution = model.solve(*inputs(), z0=start)
    assert solution.original.steps.tolist() == [0] * 4
    (found,) = torch.autograd.grad(solution.z_star.sum(), start)
    assert torch.equal(found, torch.ones_like(found))


def test_eval_mode_undoes_its_own_damping() -> None:
    found = gradients(made("reversible", eval={"damping": 0.4, "atol": 1e-3}).eval(), inputs())
    expected = gradients(made("unroll", damping=0.4, atol=1e-3), inputs())
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-11)


def test_in_float32_the_states_are_wider() -> None:
    """The gradient is as near to that of the steps as float32 lets it."""
    model, wide = made("reversible", damping=0.8).float(), made("unroll", damping=0.8)
    x = inputs()[0]
    found = gradients(model, [x.float()])
    assert model.solve(x.float()).z_star.dtype == torch.float32
    for a, b in zip(found, gradients(wide, [x]), strict=True):
        assert float((a - b).norm() / b.norm()) < 1e-5


def test_the_record_tells_how_far_the_start_is_missed() -> None:
    model = made("reversible", max_steps=12, atol=0.0)
    solution = model.solve(*inputs())
    solution.z_star.sum().backward()
    back: Any = solution.original.adjoint
    assert back.status.tolist() == [0] * 4
    assert back.steps.tolist() == [12] * 4
    assert bool((back.residual_norm < 1e-6).all())
    model = made("reversible", max_steps=60, atol=0.0, on_failure="warn", damping=0.9)
    with pytest.warns(UserWarning, match="the solve missed"):
        z = model(*inputs())
    with pytest.warns(UserWarning, match="the way back missed .*start found again"):
        z.sum().backward()


def test_a_second_derivative_is_refused_by_name() -> None:
    model = made("reversible")
    first = torch.autograd.grad(model(*inputs()).sum(), list(model.parameters()), create_graph=True)
    with pytest.raises(RuntimeError, match="the adjoint reversible has no second derivatives"):
        torch.stack([g.square().sum() for g in first]).sum().backward()


def test_so_is_a_mixed_one() -> None:
    """By a weight through which the input's own gradient does not pass."""
    model, (x,) = made("reversible"), inputs()
    weights = {name: value.detach() for name, value in model.named_parameters()}
    (name,) = (name for name in weights if name.endswith("sum.0.linear.weight"))

    def pulled(weight: Tensor) -> Tensor:
        call = torch.func.functional_call
        slope: Tensor = torch.func.grad(lambda x: call(model, {**weights, name: weight}, (x,)).sum())(x).sum()
        return slope

    with pytest.raises(RuntimeError, match="the adjoint reversible has no second derivatives"):
        torch.func.grad(pulled)(weights[name])


def test_transforms() -> None:
    model, (x,) = made("reversible"), inputs()
    expected = gradients(model, [x])[0]

    def one(x: Tensor) -> Tensor:
        z = model(x.unsqueeze(0))[0]
        loss: Tensor = (z.sin() * torch.linspace(0.5, 1.5, 6)).sum()
        return loss

    torch.testing.assert_close(torch.func.vmap(torch.func.grad(one))(x), expected, rtol=1e-10, atol=1e-11)


def test_it_asks_for_its_solver_and_the_last_iterate() -> None:
    for solver, words in (("picard", "works with the solver reversible alone"), ("reversible", "the best one")):
        text = f"{BODY}solver: {{method: {solver}, termination: abs_norm_safe_best}}\nadjoint: reversible\n"
        with pytest.raises(SpecError, match=words) as error:
            compile_text(text, "m.yaml")
        assert [one.code for one in error.value.diagnostics if one.code == "E083"]


def test_explain_says_what_it_costs() -> None:
    told = explain(compile_text(f"{BODY}solver: reversible\nadjoint: reversible\n", "m.yaml"))
    assert "reversible: exact" in told
    assert "rounding errors larger" in told
