"""The templates print, from plans filled by hand, modules for which the properties hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from deqc.chosen import texts
from deqc.emit.plan import LinearPlan, Plan
from deqc.emit.render import render
from deqc.solvers import LINEAR_SOLVERS, SOLVERS, Iteration, Linear
from tests import properties
from tests.properties import Case, import_source
from tests.solvers.linear import solved
from tests.targets import conv, seed


def _solver(plan: Plan, method: str, **settings: Any) -> Plan:
    iteration = SOLVERS[method]
    assert isinstance(iteration, Iteration)
    return replace(
        plan,
        solver=replace(plan.solver, method=method, options=texts(iteration.defaults), iteration=iteration, **settings),
    )


def _adjoint(plan: Plan, method: str, linear: str | None = None) -> Plan:
    options = {"steps": "3", "damping": "0.5"} if method == "phantom" else {}
    solver = LINEAR_SOLVERS.get(linear or "")
    iteration = solver if isinstance(solver, Iteration) else None
    own = (
        LinearPlan(solver.name, solver.title, solver.products, False, solver.dense)
        if isinstance(solver, Linear)
        else None
    )
    adjoint = replace(
        plan.adjoint,
        method=method,
        options=options,
        linear_solver=linear,
        max_steps="40",
        linear_options={} if iteration is None else texts(iteration.defaults),
        iteration=iteration,
        linear=own,
    )
    return replace(plan, adjoint=adjoint)


SKELETON = replace(_solver(seed.PLAN, "picard"), derivatives=None)
CHAINS = replace(
    seed.PLAN,
    start="chains",
    start_body=("return torch.cat([torch.tanh(x), x.new_zeros(x.shape[0], 6)], 1)",),
    start_reads_inputs=True,
)
PLANS: dict[str, Plan] = {
    "seed": seed.PLAN,
    "conv": conv.PLAN,
    "skeleton": SKELETON,
    "newton_lu": _adjoint(seed.PLAN, "implicit", "lu"),
    "newton_lu_without_rules": _adjoint(replace(seed.PLAN, derivatives=None), "implicit", "lu"),
    "anderson_picard": _adjoint(_solver(CHAINS, "anderson"), "implicit", "picard"),
    "picard_anderson_batch": _adjoint(
        _solver(
            replace(seed.PLAN, start="step"), "picard", mode="norm", norm="rms", coupling="batch", on_failure="raise"
        ),
        "implicit",
        "anderson",
    ),
    "relative": _solver(seed.PLAN, "anderson", mode="rel", norm="l2", on_failure="ignore"),
    "jfb": _adjoint(SKELETON, "jfb"),
    "phantom": _adjoint(SKELETON, "phantom"),
    "unroll": _adjoint(_solver(seed.PLAN, "newton"), "unroll"),
    "unroll_anderson": _adjoint(_solver(SKELETON, "anderson"), "unroll"),
    "none": _adjoint(SKELETON, "none"),
}
EXACT = [name for name in PLANS if name not in ("jfb", "phantom", "none")]


def _seed_reference(model: nn.Module, x: Tensor) -> tuple[Tensor, ...]:
    """Layer by layer, unrolled with autograd."""

    def dense(path: str, v: Tensor) -> Tensor:
        return torch.tanh(model.get_submodule(path + ".dense.linear")(v))

    z = [x.new_zeros(len(x), n) for n in seed.SIZES]
    for _ in range(200):
        h = [dense("main_layers.0.sum.0", z[0]) + dense("main_layers.0.sum.1", x)]
        h += [dense(f"main_layers.{i}", z[i]) for i in (1, 2, 3)]
        zero = torch.zeros(())
        z = [h[j] + sum((dense(f"mapping_layers.{i}.{j}", h[i]) for i in range(4) if i != j), zero) for j in range(4)]
    return tuple(z)


def _conv_reference(model: nn.Module, x: Tensor) -> Tensor:
    inject = model.get_submodule("encoder.inject.conv2d")(x)
    z = torch.zeros_like(inject)
    for _ in range(200):
        c = model.get_submodule("main_layers.0.conv2d")(z)
        z = torch.relu(model.get_submodule("main_layers.0.group_norm")(c) + inject)
    output: Tensor = model.get_submodule("head.linear")((z + inject).mean((2, 3)))
    return output


def make_case(name: str, module: ModuleType) -> Case:
    """The model of a module of `PLANS`, with weights small enough to contract."""
    plan = PLANS[name]

    def model() -> nn.Module:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            made: nn.Module = getattr(module, plan.class_name)().double().eval()
        with torch.no_grad():
            for parameter, value in made.named_parameters():
                value.mul_(0.1 if "group_norm" in parameter else 0.5)
        return made

    def inputs(batch: int) -> tuple[Tensor, ...]:
        shape = (3, 6, 6) if plan.class_name == "ConvToy" else (4,)
        return (torch.randn(batch, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1)),)

    reference: Callable[..., properties.Outputs] = _conv_reference if plan.class_name == "ConvToy" else _seed_reference
    return Case(name, module, model, inputs, reference, plan.adjoint.method == "implicit")


@pytest.fixture(scope="module")
def case_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Case]:
    folder, cases = tmp_path_factory.mktemp("targets"), dict[str, Case]()

    def get(name: str) -> Case:
        if name not in cases:
            cases[name] = make_case(name, import_source(render(PLANS[name]), f"target_{name}", folder))
        return cases[name]

    return get


def parameters() -> list[Any]:
    """Every target with every property; the dear ones are left to `make test-all`."""
    iterated = ("relative", "anderson_picard", "picard_anderson_batch", "unroll", "unroll_anderson")
    dear = {
        "transforms": ("conv", "newton_lu_without_rules", *iterated),
        "gradgradcheck": iterated,
        "gradcheck": ("relative", "picard_anderson_batch", "unroll_anderson"),
        "batched_second_derivatives": ("anderson_picard", "picard_anderson_batch", "unroll_anderson"),
    }
    return [
        pytest.param(
            name,
            holds,
            id=f"{name}-{holds.__name__}",
            marks=[pytest.mark.slow] if name in dear.get(holds.__name__, ()) else [],
        )
        for name in EXACT
        for holds in properties.PROPERTIES
    ]


@pytest.mark.parametrize(("name", "holds"), parameters())
def test_property(case_of: Callable[[str], Case], name: str, holds: Callable[[Case], None]) -> None:
    holds(case_of(name))


def _weights(case: Case, batch: int) -> tuple[Any, tuple[Tensor, ...], Tensor]:
    model, inputs = case.model(), case.inputs(batch)
    with torch.no_grad():
        return model, inputs, model.pack(model.solve(*inputs).z_star)


@pytest.mark.parametrize(("name", "steps", "damping"), [("jfb", 1, 1.0), ("phantom", 3, 0.5)])
def test_surrogate_gradient(case_of: Callable[[str], Case], name: str, steps: int, damping: float) -> None:
    case = case_of(name)
    with properties.tight(case):
        model, inputs, z_star = _weights(case, 4)
        got = properties.gradients(model, inputs, model)

        def applied(*x: Tensor) -> properties.Outputs:
            z = z_star
            for _ in range(steps):
                z = z + damping * (model.step(z, *x) - z)
            return model.unpack(z)

        assert properties.apart(got, properties.gradients(model, inputs, applied)) < 1e-10
        assert torch.equal(properties.flat(model(*inputs)).detach(), z_star)


def test_none_has_no_gradient(case_of: Callable[[str], Case]) -> None:
    case = case_of("none")
    solution = case.model().solve(*case.inputs(2))
    assert not any(z.requires_grad for z in solution.z_star)
    assert all(r.requires_grad for r in solution.residual)


def test_unrolled_gradient_flows_from_the_start(case_of: Callable[[str], Case]) -> None:
    case = case_of("unroll")
    model, inputs = case.model(), case.inputs(2)
    z0 = tuple(torch.full((2, n), 0.1, dtype=torch.float64, requires_grad=True) for n in seed.SIZES)
    got = torch.autograd.grad(properties.loss(model(*inputs, z0=z0)), z0)
    assert all(bool(g.abs().max() > 0) for g in got)


@pytest.mark.parametrize("singular", [True, False])
def test_newton_stalls_where_it_cannot_move(case_of: Callable[[str], Case], singular: bool) -> None:
    def shifted(z: Tensor) -> Tensor:
        return torch.cat([z[:, :1] + 1 if singular else 0.5 * z[:, :1] + 1, 0.5 * z[:, 1:]], 1)

    z, record = case_of("seed").module.fixed_point(shifted, torch.ones(2, 3).double())
    assert record.status.tolist() == [2 if singular else 0] * 2
    assert bool(z.isfinite().all())


def test_the_backward_of_a_singular_system_says_so(case_of: Callable[[str], Case]) -> None:
    module = case_of("newton_lu").module
    a = torch.eye(3).double().expand(2, 3, 3).clone()
    a[1, 2, 2] = 0
    x, record = solved(module, torch.ones(2, 3).double(), lambda _: module._lu(a, torch.ones(2, 3).double()))
    assert record.status.tolist()[0] == 0
    assert record.status.tolist()[1] != 0
    assert torch.equal(module._lu(a, torch.zeros(2, 3).double())[0], torch.zeros(2, 3).double())
    assert module._lu(a.half(), torch.ones(2, 3).half())[0].dtype == torch.float16
    assert torch.equal(x[0], torch.ones(3).double())


def test_anderson_is_as_exact_as_the_numbers(case_of: Callable[[str], Case]) -> None:
    case = case_of("relative")
    generator = torch.Generator().manual_seed(0)
    a = torch.linalg.qr(torch.randn(40, 40, dtype=torch.float64, generator=generator))[0] * 0.9
    with properties.constants(case.module, RTOL=1e-12, MAX_STEPS=400):
        z, record = case.module.fixed_point(lambda z: torch.tanh(z @ a) + 0.5, torch.zeros(3, 40).double())
    assert record.status.tolist() == [0] * 3
    assert float((torch.tanh(z @ a) + 0.5 - z).abs().max()) < 1e-12


@pytest.mark.slow
@pytest.mark.parametrize("holds", properties.COMPILED, ids=lambda p: p.__name__)
@pytest.mark.parametrize("name", ["seed", "conv", "skeleton", "newton_lu_without_rules", "anderson_picard"])
def test_compiled(
    case_of: Callable[[str], Case], request: pytest.FixtureRequest, name: str, holds: Callable[[Case], None]
) -> None:
    if (name, holds) == ("newton_lu_without_rules", properties.exported):  # tells when torch has learnt it
        reason = "torch 2.13 exports no derivative of its own making in a loop"
        request.applymarker(pytest.mark.xfail(reason=reason, raises=RuntimeError, strict=True))
    holds(case_of(name))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "steps"), [("picard_anderson_batch", 100), ("jfb", 100), ("phantom", 100), ("unroll", 16)]
)
def test_compiled_gradients(case_of: Callable[[str], Case], name: str, steps: int) -> None:
    """Of solves that end; the steps of an unrolled one are all traced, whether it takes them or not."""
    with properties.constants(case_of(name).module, MAX_STEPS=steps):
        properties.compiled_gradients(case_of(name))


def test_lint(tmp_path: Path) -> None:
    paths = [tmp_path / f"{name}.py" for name in PLANS]
    for path, plan in zip(paths, PLANS.values(), strict=True):
        path.write_text(render(plan), encoding="utf-8")
    properties.lint(*paths)
