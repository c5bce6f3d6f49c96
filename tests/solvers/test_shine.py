"""The adjoint that reads what Broyden's method has learnt of (I - df/dz)^-1."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from torch import Tensor

from deqc.compiler import compile_text
from deqc.explain import explain
from deqc.loading import import_source

BODY = """\
deqc: 1
name: M
input: {x: [6]}
scale: [6]
main_layers: [{sum: [{linear: 6}, [$x, {linear: 6}]]}, tanh, {times: 0.9}]
"""
SOLVERS = ("broyden", "limited_memory_broyden")
TRUSTING = {"method": "shine", "fallback": None}
F64 = torch.float64


def text(solver: dict[str, Any], adjoint: object) -> str:
    settings = {"atol": 1e-4, "max_steps": 60, **solver}
    return f"{BODY}solver: {json.dumps(settings)}\nadjoint: {json.dumps(adjoint)}\n"


def made(solver: str, adjoint: object, disable: frozenset[str] = frozenset(), **settings: Any) -> Any:
    """The model, with weights that make |(I - df/dz)^-1| about 3, and its module."""
    source = compile_text(text({"method": solver, **settings}, adjoint), "m.yaml", disable).source
    module = import_source(source, "shine")
    torch.manual_seed(1)
    model = module.M().double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2.0)
    return model, module


def inputs(batch: int = 5) -> Tensor:
    return torch.randn(batch, 6, generator=torch.Generator().manual_seed(3), dtype=F64)


def cotangent(batch: int = 5) -> Tensor:
    return torch.randn(batch, 6, generator=torch.Generator().manual_seed(4), dtype=F64)


def gradients(model: Any, x: Tensor) -> list[Tensor]:
    """Of <c, z*> for the input and the parameters; the first row by row."""
    x = x.clone().requires_grad_()
    z = model.solve(x).z_star
    return list(torch.autograd.grad((cotangent(len(x)) * z).sum(), [x, *model.parameters()]))


def learnt(model: Any, module: Any, x: Tensor) -> tuple[Tensor, Tensor]:
    """z* and H of each sample, (B, D, D), from the memory of the solver."""
    with torch.no_grad():
        w = model.weights(x)
        z, _, memory = module._solved(lambda z: module.f(z, w), torch.zeros_like(x))
    if memory[0].shape[1:] == (6, 6) and len(memory) == 4:
        return z, memory[0]
    u, v, count = memory[:3]
    used = (torch.arange(u.shape[1]) < count.unsqueeze(1)).unsqueeze(2)
    return z, torch.eye(6, dtype=F64) / module.ALPHA + torch.where(used, u, 0.0).mT @ v


def pulled_back(model: Any, x: Tensor, z: Tensor, u: Tensor) -> list[Tensor]:
    """(df/dtheta)^T u at z, by autograd."""
    x = x.clone().requires_grad_()
    return list(torch.autograd.grad((u * model.step(z, x)).sum(), [x, *model.parameters()]))


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("alpha", [1.0, 2.0])
def test_the_gradient_is_its_definition(solver: str, alpha: float) -> None:
    model, module = made(solver, TRUSTING, alpha=alpha)
    x = inputs()
    z, h = learnt(model, module, x)
    assert float((h - torch.eye(6) / alpha).abs().max()) > 0.1, "it has learnt something"
    u = (h.mT @ cotangent().unsqueeze(2)).squeeze(2)
    torch.testing.assert_close(gradients(model, x), pulled_back(model, x, z, u), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("solver", SOLVERS)
def test_long_estimates_fall_back_sample_by_sample(solver: str) -> None:
    ratio = 1.3
    model, module = made(solver, {"method": "shine", "fallback": ratio})
    x, g = inputs(), cotangent()
    z, h = learnt(model, module, x)
    u = (h.mT @ g.unsqueeze(2)).squeeze(2)
    long = u.norm(dim=1) > ratio * g.norm(dim=1)
    assert 0 < int(long.sum()) < len(x)
    u = torch.where(long.unsqueeze(1), g, u)
    torch.testing.assert_close(gradients(model, x), pulled_back(model, x, z, u), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("disable", [frozenset[str](), frozenset({"adjoint"})], ids=["rules", "torch"])
@pytest.mark.parametrize("fallback", [1.3, None])
@pytest.mark.parametrize("solver", SOLVERS)
def test_steps_refine_it_until_it_is_exact(solver: str, fallback: float | None, disable: frozenset[str]) -> None:
    """Better with every few steps, from what the solver has learnt; in the end the gradient is exact."""
    x = inputs()
    settings: dict[str, Any] = {"history": 4, "atol": 1e-9} if solver == "limited_memory_broyden" else {"atol": 1e-9}
    exact = gradients(made(solver, {"linear_solver": "lu"}, **settings)[0], x)
    errors = []
    for steps in (0, 3, 6, 40):
        adjoint = {"method": "shine", "fallback": fallback, "refine": steps}
        found = gradients(made(solver, adjoint, disable, **settings)[0], x)
        errors.append(max(float((a - b).norm() / b.norm()) for a, b in zip(found, exact, strict=True)))
    assert errors[0] > 4 * errors[1] > 4 * errors[2]
    assert errors[3] < 1e-13


def test_refining_begins_with_what_was_learnt() -> None:
    """One step from there is far better than one step from nothing, which g itself is."""
    x = inputs()
    exact = gradients(made("broyden", {"linear_solver": "lu"}, atol=1e-9)[0], x)[0]
    one = {"method": "shine", "refine": 1}
    shared, anew = (made("broyden", {**one, "fallback": f}, atol=1e-9)[0] for f in (None, 1e-9))
    assert float((gradients(shared, x)[0] - exact).norm()) < 0.3 * float((gradients(anew, x)[0] - exact).norm())


@pytest.mark.parametrize("compaction", [False, True])
@pytest.mark.parametrize("solver", SOLVERS)
def test_a_sample_is_alone(solver: str, compaction: bool) -> None:
    """What is learnt of a sample does not depend on how long its mates take, nor on whether it leaves the batch."""
    model, _ = made(solver, TRUSTING, compaction=compaction, atol=1e-6)
    x = torch.cat([inputs(4), torch.zeros(1, 6, dtype=F64), 5 * inputs(3)])
    steps = model.solve(x).original.steps
    assert len(set(steps.tolist())) > 2
    whole = gradients(model, x)[0]
    c = cotangent(len(x))
    for i in range(len(x)):
        alone = x[i : i + 1].clone().requires_grad_()
        (found,) = torch.autograd.grad((c[i : i + 1] * model(alone)).sum(), alone)
        torch.testing.assert_close(whole[i : i + 1], found, rtol=1e-8, atol=1e-10)


def test_a_sample_that_is_not_finite_spoils_no_other() -> None:
    model, _ = made("broyden", "shine", on_failure="ignore")
    x = inputs()
    broken = x.clone()
    broken[1, 2] = torch.nan
    found, expected = gradients(model, broken)[0], gradients(model, x)[0]
    others = [0, 2, 3, 4]
    torch.testing.assert_close(found[others], expected[others], rtol=0, atol=0)


@pytest.mark.parametrize("adjoint", ["shine", {"linear_solver": {"method": "gmres", "preconditioner": "broyden"}}])
@pytest.mark.parametrize("solver", SOLVERS)
def test_the_solve_is_that_of_other_adjoints(solver: str, adjoint: object) -> None:
    """It learns from a step that is refused, too; else it would try the same one for ever."""
    found, expected = (made(solver, kind, on_failure="ignore")[0] for kind in (adjoint, "none"))
    for model in (found, expected):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(3.0)
    ours, theirs = found.solve(inputs()), expected.solve(inputs())
    assert torch.equal(ours.z_star, theirs.z_star)
    assert torch.equal(ours.original.steps, theirs.original.steps)


@pytest.mark.parametrize("loss", ["linear", "square"])
@pytest.mark.parametrize("refine", [0, 2])
def test_a_second_derivative_is_refused_by_name(loss: str, refine: int) -> None:
    model, _ = made("broyden", {"method": "shine", "refine": refine})
    z = model(inputs())
    value = z.sum() if loss == "linear" else z.square().sum()
    first = torch.autograd.grad(value, list(model.parameters()), create_graph=True)
    with pytest.raises(RuntimeError, match="the adjoint shine has no second derivatives"):
        torch.stack([g.square().sum() for g in first]).sum().backward()


def test_so_it_is_under_the_transforms() -> None:
    model, _ = made("broyden", "shine")

    def loss(x: Tensor) -> Tensor:
        value: Tensor = model(x).sum()
        return value

    with pytest.raises(RuntimeError, match="the adjoint shine has no second derivatives"):
        torch.func.jacrev(torch.func.grad(loss))(inputs(1))


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("refine", [0, 3])
def test_transforms(solver: str, refine: int) -> None:
    """Gradients by torch.func, sample by sample and all at once, are those of autograd."""
    model, _ = made(solver, {"method": "shine", "refine": refine})
    x, c = inputs(), cotangent()
    (expected, *_) = gradients(model, x)
    by_func = torch.func.grad(lambda x: (c * model(x)).sum())(x)
    torch.testing.assert_close(by_func, expected, rtol=1e-12, atol=1e-13)

    def one(x: Tensor, c: Tensor) -> Tensor:
        loss: Tensor = (c * model(x.unsqueeze(0))[0]).sum()
        return loss

    mapped = torch.func.vmap(torch.func.grad(one))(x, c)
    torch.testing.assert_close(mapped, expected, rtol=1e-10, atol=1e-12)


def test_eval_mode_reads_its_own_alpha() -> None:
    model, module = made("limited_memory_broyden", TRUSTING, eval={"alpha": 3.0})
    x = inputs()
    plain, _ = made("limited_memory_broyden", TRUSTING, alpha=3.0)
    assert not torch.allclose(gradients(model, x)[0], gradients(plain, x)[0])
    torch.testing.assert_close(gradients(model.eval(), x), gradients(plain, x), rtol=1e-12, atol=1e-13)
    assert "settings" in module._estimate.__annotations__


@pytest.mark.parametrize("solver", SOLVERS)
def test_with_every_setting_of_the_solver(solver: str) -> None:
    settings: dict[str, Any] = {"termination": "abs_norm_safe_best", "trace": True, "coupling": "batch"}
    if solver == "broyden":
        settings["update"] = "bad"
    x = inputs()
    exact = gradients(made(solver, {"linear_solver": "lu"}, atol=1e-12)[0], x)
    found = gradients(made(solver, {"method": "shine", "refine": 60}, atol=1e-12, **settings)[0], x)
    torch.testing.assert_close(found, exact, rtol=1e-9, atol=1e-10)


def test_explain_labels_it() -> None:
    told = explain(compile_text(text({"method": "broyden"}, "shine"), "m.yaml"))
    assert "shine: approximate" in told
    assert "adjoint shine: The estimate u = H^T g" in told
    told = explain(compile_text(text({"method": "broyden"}, TRUSTING), "m.yaml"))
    assert "shine, fallback null: approximate" in told


def test_compiled_without_gradients() -> None:
    model, _ = made("broyden", {"method": "shine", "refine": 2})
    compiled: Any = torch.compile(model, backend="eager", fullgraph=True)
    with torch.no_grad():
        torch.testing.assert_close(compiled(inputs()), model(inputs()))
    torch._dynamo.reset()
