"""The integrators of torchdiffeq: their names, what they compute, what they cost, and what they cannot."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any, cast

import pytest
import torch
from torch import Tensor

import deqc
from deqc.compiler import compile_text
from deqc.explain import explain
from deqc.loading import import_source
from deqc.solvers.torchdiffeq import INTEGRATORS, PREFIX, Integrator
from tests.solvers.linear import linear
from tests.solvers.mixed import mixed
from tests.solvers.modules import SPEC, module

F64 = torch.float64
each = pytest.mark.parametrize("integrator", INTEGRATORS, ids=lambda one: one.integrator)
MINE = "write `tsit5`, which is deqc's own; torchdiffeq 0.2.5 has dopri8, dopri5, "


@pytest.fixture
def installed() -> ModuleType:
    """torchdiffeq, of which the extra `torchdiffeq` is made."""
    return importlib.import_module("torchdiffeq")


def options(integrator: Integrator, **settings: object) -> dict[str, object]:
    """Of these settings those that the method has."""
    return {name: value for name, value in settings.items() if name in integrator.defaults}


def tolerance(integrator: Integrator) -> float:
    """To which it solves in little time: its steps follow a fraction of it."""
    return {"fehlberg2": 1e-3, "adaptive_heun": 1e-4, "bosh3": 1e-6}.get(integrator.integrator, 1e-8)


def solver(integrator: Integrator, **settings: object) -> ModuleType:
    """A module with it, to its tolerance unless `settings` say otherwise."""
    ours = {"atol": tolerance(integrator), "max_steps": 300, "on_failure": "ignore"}
    return module(integrator.name, **{**ours, **settings})


# ---- without torchdiffeq


@pytest.mark.parametrize(
    ("name", "hint"), [("tsit5", MINE), ("dopry5", "did you mean 'torchdiffeq.dopri5'? torchdiffeq 0.2.5 has")]
)
@pytest.mark.parametrize("form", ["{}", "{{method: {}}}"])
def test_an_unknown_name_is_refused(name: str, hint: str, form: str) -> None:
    with pytest.raises(deqc.SpecError) as fault:
        deqc.compile(SPEC.format(solver=form.format(PREFIX + name), adjoint="implicit"))
    (told,) = fault.value.diagnostics
    assert told.code == "E024"
    assert (told.hint or "").startswith(hint)


def test_scipys_steps_cannot_be_unrolled() -> None:
    with pytest.raises(deqc.SpecError) as fault:
        deqc.compile(SPEC.format(solver="torchdiffeq.scipy_solver", adjoint="unroll"))
    assert [one.code for one in fault.value.diagnostics] == ["E083"]


def test_explain_tells_what_it_cannot() -> None:
    told = explain(compile_text(SPEC.format(solver="torchdiffeq.dopri5", adjoint="implicit"), "m.yaml"))
    assert "torch.compile(fullgraph=True), torch.export and vmap refuse torchdiffeq.dopri5" in told
    assert "depends on its mates" in told
    told = explain(compile_text(SPEC.format(solver="torchdiffeq.euler", adjoint="implicit"), "m.yaml"))
    assert "refuse torchdiffeq.euler" in told
    assert "depends on its mates" not in told


def test_no_other_module_knows_of_it() -> None:
    assert "torchdiffeq" not in compile_text(SPEC.format(solver="dopri5", adjoint="implicit"), "m.yaml").source


def test_where_it_is_missing_the_module_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchdiffeq", None)
    source = compile_text(SPEC.format(solver="torchdiffeq.heun3", adjoint="implicit"), "m.yaml").source
    with pytest.raises(ImportError, match="Bed solves by torchdiffeq, which is missing: pip install torchdiffeq"):
        import_source(source, "without")


# ---- with it


def test_the_names_are_those_of_the_package(installed: ModuleType) -> None:
    implementation = importlib.import_module("torchdiffeq._impl.odeint")  # no public name has them
    assert [one.integrator for one in INTEGRATORS] == list(implementation.SOLVERS)


@each
@pytest.mark.filterwarnings("ignore:Functional iteration")
def test_solves_a_linear_map_and_counts_every_evaluation(integrator: Integrator, installed: ModuleType) -> None:
    f = linear("contractive")
    calls = 0

    def counted(z: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        return f(z)

    z, record = solver(integrator).fixed_point(counted, torch.zeros_like(f.b))
    assert record.status.tolist() == [0] * 5
    torch.testing.assert_close(z, f.solution, rtol=0, atol=20 * tolerance(integrator))
    assert int(record.calls) == int(record.nfe.max()) == calls
    assert bool((record.njvp == 0).all())


@each
def test_follows_the_equation(integrator: Integrator, installed: ModuleType) -> None:
    """z(t) = z* + exp(t (A - I)) (z0 - z*) of a linear map, after one interval."""
    f = linear("contractive")
    z0 = torch.ones_like(f.b)
    tight = {"fehlberg2": 1e-8, "adaptive_heun": 1e-7}.get(integrator.integrator, 1e-9)
    small = options(integrator, interval=0.75, step_rtol=tight, step_atol=tight, step_size=0.02, max_num_steps=10**6)
    z, record = solver(integrator, max_steps=1, **small).fixed_point(f, z0)
    assert record.steps.tolist() == [1] * 5
    flow = torch.linalg.matrix_exp(0.75 * (f.a - torch.eye(f.a.shape[1], dtype=F64)))
    expected = f.solution + (flow @ (z0 - f.solution).unsqueeze(2)).squeeze(2)
    error = {"euler": 0.05, "midpoint": 1e-3, "heun2": 1e-3}.get(integrator.integrator, 1e-4)
    torch.testing.assert_close(z, expected, rtol=0, atol=error)
    if "step_size" in integrator.defaults:
        assert not torch.allclose(z, expected, rtol=0, atol=1e-13), "steps of one size have an error"


@pytest.mark.parametrize(("name", "evaluations"), [("euler", 1), ("heun2", 2), ("rk4", 4)])
def test_steps_of_one_size_are_those_of_deqc(name: str, evaluations: int, installed: ModuleType) -> None:
    """On a linear map methods of as many stages as their order are one; each step also looks at f behind it."""
    f = linear("contractive")
    own = module({"heun2": "heun"}.get(name, name), atol=1e-8, max_steps=300, on_failure="ignore")
    z, record = own.fixed_point(f, torch.zeros_like(f.b))
    other, other_record = module(PREFIX + name, atol=1e-8, max_steps=300, on_failure="ignore").fixed_point(
        f, torch.zeros_like(f.b)
    )
    torch.testing.assert_close(other, z, rtol=0, atol=1e-9)
    assert torch.equal(other_record.steps, record.steps)
    assert torch.equal(other_record.nfe, 1 + (evaluations + 1) * record.steps)


def test_dopri5_is_where_that_of_deqc_is(installed: ModuleType) -> None:
    f = linear("rotating")
    found = [module(name, atol=1e-8, max_steps=300).fixed_point(f, f.b) for name in ("dopri5", "torchdiffeq.dopri5")]
    assert [record.status.tolist() for _, record in found] == [[0] * 5] * 2
    torch.testing.assert_close(found[1][0], found[0][0], rtol=0, atol=1e-7)


@each
@pytest.mark.parametrize(
    ("dtype", "atol", "batch"),
    [(F64, 1e-4, 0), (F64, 1e-4, 1), (torch.float32, 1e-4, 3), (torch.bfloat16, 3e-2, 0), (torch.bfloat16, 3e-2, 3)],
    ids=str,
)
def test_dtypes_and_batches(
    integrator: Integrator, dtype: torch.dtype, atol: float, batch: int, installed: ModuleType
) -> None:
    f = mixed(" ".join(["easy"] * batch), dtype)
    z, record = solver(integrator, atol=atol).fixed_point(f, f.z0)
    assert z.dtype == record.residual_norm.dtype == dtype
    assert record.status.tolist() == [0] * batch
    assert z.shape == f.z0.shape
    assert bool((f.residual(z) <= 1.01 * atol).all())


@each
def test_samples_that_are_not_finite_end_alone(integrator: Integrator, installed: ModuleType) -> None:
    f = mixed("easy infinite solved nan easy")
    z, record = solver(integrator).fixed_point(f, f.z0)
    assert record.status.tolist() == [0, 4, 0, 4, 0]
    assert record.steps[[1, 2, 3]].tolist() == [0, 0, 0]
    assert torch.equal(z[1:3], f.z0[1:3])


def test_mates_share_steps(installed: ModuleType) -> None:
    """What explain and the documentation tell of methods that choose their steps."""
    f = mixed("easy hard")
    alone = f.at([0])
    made = module("torchdiffeq.dopri5", atol=1e-6, max_steps=100, on_failure="ignore")
    together, by_itself = (made.fixed_point(one, one.z0)[0][0] for one in (f, alone))
    assert not torch.equal(together, by_itself)
    torch.testing.assert_close(together, by_itself, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("settings", "f"),
    [
        ({}, lambda z: z + z * z),  # grows beyond all bounds at t = 1: torchdiffeq's step underflows
        ({"max_num_steps": 2, "step_rtol": 1e-9}, torch.cos),
    ],
)
def test_what_torchdiffeq_gives_up_on_stalls(settings: dict[str, object], f: Any, installed: ModuleType) -> None:
    z0 = torch.ones(2, 1, dtype=F64)
    made = module("torchdiffeq.dopri5", atol=1e-6, on_failure="warn", **settings)
    z, record = made.fixed_point(f, z0)
    assert record.status.tolist() == [2, 2]
    assert torch.equal(z, z0)


def model(method: str, adjoint: str, atol: float = 1e-8) -> Any:
    """A model with that solver, with the same weights at every call."""
    text = SPEC.format(solver=f"{{method: {method}, atol: {atol}, max_steps: 300}}", adjoint=adjoint)
    torch.manual_seed(0)
    return import_source(compile_text(text, "bed.yaml").source, "bed").Bed().double()


def gradients(made: Any, run: Any) -> list[Tensor]:
    """Of every weight."""
    x = torch.linspace(-1, 1, 8, dtype=F64).reshape(4, 2)
    return list(torch.autograd.grad(run(x).square().sum(), list(made.parameters())))


@each
@pytest.mark.filterwarnings("ignore:Functional iteration")
def test_gradients(integrator: Integrator, installed: ModuleType) -> None:
    """Those of the solution, whichever solver finds it, and by autograd through its steps."""
    other, atol = model("newton", "{linear_solver: lu}"), tolerance(integrator)
    expected = gradients(other, other)
    made = model(integrator.name, "{linear_solver: lu}", atol)
    torch.testing.assert_close(gradients(made, made), expected, rtol=0, atol=30 * atol)
    if integrator.differentiable:
        made = model(integrator.name, "unroll", atol)
        torch.testing.assert_close(gradients(made, made), expected, rtol=0, atol=1e3 * atol)


def test_torch_compile_refuses_it_whole_and_goes_round_it_else(installed: ModuleType) -> None:
    made = model("torchdiffeq.bosh3", "{linear_solver: lu}")
    x = torch.zeros(2, 2, dtype=F64)
    with pytest.raises(torch._dynamo.exc.Unsupported, match="torchdiffeq decides by the values of tensors"):
        cast(Any, torch.compile(made, fullgraph=True))(x)
    torch._dynamo.reset()


@pytest.mark.slow
def test_compiled_around_it(installed: ModuleType) -> None:
    made = model("torchdiffeq.bosh3", "{linear_solver: lu}")
    around = cast(Any, torch.compile(made))
    torch.testing.assert_close(gradients(made, around), gradients(made, made), rtol=1e-9, atol=1e-10)
    torch._dynamo.reset()
