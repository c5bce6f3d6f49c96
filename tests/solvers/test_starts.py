"""Where a solve starts: with every solver, and with every adjoint."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from torch import Tensor

from deqc.compiler import compile_text
from deqc.loading import import_source
from deqc.solvers import ADJOINTS
from tests.solvers.rows import METHODS

STARTS = {
    "zeros": "zeros",
    "step": "step",
    "chains": "[[$x, {linear: 4}], null]",
    "random": "[random, [{random: {keep: 0.5}}]]",
}
SPEC = """\
deqc: 1
name: Model
input: {{x: [3]}}
scales: [[4], [2]]
init: {init}
main_layers:
  - [{{sum: [{{linear: 4}}, [$x, {{linear: 4}}]]}}, tanh, {{times: 0.5}}]
  - [{{sum: [{{linear: 2}}, [$x, {{linear: 2}}]]}}, tanh, {{times: 0.5}}]
mapping_layers:
  - [identity, {{linear: 2}}]
  - [null, identity]
post_fuse_layers: {{each: [tanh, {{times: 0.6}}]}}
solver: {{method: {method}, atol: 1e-10, max_steps: 2000, on_failure: ignore}}
adjoint: {adjoint}
"""
X = torch.linspace(-1, 1, 9, dtype=torch.float64).reshape(3, 3)


def model(start: str, method: str, adjoint: object) -> Any:
    """A model of two scales, with the same weights of f whatever its start."""
    source = compile_text(SPEC.format(init=STARTS[start], method=method, adjoint=json.dumps(adjoint)), "m").source
    made = import_source(source, "made").Model().double()
    torch.manual_seed(0)
    for name, parameter in sorted(made.named_parameters()):
        if not name.startswith("init"):
            torch.nn.init.uniform_(parameter, -0.4, 0.4)
    return made


def gradient(made: Any, **start: Any) -> list[Tensor]:
    """Of the weights of f."""
    found = made.solve(X, **start)
    weights = [parameter for name, parameter in made.named_parameters() if not name.startswith("init")]
    return list(torch.autograd.grad(sum((z * z).sum() for z in found.z_star), weights))


def root() -> tuple[Tensor, ...]:
    """The solution of all of them."""
    found = model("zeros", "newton", "none").solve(X)
    assert found.original.status.tolist() == [0, 0, 0]
    return tuple(z.detach() for z in found.z_star)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("start", STARTS)
def test_every_solver_finds_the_solution_from_every_start(start: str, method: str) -> None:
    made, solution = model(start, method, "none"), root()
    found = made.solve(X)
    assert found.original.status.tolist() == [0, 0, 0]
    for z, expected in zip(found.z_star, solution, strict=True):
        torch.testing.assert_close(z, expected, rtol=1e-7, atol=1e-7)
    u0 = found.u0
    if start == "zeros":
        assert not any(bool(u.any()) for u in u0)
    elif start == "step":
        zeros = made.pack(tuple(torch.zeros_like(u) for u in u0))
        torch.testing.assert_close(made.pack(u0), made.step(zeros, X))
    elif start == "chains":
        torch.testing.assert_close(u0[0], made.init["0"]["linear"](X))
        assert not bool(u0[1].any())
    else:
        assert bool(u0[0].any())
        assert not torch.equal(u0[0], made.solve(X).u0[0])


@pytest.mark.parametrize("method", METHODS)
def test_a_warm_start(method: str) -> None:
    """From the solution there is nothing to do; a sample that starts there stays whatever its mates do."""
    made, solution = model("zeros", method, "none"), root()
    again = made.solve(X, z0=solution)
    assert again.original.steps.tolist() == [0, 0, 0]
    assert all(torch.equal(a, b) for a, b in zip(again.z_star, solution, strict=True))
    mixed = tuple(torch.cat([z[:1], torch.ones_like(z[1:])]) for z in solution)
    found = made.solve(X, z0=mixed)
    assert found.original.status.tolist() == [0, 0, 0]
    assert found.original.steps[0] == 0
    assert bool((found.original.steps[1:] > 0).all())
    assert all(torch.equal(a[:1], b[:1]) for a, b in zip(found.z_star, solution, strict=True))


@pytest.mark.parametrize(
    "adjoint", [name for name, one in ADJOINTS.items() if "deq" in one.kinds and name not in ("none", "reversible")]
)
@pytest.mark.parametrize("start", STARTS)
def test_gradients_do_not_depend_on_the_start(start: str, adjoint: str) -> None:
    """Those of the weights of f; an unrolled solve has them up to what its last steps still change.

    What a solver has learnt depends on where it started, until it is refined.
    """
    method = {"unroll": "picard", "shine": "broyden"}.get(adjoint, "anderson")
    settings: dict[str, object] = {"method": adjoint, **({"refine": 60} if adjoint == "shine" else {})}
    if adjoint == "implicit":
        settings["linear_solver"] = "lu"
    expected = gradient(model("zeros", method, settings))
    made = model(start, method, settings)
    for found in (gradient(made), gradient(made, z0=tuple(torch.ones(3, n, dtype=X.dtype) for n in (4, 2)))):
        for a, b in zip(found, expected, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("start", ["step", "chains"])
def test_a_start_that_is_unrolled_learns(start: str) -> None:
    """Through the steps a gradient reaches z0; through the solution of the implicit adjoint none does."""
    z0 = tuple(torch.ones(3, n, dtype=X.dtype, requires_grad=True) for n in (4, 2))
    for adjoint, reached in (("unroll", True), ("implicit", False)):
        found = model(start, "picard", adjoint).solve(X, z0=z0)
        grads = torch.autograd.grad(found.z_star[0].sum(), z0, allow_unused=True)
        assert all((g is not None) is reached for g in grads)


@pytest.mark.parametrize("method", METHODS)
def test_unrolled_a_sample_that_is_solved_from_the_start_spoils_no_gradient(method: str) -> None:
    """Its residual is zero, at which roots and quotients have no derivative, while a mate takes many steps."""
    text = SPEC.format(init="zeros", method=method, adjoint="unroll").replace("1e-10", "1e-4")
    made = import_source(compile_text(text, "m").source, "made")
    slope = torch.tensor([[0.5], [0.5], [0.97]], requires_grad=True)
    b = torch.tensor([[0.0, 0.0], [0.5, 0.1], [0.2, 0.3]], requires_grad=True)
    z, record = made.fixed_point(lambda z: slope * torch.sin(z) + b, torch.zeros(3, 2))
    assert record.status.tolist() == [0, 0, 0]
    for grad in torch.autograd.grad(z.sum(), [slope, b]):
        assert bool(grad.isfinite().all())
        assert bool((grad[1:] != 0).all())


@pytest.mark.parametrize(
    ("method", "adjoint"), [*((method, "unroll") for method in METHODS), ("rk4", "{method: unroll, checkpoint: 7}")]
)
def test_unrolled_a_sample_that_is_not_finite_spoils_no_gradient(method: str, adjoint: str) -> None:
    text = SPEC.format(init="zeros", method=method, adjoint=adjoint).replace("1e-10", "1e-4").replace("2000", "200")
    made = import_source(compile_text(text, "m").source, "made")
    found = []
    for start in ([[0.1, 0.2], [0.0, 0.0], [5.0, 4.0]], [[0.1, 0.2], [0.0, 0.0]]):
        w = torch.tensor([[0.5, 0.1], [-0.1, 0.4]], dtype=torch.float64, requires_grad=True)
        z0 = torch.tensor(start, dtype=torch.float64)
        far = 100 * (z0[:, :1] > 1)
        z, record = made.fixed_point(lambda z, w=w, far=far: torch.tanh(z @ w.mT + 0.3) + far * (1 + z**4), z0)
        assert [status == 0 for status in record.status.tolist()] == [True, True, False][: len(start)]
        found.append(torch.autograd.grad(z[:2].square().sum(), w)[0])
    torch.testing.assert_close(found[0], found[1], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_unrolled_a_sample_of_a_singular_jacobian_spoils_no_gradient(method: str) -> None:
    """I - df/dz of the first is zero, which solvers do without; autograd would divide by it."""
    text = SPEC.format(init="zeros", method=method, adjoint="unroll").replace("1e-10", "1e-6").replace("2000", "200")
    made = import_source(compile_text(text, "m").source, "made")
    w = torch.tensor([[0.5, 0.1], [-0.1, 0.4]], dtype=torch.float64, requires_grad=True)
    found = []
    for gate in (torch.tensor([[1.0], [0.0]], dtype=torch.float64), torch.zeros(1, 1, dtype=torch.float64)):
        z0 = torch.zeros(len(gate), 2, dtype=torch.float64)
        z, record = made.fixed_point(lambda z, gate=gate: gate * z + (1 - gate) * torch.tanh(z @ w.mT + 0.3), z0)
        assert record.status.tolist() == [0] * len(gate)
        found.append(torch.autograd.grad(z[-1].square().sum(), w)[0])
    torch.testing.assert_close(found[0], found[1], rtol=1e-9, atol=1e-9)


def test_phantom_steps_of_a_sample_that_is_not_finite_spoil_no_gradient() -> None:
    """They begin at its last finite iterate, and overflow as its solve did."""
    text = """\
deqc: 1
name: Model
input: {x: [2]}
scale: [2]
main_layers: {sum: [[{linear: 2}, tanh, {times: 0.5}], {mul: [$x, square, square]}, $x]}
solver: {method: picard, on_failure: ignore}
adjoint: {method: phantom, steps: 5}
"""
    torch.manual_seed(0)
    made = import_source(compile_text(text, "m").source, "made").Model()
    x = torch.tensor([[0.1, 0.2], [50.0, 40.0]])
    found = []
    for rows in (x, x[:1]):
        solution = made.solve(rows)
        assert solution.original.status.tolist() == [0, 4][: len(rows)]
        found.append(torch.autograd.grad(solution.z_star[:1].square().sum(), list(made.parameters())))
    torch.testing.assert_close(found[0], found[1])


@pytest.mark.parametrize("method", METHODS)
def test_steps_of_a_batch_that_has_ended_change_nothing(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """On an accelerator the loop looks only at every 8th step whether all have ended, as here where it looks never."""
    source = compile_text(SPEC.format(init="zeros", method=method, adjoint="none"), "m").source
    assert 'every = 1 if z0.device.type == "cpu" else 8' in source
    first, late = (import_source(source, "made") for _ in range(2))
    f, z0 = (lambda z: torch.cos(z) / 2 + z.mean(1, keepdim=True) / 4), X.clone()
    z, record = first.fixed_point(f, z0)
    real = late._any
    looks: list[bool] = []

    def rarely(flags: Tensor, unknown: bool = True) -> bool:
        """The loop is told that samples are on their way, twelve times after they have ended."""
        looks.append(real(flags, unknown))
        return looks[-1] or looks.count(False) <= 12

    monkeypatch.setattr(late, "_any", rarely)
    late_z, late_record = late.fixed_point(f, z0)
    assert looks.count(False) > 12
    assert torch.equal(z, late_z)
    for name in ("status", "steps", "nfe", "njvp", "residual_norm", "best_residual_norm"):
        assert torch.equal(getattr(record, name), getattr(late_record, name))
