"""The templates print, from plans filled by hand, modules for which the properties hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor, nn

from deqc.emit.plan import Plan
from deqc.emit.render import render
from tests import properties
from tests.properties import Case, import_source
from tests.targets import conv, seed


def _solver(plan: Plan, method: str, **settings: str) -> Plan:
    options = {
        "picard": {"damping": "1.0"},
        "anderson": {"history": "5", "ridge": "1e-4", "damping": "1.0"},
        "newton": {},
    }
    return replace(plan, solver=replace(plan.solver, method=method, options=options[method], **settings))


def _adjoint(plan: Plan, method: str, linear: str | None = None) -> Plan:
    options = {"steps": "3", "damping": "0.5"} if method == "phantom" else {}
    linear_options = {
        "picard": {"damping": "1.0"},
        "anderson": {"history": "5", "ridge": "1e-4", "damping": "1.0"},
    }.get(linear or "", {})
    adjoint = replace(
        plan.adjoint, method=method, options=options, linear_solver=linear, max_steps="40", linear_options=linear_options
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
        _solver(replace(seed.PLAN, start="step"), "picard", mode="norm", norm="rms", coupling="batch", on_failure="raise"),
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
    # torch's forward mode of group_norm does not take channels-last images
    return Case(
        name, module, model, inputs, reference, plan.adjoint.method == "implicit", plan.class_name != "ConvToy"
    )


@pytest.fixture(scope="module")
def case_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Case]:
    folder, cases = tmp_path_factory.mktemp("targets"), dict[str, Case]()

    def get(name: str) -> Case:
        if name not in cases:
            cases[name] = make_case(name, import_source(render(PLANS[name]), f"target_{name}", folder))
        return cases[name]

    return get


@pytest.mark.parametrize("holds", properties.PROPERTIES, ids=lambda p: p.__name__)
@pytest.mark.parametrize("name", EXACT)
def test_property(case_of: Callable[[str], Case], name: str, holds: Callable[[Case], None]) -> None:
    holds(case_of(name))


def test_lint(tmp_path: Path) -> None:
    paths = [tmp_path / f"{name}.py" for name in PLANS]
    for path, plan in zip(paths, PLANS.values(), strict=True):
        path.write_text(render(plan), encoding="utf-8")
    properties.lint(*paths)
