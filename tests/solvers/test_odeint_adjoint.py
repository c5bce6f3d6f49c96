"""torchdiffeq's odeint_adjoint behind its integrators: gradients of a neural ODE's equation, and what it refuses."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torchdiffeq
from torch import Tensor

import deqc
from deqc.compiler import compile_text
from deqc.explain import explain
from deqc.loading import import_source
from deqc.solvers.torchdiffeq import INTEGRATORS, PREFIX, Integrator
from tests.own_modules import own_modules
from tests.properties import apart, gradients, loss, pieces
from tests.solvers import test_refused as refused
from tests.solvers.small import inputs, model_of, module_of, output, text_of
from tests.solvers.test_nobody_asks import BATCH, PRODUCT, calls_of_f, flops_of_backward, kept

F64 = torch.float64
TIGHT = {"atol": 1e-10, "rtol": 1e-10}
DOPRI5 = {"method": "torchdiffeq.dopri5", **TIGHT}
FINE = {"method": "rk4", "step_size": 0.005}
ON_THE_WAY = "time: {start: -0.5, stop: 1.0, saveat: [-0.5, 0.2, 1.0]}\n"
# What integrators of low order get to in little time.
TOLERANCE = {"bosh3": 1e-6, "fehlberg2": 1e-6, "adaptive_heun": 1e-6}
WITHIN = {"euler": 0.1, "midpoint": 1e-3, "heun2": 1e-3, "bosh3": 1e-3, "fehlberg2": 3e-3, "adaptive_heun": 1e-3}
WITHIN |= {"heun3": 1e-4, "dopri8": 1e-4, "explicit_adams": 2e-4, "implicit_adams": 1e-5, "fixed_adams": 1e-5}
each = pytest.mark.parametrize("integrator", INTEGRATORS, ids=lambda one: one.integrator)


def text(solver: object = DOPRI5, adjoint: object = "odeint_adjoint", more: str = "", scales: str = "multi") -> str:
    """A small neural ODE whose start depends on x."""
    return text_of(solver, adjoint, scales, "chain", "neural_ode") + more


def settings(integrator: Integrator) -> dict[str, object]:
    """Settings of a solver that is to be accurate."""
    if "step_size" in integrator.defaults:
        return {"method": integrator.name, "step_size": 0.02, **TIGHT}
    tolerance = TOLERANCE.get(integrator.integrator, 1e-10)
    return {"method": integrator.name, "atol": tolerance, "rtol": tolerance}


def everything(model: Any, *given: Tensor) -> tuple[Tensor, ...]:
    """The state at the end and at each of the times that are saved."""
    solution = model.solve(*given)
    along = () if solution.trajectory is None else tuple(one.flatten(1) for one in solution.trajectory)
    return (*solution.z_star, *along)


def of(model: Any, x: Tensor) -> list[Tensor]:
    """Gradients of all of these, by x and by every parameter."""
    return list(gradients(model, (x,), lambda *given: everything(model, *given)))


# ---- gradients


@each
def test_gradients_are_those_of_a_fine_integration(integrator: Integrator) -> None:
    """Of states on the way, of the start, of inputs and parameters."""
    found = of(model_of(text(settings(integrator), more=ON_THE_WAY)), inputs(3))
    expected = of(model_of(text(FINE, "discrete", ON_THE_WAY)), inputs(3))
    assert apart(found, expected) < WITHIN.get(integrator.integrator, 1e-7)


@pytest.mark.parametrize(
    "other", [(DOPRI5, "discrete"), ({"method": "tsit5", **TIGHT}, "gauss")], ids=lambda one: one[1]
)
def test_gradients_are_those_of_other_adjoints(other: tuple[object, object]) -> None:
    """Of backpropagation through the steps of torchdiffeq.odeint, and of deqc's own."""
    found, expected = of(model_of(text(more=ON_THE_WAY)), inputs(3)), of(model_of(text(*other, ON_THE_WAY)), inputs(3))
    assert apart(found, expected) < 2e-8


def test_gradients_are_those_of_torchdiffeq_called_by_hand() -> None:
    """With the model's f as a layer that torchdiffeq finds the parameters of, and x as one of its parameters."""
    model, x = model_of(text()), inputs(3)

    class Rate(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model, self.x = model, torch.nn.Parameter(x.clone())

        def forward(self, _t: Tensor, z: Tensor) -> Tensor:
            rate: Tensor = model.step(z, self.x) - z
            return rate

    rate = Rate()
    z0 = model.pack(model.solve(rate.x).u0)
    times = torch.tensor([0.0, 1.0], dtype=F64)
    by_hand = torchdiffeq.odeint_adjoint(rate, z0, times, rtol=1e-10, atol=1e-10)[-1]
    wanted = [rate.x, *model.parameters()]
    expected = torch.autograd.grad(by_hand.sin().sum(), wanted)
    leaf = x.clone().requires_grad_()
    found = torch.autograd.grad(output(model, leaf).sin().sum(), [leaf, *model.parameters()])
    assert apart(list(found), list(expected)) < 1e-9


LINEAR = "scale: [3]\nmain_layers: [{linear: 3}]\ninit: [$x]\n"


@pytest.mark.parametrize("dynamics", ["residual", "derivative"])
def test_a_linear_equation_has_an_adjoint_in_closed_form(dynamics: str) -> None:
    """z' = A z + b from x: z(t) = exp(A t) x + A^-1 (exp(A t) - 1) b."""
    time = f"time: {{start: 1, stop: 2.5, dynamics: {dynamics}, saveat: [1.5, 2.5]}}\n"
    model = model_of(text_of(DOPRI5, "odeint_adjoint", LINEAR, kind="neural_ode") + time)
    layer, eye = model.main_layers["0"]["linear"], torch.eye(3, dtype=F64)
    x = inputs(4).requires_grad_()

    def exact(t: float) -> Tensor:
        a = layer.weight - (eye if dynamics == "residual" else 0.0)
        power = torch.linalg.matrix_exp(a * t)
        end: Tensor = x @ power.T + torch.linalg.solve(a, (power - eye) @ layer.bias)
        return end

    solution, true = model.solve(x), torch.stack([exact(0.5), exact(1.5)], 1)
    assert apart([solution.trajectory], [true]) < 1e-9
    wanted = [x, *model.parameters()]
    for found, expected in ((solution.z_star, true[:, 1]), (solution.trajectory, true)):
        got = torch.autograd.grad(loss(found), wanted, retain_graph=True)
        assert apart(got, torch.autograd.grad(loss(expected), wanted, retain_graph=True)) < 1e-8


def test_a_rate_that_depends_on_the_time() -> None:
    """z' = a cos(t) z, the time as a scale of its own: z(t) = z(0) exp(a sin t)."""
    clock = "scales: [[1], [1]]\nparameters: {a: [1]}\ninit: [[$x, {slice: {stop: 1}}], null]\n"
    clock += "main_layers: [{mul: [identity, $a, [$z.1, cos]]}, [{times: 0}, {plus: 1}]]\n"
    clock += "mapping_layers: [[identity, null], [null, identity]]\n"
    time = "time: {stop: 2, dynamics: derivative}\n"
    model = model_of(text_of(DOPRI5, "odeint_adjoint", clock, kind="neural_ode") + time)
    (a,) = model.parameters()
    x = inputs(3).requires_grad_()
    expected = x[:, :1] * torch.exp(a * math.sin(2.0))
    found = model(x)[0]
    assert apart([found], [expected]) < 1e-8
    got, true = (torch.autograd.grad(loss(z), [x, a]) for z in (found, expected))
    assert apart(got, true) < 1e-8


def test_gradcheck() -> None:
    function = refused.number(lambda x: output(model_of(text(scales="single")), x))
    assert torch.autograd.gradcheck(function, (inputs().requires_grad_(),))


def test_gradients_by_the_start() -> None:
    model, other = model_of(text()), model_of(text(FINE, "discrete"))
    x = inputs(2)
    z0 = tuple(torch.randn(2, n, dtype=F64, requires_grad=True) for n in (3, 2))
    found, expected = (torch.autograd.grad(loss(one(x, z0=z0)), z0) for one in (model, other))
    assert apart(found, expected) < 1e-8


def test_parameters_of_a_module_of_the_user() -> None:
    """deqc does not see into it; its parameters are among what f reads."""
    body = "modules: {cell: same}\nscale: [3]\nmain_layers: [{cell: [identity, $x]}]\n"
    found = []
    for solver, adjoint in ((DOPRI5, "odeint_adjoint"), (FINE, "discrete")):
        compilation = compile_text(text_of(solver, adjoint, body, kind="neural_ode"), "m.yaml")
        torch.manual_seed(0)
        model = import_source(compilation.source, "m").M(**own_modules(compilation)).double()
        x = inputs(3)
        found.append(gradients(model, (x,), model))
    assert len(found[0]) > 2
    assert apart(*found) < 1e-8


@pytest.mark.parametrize("scale", [1e-9, 1e9])
def test_the_scale_of_the_loss_changes_nothing(scale: float) -> None:
    model, x = model_of(text({"method": "torchdiffeq.dopri5"})), inputs(3)
    wanted = list(model.parameters())
    one, other = (torch.autograd.grad(k * loss(model(x)), wanted) for k in (1.0, scale))
    assert apart([g / scale for g in other], one) < 1e-12


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_dtypes(dtype: torch.dtype) -> None:
    tolerance = 1e-6 if dtype == torch.float32 else 1e-3
    solver = {"method": "torchdiffeq.dopri5", "atol": tolerance, "rtol": tolerance}
    model, x = model_of(text(solver)).to(dtype), inputs(3).to(dtype).requires_grad_()
    found = torch.autograd.grad(output(model, x).float().square().sum(), [x, *model.parameters()])
    assert {one.dtype for one in found} == {dtype}
    exact, leaf = model_of(text()), inputs(3).requires_grad_()
    expected = torch.autograd.grad(output(exact, leaf).square().sum(), [leaf, *exact.parameters()])
    assert apart([one.double() for one in found], expected) < (1e-4 if dtype == torch.float32 else 5e-2)


def test_an_empty_batch() -> None:
    model = model_of(text(more=ON_THE_WAY))
    torch.autograd.backward(torch.cat([one.flatten() for one in everything(model, inputs(0))]).sum())
    assert not any(p.grad is not None and p.grad.any() for p in model.parameters())


# ---- what torchdiffeq is given


HANDED: list[tuple[dict[str, object], dict[str, object], dict[str, object]]] = [
    ({"method": "dopri5"}, {}, {}),
    ({"method": "dopri5"}, {"step_rtol": 1e-5, "step_atol": 1e-6}, {"adjoint_rtol": 1e-5, "adjoint_atol": 1e-6}),
    ({"method": "dopri5"}, {"norm": "seminorm"}, {"adjoint_options": {"max_num_steps": 1000, "norm": "seminorm"}}),
    ({"method": "dopri5"}, {"max_num_steps": 50}, {"adjoint_options": {"max_num_steps": 50}}),
    ({"method": "rk4", "step_size": 0.25}, {"step_size": 0.125}, {"adjoint_options": {"step_size": 0.125}}),
    ({"method": "dopri5"}, {"integrator": "rk4"}, {"adjoint_method": "rk4", "adjoint_options": {"step_size": 0.1}}),
    (
        {"method": "rk4", "rtol": 1e-4, "atol": 1e-5},
        {"integrator": "bosh3"},
        {
            "adjoint_method": "bosh3",
            "adjoint_rtol": 1e-4,
            "adjoint_atol": 1e-5,
            "adjoint_options": {"max_num_steps": 1000},
        },
    ),
    (
        {"method": "explicit_adams", "step_size": 0.05, "max_order": 6},
        {"max_order": 5},
        {"adjoint_options": {"step_size": 0.05, "max_order": 5}},
    ),
    ({"method": "scipy_solver"}, {"algorithm": "RK45"}, {"adjoint_options": {"solver": "RK45"}}),
]


@pytest.mark.parametrize(("solver", "adjoint", "expected"), HANDED)
def test_settings_are_handed_over(
    solver: dict[str, object],
    adjoint: dict[str, object],
    expected: dict[str, object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is not written is left to torchdiffeq, which takes it from the way forth."""
    spec = text({**solver, "method": f"{PREFIX}{solver['method']}"}, {"method": "odeint_adjoint", **adjoint})
    module, model, given = module_of(spec), model_of(spec), dict[str, Any]()

    def spy(*arguments: Any, **named: Any) -> Any:
        given.update(named)
        return torchdiffeq.odeint_adjoint(*arguments, **named)

    monkeypatch.setattr(module, "odeint_adjoint", spy)
    x = inputs(2)
    found = gradients(model, (x,), model)
    handed = {name: value for name, value in given.items() if name.startswith("adjoint_") and name != "adjoint_params"}
    assert handed == expected
    assert given["method"] == solver["method"]
    exact = model_of(text())
    assert apart(found, gradients(exact, (x,), exact)) < 1e-2


def test_the_seminorm_takes_fewer_steps() -> None:
    """Here f has many weights, whose integrals change fast."""
    counts = []
    for norm in ("mixed", "seminorm"):
        model = model_of(text({**DOPRI5, "rtol": 1e-6, "atol": 1e-6}, {"method": "odeint_adjoint", "norm": norm}))
        solution = model.solve(30 * inputs(8))
        loss(solution.z_star).backward()
        counts.append(int(solution.original.adjoint.nfe[0]))
    assert counts[1] < counts[0]


def test_eval_mode_goes_back_as_it_went_forth() -> None:
    model = model_of(text({**DOPRI5, "eval": {"rtol": 1e-4, "atol": 1e-4}}))
    counts = []
    for training in (True, False):
        solution = model.train(training).solve(inputs(2))
        loss(solution.z_star).backward()
        counts.append(int(solution.original.adjoint.nfe[0]))
    assert counts[0] > 2 * counts[1]


# ---- what is refused


def refusal(solver: str, adjoint: object) -> Any:
    """The one diagnostic."""
    with pytest.raises(deqc.SpecError) as fault:
        deqc.compile(text(solver, adjoint))
    (told,) = fault.value.diagnostics
    return told


@pytest.mark.parametrize("solver", ["auto", "tsit5", "rk4"])
def test_solvers_of_deqc_are_refused(solver: str) -> None:
    told = refusal(solver, "odeint_adjoint")
    assert told.code == "E083"
    assert "odeint_adjoint is torchdiffeq's" in told.message
    assert "adjoint: backsolve" in (told.hint or "")


@pytest.mark.parametrize(
    ("solver", "option"),
    [
        ("torchdiffeq.rk4", {"step_rtol": 1e-3}),
        ("torchdiffeq.rk4", {"norm": "seminorm"}),
        ("torchdiffeq.dopri5", {"step_size": 0.1}),
        ("torchdiffeq.dopri5", {"integrator": "euler", "max_num_steps": 10}),
        ("torchdiffeq.euler", {"integrator": "dopri5", "max_order": 5}),
        ("torchdiffeq.implicit_adams", {"algorithm": "BDF"}),
    ],
)
def test_options_that_the_integrator_has_no_use_for_are_refused(solver: str, option: dict[str, object]) -> None:
    told = refusal(solver, {"method": "odeint_adjoint", **option})
    assert told.code == "E080"
    assert "by which odeint_adjoint goes back" in told.message


def test_an_equilibrium_is_refused() -> None:
    with pytest.raises(deqc.SpecError) as fault:
        deqc.compile(text_of("torchdiffeq.dopri5", "odeint_adjoint"))
    assert [one.code for one in fault.value.diagnostics] == ["E084"]


VMAPPED = "over vmap, under no_grad"


@pytest.mark.parametrize("way", [way for way in refused.FORWARD if way != VMAPPED])
def test_forward_mode_is_refused(way: str) -> None:
    with pytest.raises(RuntimeError, match="the adjoint odeint_adjoint has no forward mode: discrete has"):
        refused.FORWARD[way](function(), inputs())


@pytest.mark.parametrize("way", refused.SECOND)
def test_second_derivatives_are_refused(way: str) -> None:
    with pytest.raises(RuntimeError, match="the adjoint odeint_adjoint has first derivatives alone"):
        refused.SECOND[way](function(), inputs())


def test_a_gradient_beside_another_path_is_no_constant_either() -> None:
    """A penalty on a gradient depends on the weights by the head too: torch alone would leave a part out silently."""
    model, x = model_of(text(scales="single") + "head: [{linear: 1}]\n"), inputs().requires_grad_()
    (first,) = torch.autograd.grad(model(x).sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="the adjoint odeint_adjoint has first derivatives alone"):
        first.square().sum().backward()


def function() -> refused.Function:
    """x -> the state at the end."""
    model = model_of(text())
    return lambda x: output(model, x)


@pytest.mark.parametrize("context", [contextlib.nullcontext, torch.no_grad])
def test_vmap_is_refused(context: Callable[[], Any]) -> None:
    with context(), pytest.raises(RuntimeError, match="the adjoint odeint_adjoint has no vmap: torchdiffeq decides"):
        torch.func.vmap(refused.alone(function()))(inputs())
    with pytest.raises(RuntimeError, match="the adjoint odeint_adjoint has no vmap: torchdiffeq decides"):
        torch.func.vmap(torch.func.grad(refused.number(refused.alone(function()))))(inputs())


def test_cotangents_in_a_batch() -> None:
    """torch.func.jacrev has them, one after the other; autograd's own way of batching them runs no integrator."""
    g, x = function(), inputs().requires_grad_()
    y = g(x)
    cotangents = torch.eye(y.numel(), dtype=F64).view(-1, *y.shape)
    rows = torch.stack([torch.autograd.grad(y, x, one, retain_graph=True)[0] for one in cotangents])
    assert float(rows.abs().max()) > 0.1
    assert apart([torch.func.jacrev(g)(x.detach()).view_as(rows)], [rows]) < 1e-12
    with pytest.raises(RuntimeError, match="the adjoint odeint_adjoint has no batched gradients"):
        torch.autograd.grad(y, x, cotangents, is_grads_batched=True)


def test_the_gradient_of_torch_func() -> None:
    """By x alone, which no tensor tells there, and by the parameters."""
    model, x = model_of(text(more=ON_THE_WAY)), inputs(2)
    leaf = x.clone().requires_grad_()
    found = torch.func.grad(lambda one: loss(everything(model, one)))(x)
    assert apart([found], torch.autograd.grad(loss(everything(model, leaf)), leaf)) < 1e-14
    named = {name: p.detach() for name, p in model.named_parameters()}

    def of_parameters(parameters: dict[str, Tensor]) -> Tensor:
        return loss(torch.func.functional_call(model, parameters, (x,)))

    expected = torch.autograd.grad(loss(model(x)), list(model.parameters()))
    assert apart(list(torch.func.grad(of_parameters)(named).values()), expected) < 1e-14


def test_torch_compile_goes_round_it() -> None:
    model, x = model_of(text()), inputs(2)
    torch._dynamo.reset()
    whole: Any = torch.compile(model, backend="eager", fullgraph=True)
    with pytest.raises(torch._dynamo.exc.Unsupported, match="torchdiffeq decides by the values of tensors"):
        whole(x)
    torch._dynamo.reset()
    around: Any = torch.compile(model, backend="eager")
    assert apart(gradients(model, (x,), around), gradients(model, (x,), model)) < 1e-14
    torch._dynamo.reset()


# ---- the record, and what a backward pass costs


def test_the_way_back_is_on_record() -> None:
    spec = text(more=ON_THE_WAY)
    model = model_of(spec)
    with calls_of_f(module_of(spec)) as calls:
        solution = model.solve(inputs(3))
        forth = calls[0]
        assert solution.original.adjoint is None
        loss(pieces(solution.trajectory)).backward()
    record: Any = solution.original.adjoint
    assert record.status.tolist() == [0, 0, 0]
    assert record.steps.tolist() == [2, 2, 2]  # one to each of the times
    assert record.nfe.tolist() == record.njvp.tolist() == [calls[0] - forth] * 3
    assert record.residual_norm.tolist() == [0.0] * 3


def stiff(on_failure: str) -> tuple[Any, Tensor]:
    """A model that goes back in fewer steps than it may take, and what it is asked about."""
    model = model_of(text({**DOPRI5, "on_failure": on_failure}, {"method": "odeint_adjoint", "max_num_steps": 1}))
    return model, inputs(2).requires_grad_()


def test_a_way_back_that_torchdiffeq_gives_up_has_no_gradient() -> None:
    model, x = stiff("warn")
    solution = model.solve(x)
    with pytest.warns(
        UserWarning, match=r"backward solve missed t = 0\.0 on 2 of 2 samples \(2 stalled\).*no gradient"
    ):
        loss(solution.z_star).backward()
    record = solution.original.adjoint
    assert record.status.tolist() == [2, 2]
    assert record.residual_norm.tolist() == [1.0, 1.0]
    assert all(bool(p.grad.isnan().all()) for p in (x, *model.parameters()))
    model, x = stiff("raise")
    with pytest.raises(RuntimeError, match="the backward solve missed"):
        loss(model(x)).backward()
    model, x = stiff("ignore")
    loss(model(x)).backward()


STEEP = """
deqc: 1
name: M
kind: neural_ode
input: {x: [2]}
scale: [2]
init: [$x]
time: {stop: 2, dynamics: derivative}
main_layers: [{mul: [identity, identity]}, {times: -1.0}]
solver: {method: torchdiffeq.%s, atol: 0.3, rtol: 0.3, on_failure: ignore}
adjoint: %s
"""
BACK = "{method: odeint_adjoint, integrator: scipy_solver, algorithm: BDF}"
IVP = pytest.mark.filterwarnings("ignore:The following arguments have no effect for a chosen solver")


def steep(solver: str, adjoint: str = "odeint_adjoint", start: float = 3.0) -> tuple[Any, Tensor]:
    """z' = -z^2, whose way back grows, or leaves all bounds, in steps that are too rough for it."""
    return model_of(STEEP % (solver, adjoint)), torch.full((3, 2), start, dtype=F64, requires_grad=True)


@IVP
@pytest.mark.parametrize(
    "methods",
    [("scipy_solver, algorithm: BDF", "odeint_adjoint"), ("rk4, step_size: 0.01", BACK)],
    ids=["its own", "another's"],
)
def test_a_way_back_that_scipy_gives_up_has_no_gradient(methods: tuple[str, str]) -> None:
    """Of which SciPy tells torchdiffeq nothing, nor that anyone."""
    model, x = steep(*methods)
    solution = model.solve(x)
    solution.z_star.sum().backward()
    assert solution.original.status.tolist() == [0, 0, 0]
    assert solution.original.adjoint.status.tolist() == [2, 2, 2]
    assert x.grad is not None
    assert bool(x.grad.isnan().all())


@IVP
def test_a_way_forth_that_scipy_gives_up_stalls() -> None:
    model, x = steep("scipy_solver, algorithm: RK45", start=100.0)
    solution = model.solve(x)
    assert solution.original.status.tolist() == [2, 2, 2]
    assert solution.original.residual_norm.tolist() == [2.0, 2.0, 2.0]
    assert torch.equal(solution.z_star, x)


def test_other_errors_on_the_way_back_of_scipy_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = steep("scipy_solver")
    z = model(x)

    def memory(*_: Any, **__: Any) -> Any:
        raise torch.OutOfMemoryError("no memory left")

    monkeypatch.setattr(torchdiffeq._impl.adjoint, "odeint", memory)
    with pytest.raises(torch.OutOfMemoryError, match="no memory left"):
        z.sum().backward()


def test_a_sample_that_is_not_finite_ends_alone() -> None:
    """Forth; and back the gradients of a loss on the others are theirs."""
    model = model_of(text({**DOPRI5, "on_failure": "ignore"}))
    x = inputs(3)
    broken = x.clone()
    broken[1] = math.nan
    solution = model.solve(broken)
    assert solution.original.status.tolist() == [0, 4, 0]
    assert apart([z[[0, 2]] for z in solution.z_star], [z[[0, 2]] for z in model(x)]) < 1e-8


def test_memory_does_not_grow_with_the_steps() -> None:
    def tensors(size: float, adjoint: str) -> int:
        with kept() as count:
            model_of(text({"method": "torchdiffeq.rk4", "step_size": size}, adjoint))(inputs(2))
        return int(count[0])

    assert tensors(0.1, "odeint_adjoint") == tensors(0.01, "odeint_adjoint")
    assert tensors(0.01, "discrete") > 5 * tensors(0.1, "discrete")


@pytest.mark.parametrize("how", [torch.no_grad, torch.inference_mode, contextlib.nullcontext], ids=lambda h: h.__name__)
def test_what_nobody_asks_for_costs_nothing(how: Any) -> None:
    spec = text(more=ON_THE_WAY)
    model = model_of(spec)
    if how is contextlib.nullcontext:
        model.requires_grad_(False)
    with how(), calls_of_f(module_of(spec)) as calls, kept() as tensors:
        solution = model.solve(inputs(2))
    assert calls == [solution.nfe]
    assert tensors == [0]
    assert not any(z.requires_grad for z in solution.z_star)


def test_a_frozen_weight_costs_nothing() -> None:
    """Its product is left out at each of the four stages of eight steps; the others are as they were."""
    model = model_of(text({"method": "torchdiffeq.rk4", "step_size": 0.125}, scales="single"))
    whole, expected = flops_of_backward(model, inputs(BATCH))
    model.main_layers["0"]["sum"]["0"]["linear"].weight.requires_grad_(False)
    less, found = flops_of_backward(model, inputs(BATCH))
    assert whole - less == 4 * 8 * PRODUCT
    assert set(expected) - set(found) == {"main_layers.0.sum.0.linear.weight"}
    assert apart(list(found.values()), [expected[name] for name in found]) < 1e-13


def test_explain_says_what_the_gradient_is() -> None:
    told = explain(compile_text(text(), "m.yaml"))
    assert "odeint_adjoint: exact up to the tolerance of the backward integration" in told
    told = explain(compile_text(text(DOPRI5, {"method": "odeint_adjoint", "integrator": "rk4"}), "m.yaml"))
    assert "step_size 0.1: exact up to the step_size of the backward integration" in told


def test_no_other_module_imports_it() -> None:
    assert "odeint_adjoint" not in compile_text(text(DOPRI5, "discrete"), "m.yaml").source
