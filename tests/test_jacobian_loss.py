"""The Jacobian loss: what it estimates, its gradients, its noise; eager, transformed and compiled."""

from __future__ import annotations

import copy
import functools
import itertools
import json
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, jacfwd, jacrev, vmap

from deqc.compiler import compile_text
from deqc.explain import explain
from deqc.loading import import_source
from tests.own_modules import NEURAL_ODES, own_modules

SPEC = """\
deqc: 1
name: Model
input: {x: [2]}
scales: [[2], [2]]
main_layers: [[{sum: [{linear: 2}, [$x, {linear: 2}]]}, tanh], [{linear: 2}, tanh]]
mapping_layers: [[identity, {linear: 2}], [{linear: 2}, identity]]
post_fuse_layers: {each: {times: 0.9}}
solver: {method: newton, atol: 1.0e-13}
"""
LINEAR = """\
deqc: 1
name: Model
input: {x: [3]}
scale: [3]
main_layers: [{sum: [{linear: {out: 3, bias: false}}, $x]}]
solver: newton
"""
FOLDER = Path(__file__).resolve().parents[1] / "examples/specs"
EXAMPLES = [path for path in sorted(FOLDER.glob("*.yaml")) if path.stem not in NEURAL_ODES]
X = torch.linspace(-1, 1, 6, dtype=torch.float64).reshape(3, 2)
QUANTITIES = ("frobenius", "trace", "spectral_radius")
MODES = ("vjp", "jvp", "finite_difference")
SWITCHED_OFF = ((), ("adjoint",))
FROM = ["rules", "torch"]  # where derivatives of f come from


@functools.cache
def _module(spec: str, settings: str, adjoint: str, disable: tuple[str, ...]) -> ModuleType:
    text = f"{spec}adjoint: {adjoint}\njacobian_regularization: {settings}\n"
    return import_source(compile_text(text, "m", frozenset(disable)).source, "made")


def made(spec: str = SPEC, adjoint: str = "implicit", disable: tuple[str, ...] = (), **settings: object) -> Any:
    """The module, which has a model `Model`."""
    return _module(spec, json.dumps(settings), adjoint, disable)


def model(*arguments: Any, **settings: Any) -> Any:
    """The model in double precision and eval mode, with the same weights at every call."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return made(*arguments, **settings).Model().double().eval()


def jacobians(one: Any, x: Tensor) -> Tensor:
    """df/dz at the solution, (B, D, D)."""
    z = one.pack(one.solve(x).z_star).detach()
    step = vmap(jacrev(lambda z, x: one.step(z[None], x[None])[0]))
    with torch.no_grad():
        return cast(Tensor, step(z, x))


def quantity(name: str, jacobian: Tensor) -> Tensor:
    """What the loss is an estimate of, normalised by the batch."""
    if name == "frobenius":
        return jacobian.square().sum((1, 2)).mean()
    if name == "trace":
        return jacobian.diagonal(dim1=1, dim2=2).sum(1).mean()
    radius: Tensor = torch.linalg.eigvals(jacobian).abs().amax(1)
    return radius.mean()


def gradients(loss: Tensor, one: nn.Module) -> list[Tensor]:
    """Of the loss in all parameters."""
    return list(torch.autograd.grad(loss, list(one.parameters()), materialize_grads=True))


@pytest.mark.parametrize(("distribution", "normalize"), [("normal", "state"), ("rademacher", "batch")])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ["frobenius", "trace"])
def test_is_the_quantity_on_average(name: str, mode: str, distribution: str, normalize: str) -> None:
    """The mean over solves in training is within four standard errors, which are small."""
    one = model(quantity=name, mode=mode, samples=50, distribution=distribution, normalize=normalize)
    exact = quantity(name, jacobians(one, X)) / (4 if normalize == "state" else 1)
    one.train()
    found = torch.stack([one.solve(X).jacobian_loss.detach() for _ in range(40)])
    error = found.std() / 40**0.5
    assert abs(found.mean() - exact) < 4 * error
    assert error < 0.03 * jacobians(one, X).square().sum((1, 2)).mean() / (4 if normalize == "state" else 1)


@pytest.mark.parametrize("mode", MODES)
def test_the_spectral_radius_is_that_of_the_jacobian(mode: str) -> None:
    one = model(quantity="spectral_radius", mode=mode, steps=60)
    torch.testing.assert_close(
        one.solve(X).jacobian_loss, quantity("spectral_radius", jacobians(one, X)), rtol=1e-6, atol=0
    )


@pytest.mark.parametrize("disable", SWITCHED_OFF, ids=FROM)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", QUANTITIES)
def test_gradients_through_the_solution(name: str, mode: str, disable: tuple[str, ...]) -> None:
    """Those of finite differences of the loss itself, in the weights and in x."""
    one = model(SPEC, "implicit" if mode == "vjp" else "unroll", disable, quantity=name, mode=mode)
    names, values = zip(*one.named_parameters(), strict=True)
    solve = _Loss(one)

    def loss(x: Tensor, *values: Tensor) -> Any:
        return functional_call(solve, {f"model.{n}": v for n, v in zip(names, values, strict=True)}, (x,))

    # differences of differences need a longer step
    step = 1e-4 if mode == "finite_difference" else 1e-6
    assert torch.autograd.gradcheck(loss, (X.clone().requires_grad_(), *values), eps=step, atol=1e-6, rtol=1e-4)


class _Loss(nn.Module):
    """The Jacobian loss as what a module returns."""

    def __init__(self, inner: Any) -> None:
        super().__init__()
        self.model = inner

    def forward(self, x: Tensor) -> Any:
        return self.model.solve(x).jacobian_loss


@pytest.mark.parametrize("disable", SWITCHED_OFF, ids=FROM)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", QUANTITIES)
def test_gradients_beside_the_solution(name: str, mode: str, disable: tuple[str, ...]) -> None:
    """Those of finite differences of the loss at one and the same z, and not those through the solution."""
    settings = {"quantity": name, "mode": mode}
    module = made(disable=disable, through_solution=False, **settings)
    one = model(disable=disable, through_solution=False, **settings)
    z = one.pack(one.solve(X).z_star).detach()
    names, values = zip(*one.named_parameters(), strict=True)

    class AtZ(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = one

        def forward(self) -> Any:
            return module._jacobian_loss(z, one.weights(X), one._draws)

    def loss(*values: Tensor) -> Any:
        return functional_call(AtZ(), {f"model.{n}": v for n, v in zip(names, values, strict=True)}, ())

    step = 1e-4 if mode == "finite_difference" else 1e-6
    assert torch.autograd.gradcheck(loss, values, eps=step, atol=1e-6, rtol=1e-4)
    found = gradients(one.solve(X).jacobian_loss, one)
    expected = gradients(loss(*values), one)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
    through = model(disable=disable, **settings)
    others = gradients(through.solve(X).jacobian_loss, through)
    assert any(float((a - b).abs().max()) > 1e-3 for a, b in zip(found, others, strict=True))


@pytest.mark.parametrize("mode", MODES)
def test_of_a_linear_map_it_is_known(mode: str) -> None:
    """With random signs, estimates from a diagonal Jacobian have no error; nor has its gradient on the diagonal."""
    weight = torch.tensor([0.9, -0.5, 0.3], dtype=torch.float64)
    rtol = 1e-8 if mode == "finite_difference" else 1e-14
    for name, expected, slope in (
        ("frobenius", weight.square().sum() / 3, 2 * weight / 3),
        ("trace", weight.sum() / 3, 1 / 3),
    ):
        one = model(LINEAR, quantity=name, mode=mode, distribution="rademacher")
        (parameter,) = one.parameters()
        with torch.no_grad():
            parameter.copy_(weight.diag())
        loss = one.solve(torch.ones(5, 3).double()).jacobian_loss
        torch.testing.assert_close(loss, expected, rtol=rtol, atol=0.0)
        (gradient,) = gradients(loss, one)
        torch.testing.assert_close(gradient.diag(), torch.ones(3).double() * slope, rtol=rtol, atol=0.0)


# A real eigenvalue that stands out; two that are opposite; a pair that turns; a pair in a skew basis; none at all.
SKEW = torch.tensor([[1.0, 0.8, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]).double()
TURN = 0.8 * torch.tensor([[0.6, -0.8, 0.0], [0.8, 0.6, 0.0], [0.0, 0.0, 0.1]]).double()
RADII = [
    (torch.tensor([0.9, -0.5, 0.3]).double().diag(), 0.9, 1e-6),
    (torch.tensor([0.9, -0.9, 0.3]).double().diag(), 0.9, 1e-6),
    (TURN, 0.8, 1e-6),
    (SKEW @ TURN @ SKEW.inverse(), 0.8, 0.05),
    (torch.zeros(3, 3).double(), 0.0, 1e-30),
    (torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]).double(), 0.0, 1e-30),
]


@pytest.mark.parametrize("mode", MODES[:2])
@pytest.mark.parametrize(("weight", "radius", "error"), RADII)
def test_the_spectral_radius_of_pairs(weight: Tensor, radius: float, error: float, mode: str) -> None:
    """Complex pairs count by their absolute value, and gradients are finite where there is nothing to follow."""
    one = model(LINEAR, quantity="spectral_radius", mode=mode, steps=40)
    (parameter,) = one.parameters()
    with torch.no_grad():
        parameter.copy_(weight)
    loss = one.solve(torch.ones(5, 3).double()).jacobian_loss
    assert abs(float(loss.detach()) - radius) <= error
    (gradient,) = gradients(loss, one)
    assert bool(gradient.isfinite().all())
    if radius == 0.9 and bool((weight.diag() == torch.tensor([0.9, -0.5, 0.3]).double()).all()):
        expected = torch.zeros(3, 3).double()
        expected[0, 0] = 1.0  # of a simple eigenvalue, the product of its vectors
        torch.testing.assert_close(gradient, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "mode", [mode if mode == "vjp" else pytest.param(mode, marks=pytest.mark.slow) for mode in MODES]
)
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_rules_and_torch_agree(path: Path, mode: str) -> None:
    """On every example, values and gradients from generated products are those from torch.func's."""
    text = path.read_text(encoding="utf-8").partition("jacobian_regularization")[0]
    text += f"\njacobian_regularization: {{quantity: frobenius, mode: {mode}}}\n"
    found = []
    for disable in SWITCHED_OFF:
        compilation = compile_text(text, path.name, frozenset(disable))
        kind = getattr(import_source(compilation.source, "made"), compilation.spec.name)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            one = kind(**own_modules(compilation)).double().eval()
        generator = torch.Generator().manual_seed(1)
        inputs = [
            torch.randn(2, *n.type.shape, dtype=torch.float64, generator=generator) for n in compilation.lowered.inputs
        ]
        loss = one.solve(*inputs).jacobian_loss
        found.append([loss, *gradients(loss, one)])
    assert any(bool(g.any()) for g in found[0][1:])
    tolerance = 1e-5 if mode == "finite_difference" else 1e-9
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


def test_noise_is_that_of_the_seed_and_leaves_torch_alone() -> None:
    first, same, other = (model(quantity="frobenius", seed=seed).train() for seed in (1, 1, 2))
    before = torch.random.get_rng_state()
    found = [[float(one.solve(X).jacobian_loss.detach()) for _ in range(5)] for one in (first, same, other)]
    assert torch.equal(torch.random.get_rng_state(), before)
    assert found[0] == found[1]
    assert len({*found[0], *found[2]}) == 10, "each solve in training has noise of its own"
    first.eval()
    assert len({float(first.solve(X).jacobian_loss.detach()) for _ in range(3)}) == 1
    assert not [name for name in first.state_dict() if "draws" in name]
    copied = copy.deepcopy(first).train()
    assert copied.solve(X).jacobian_loss == first.train().solve(X).jacobian_loss


@pytest.mark.parametrize("distribution", ["normal", "rademacher"])
def test_noise_has_the_moments_of_its_distribution(distribution: str) -> None:
    """Over places and over solves: mean 0, variance 1, fourth moment 3 or 1, and no correlation, also of neighbours."""
    module = made(quantity="frobenius", distribution=distribution, samples=2)
    z = torch.zeros(64, 4)
    first = int(module.Model()._draws)
    v = torch.stack([module._probes(z, torch.tensor(first + k)) for k in range(1000)]).flatten(1)
    count = v.numel()
    normal = distribution == "normal"
    assert v.dtype == z.dtype
    assert abs(float(v.mean())) < 5 / count**0.5
    assert abs(float(v.square().mean()) - 1) < 5 * (2 / count) ** 0.5
    assert abs(float((v**4).mean()) - (3 if normal else 1)) < 5 * (96 / count) ** 0.5
    covariance = v.T @ v / 1000 - torch.eye(512)
    assert float(covariance.fill_diagonal_(0).abs().max()) < 6 / 1000**0.5
    assert abs(float((v[:, 1:] * v[:, :-1]).mean())) < 5 / count**0.5
    assert abs(float((v[1:] * v[:-1]).mean())) < 5 / count**0.5


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize(("name", "mode"), list(itertools.product(QUANTITIES, MODES)))
def test_transforms(name: str, mode: str, train: bool) -> None:
    """grad, vmap over samples, jacrev and jacfwd; no transform moves the noise on."""
    one = model(quantity=name, mode=mode).train(train)
    draws = int(one._draws)
    reverse, forward = (derivative(lambda x: one.solve(x).jacobian_loss)(X) for derivative in (jacrev, jacfwd))
    torch.testing.assert_close(reverse, forward, rtol=1e-8, atol=1e-8)
    # the same v for every one of the samples, so that the sum of three is not the loss of the batch
    each = vmap(grad(lambda x: one.solve(x[None]).jacobian_loss))(X)
    alone = [grad(lambda x: one.solve(x[None]).jacobian_loss)(x) for x in X]
    torch.testing.assert_close(each, torch.stack(alone), rtol=1e-8, atol=1e-8)
    assert int(one._draws) == draws
    loss = _Loss(one)
    moved = [functional_call(loss, {"model._draws": torch.tensor(draws + k)}, (X,)).detach() for k in (0, 7)]
    assert moved[0] != moved[1]


def test_where_it_is_and_where_not() -> None:
    one = model(quantity="frobenius").train()
    draws = int(one._draws)
    one(X)
    assert int(one._draws) == draws, "forward has no use for it"
    unrolled = one.solve(X, depth=3)
    assert unrolled.jacobian_loss.shape == ()
    assert unrolled.jacobian_loss.requires_grad
    with torch.no_grad():
        assert not one.solve(X).jacobian_loss.requires_grad
    with torch.inference_mode():
        assert bool(one.solve(X).jacobian_loss.isfinite())
    with torch.autocast("cpu"):
        assert one.float().solve(X.float()).jacobian_loss.dtype == torch.float32
    half = one.bfloat16().solve(X.bfloat16(), depth=3).jacobian_loss
    assert half.dtype == torch.bfloat16
    assert bool(half.isfinite())


def test_it_is_told() -> None:
    held = {"quantity": "spectral_radius", "mode": "finite_difference", "through_solution": False}
    text = "spectral radius of df/dz by differences, 20 steps, 1 normal v a sample, z* held fixed"
    assert text in repr(model(**held))
    compilation = compile_text(f"{SPEC}jacobian_regularization: {json.dumps(held)}\nadjoint: none\n", "m")
    assert f"Jacobian loss  {text}" in compilation.source
    assert text in explain(compilation)
    through = compile_text(f"{SPEC}jacobian_regularization: trace\nadjoint: none\n", "m")
    assert "through_solution is not used" in explain(through)


COMPILED = [
    ("frobenius", "vjp", "implicit"),
    ("spectral_radius", "jvp", "jfb"),
    ("trace", "finite_difference", "implicit"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "mode", "adjoint"), COMPILED)
def test_compiled_it_is_the_same(name: str, mode: str, adjoint: str) -> None:
    """In training, solve by solve: the same noise, value and gradients, in one graph that is compiled once."""
    settings = {"quantity": name, "mode": mode, **({"steps": 4} if name == "spectral_radius" else {})}
    one = model(SPEC, adjoint, **settings).float().train()
    other = copy.deepcopy(one)
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()

    def loss(of: Any) -> Any:
        solution = of.solve(X.float())
        return solution.jacobian_loss + solution.z_star[0].sum()

    compiled = torch.compile(lambda: loss(other), fullgraph=True)
    losses = []
    for _ in range(3):
        want, got = loss(one), compiled()
        torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-5)
        for a, b in zip(gradients(got, other), gradients(want, one), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)
        losses.append(float(got))
    assert len(set(losses)) == 3
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1
