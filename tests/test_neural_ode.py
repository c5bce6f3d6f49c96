"""Neural ODEs: `kind: neural_ode` follows z' = f(z) - z, or z' = f(z), from time.start to time.stop."""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from deqc import reference
from deqc.compiler import compile_text
from deqc.explain import explain
from deqc.loading import import_source
from deqc.solvers import ADJOINTS, SOLVERS
from tests.own_modules import NEURAL_ODES
from tests.properties import apart, gradients, loss, pieces

EXAMPLES = Path(__file__).resolve().parents[1] / "examples/specs"

FOUR = """deqc: 1
name: Node
kind: neural_ode
input: {x: [4]}
scales: [[4], [3], [2], [1]]
main_layers:
  - [{sum: [{linear: {out: 4, bias: false}}, [$x, {linear: 4}]]}, tanh]
  - [{linear: 3}, tanh]
  - [{linear: 2}, tanh]
  - [{linear: 1}, tanh]
mapping_layers: {same: identity, down: [{linear: "${to.features}"}, tanh], up: [{linear: "${to.features}"}, tanh]}
"""
LINEAR = """deqc: 1
name: Node
kind: neural_ode
input: {x: [3]}
scale: [3]
init: [$x]
main_layers: [{linear: 3}]
"""
METHODS = [name for name, one in SOLVERS.items() if "neural_ode" in one.kinds and name != "auto"]
OWN = [name for name in METHODS if not name.startswith("torchdiffeq.")]
FIXED = [name for name in METHODS if "step_size" in SOLVERS[name].defaults]
# What a method of low order gets to within reasonable time, from steps of 0.02 or from a tolerance.
TOLERANCE = {"implicit_euler": 1e-4, "torchdiffeq.adaptive_heun": 1e-5}
WITHIN = {
    **dict.fromkeys(("euler", "torchdiffeq.euler", "implicit_euler"), 2e-2),
    **dict.fromkeys(
        ("heun", "torchdiffeq.midpoint", "torchdiffeq.heun2", "torchdiffeq.bosh3", "torchdiffeq.fehlberg2"), 1e-3
    ),
    **dict.fromkeys(
        (
            "trbdf2",
            "rosenbrock23",
            "vcabm3",
            "torchdiffeq.dopri8",
            "torchdiffeq.explicit_adams",
            "torchdiffeq.adaptive_heun",
        ),
        2e-4,
    ),
}


def module_of(text: str, seed: int = 0) -> tuple[Any, Any]:
    """The compilation, and the model in float64."""
    compilation = compile_text(text, "m")
    torch.manual_seed(seed)
    return compilation, import_source(compilation.source, "m").Node().double()


def settings(method: str, tolerance: float = 1e-6) -> str:
    """Settings of a solver that is to be accurate."""
    if method in FIXED:
        return f"solver: {{method: {method}, step_size: 0.02}}\n"
    tolerance = TOLERANCE.get(method, tolerance)
    return f"solver: {{method: {method}, atol: {tolerance}, rtol: {tolerance}, max_steps: 3000}}\n"


@pytest.mark.parametrize("method", METHODS)
def test_value_and_gradients_are_those_of_a_fine_integration(method: str) -> None:
    adjoint = "adjoint: none\n" if method == "torchdiffeq.scipy_solver" else ""
    compilation, model = module_of(FOUR + settings(method) + adjoint)
    x = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    solution = model.solve(x)
    expected = reference.integrate(compilation.lowered, dict(model.named_parameters()), (x,), 1.0).output
    within = WITHIN.get(method, 5e-6)
    assert apart(solution.z_star, expected) < within
    record = solution.original
    assert record.status.tolist() == [0, 0, 0]
    assert record.residual_norm.tolist() == [0.0] * 3
    assert solution.residual is None
    if adjoint:
        assert not solution.z_star[0].requires_grad
        return
    wanted = [x, *model.parameters()]
    found, true = (torch.autograd.grad(loss(one), wanted) for one in (solution.z_star, expected))
    largest = max(float(one.abs().max()) for one in true)
    assert max(float((a - b).abs().max()) for a, b in zip(found, true, strict=True)) < 3 * within * largest


@pytest.mark.parametrize("dynamics", ["residual", "derivative"])
def test_a_linear_one_has_a_closed_form(dynamics: str) -> None:
    """z' = A z + b from x: z(t) = exp(A t) x + A^-1 (exp(A t) - 1) b, and its derivatives."""
    time = f"time: {{start: -0.5, stop: 1.5, dynamics: {dynamics}, saveat: [-0.5, 0.25, 1.5]}}\n"
    _, model = module_of(LINEAR + time + settings("tsit5", 1e-11))
    layer = model.main_layers["0"]["linear"]
    x = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)

    def exact(t: float) -> Tensor:
        a = layer.weight - (torch.eye(3, dtype=torch.float64) if dynamics == "residual" else 0.0)
        power = torch.linalg.matrix_exp(a * t)
        shift = torch.linalg.solve(a, (power - torch.eye(3, dtype=torch.float64)) @ layer.bias)
        exact: Tensor = x @ power.T + shift
        return exact

    solution = model.solve(x)
    assert apart([solution.z_star], [exact(2.0)]) < 1e-9
    assert solution.trajectory.shape == (4, 3, 3)
    assert apart([solution.trajectory], [torch.stack([x, exact(0.75), exact(2.0)], 1)]) < 1e-9
    wanted = [x, *model.parameters()]
    for found, true in ((solution.z_star, exact(2.0)), (solution.trajectory[:, 1], exact(0.75))):
        got = torch.autograd.grad(loss(found), wanted, retain_graph=True)
        assert apart(got, torch.autograd.grad(loss(true), wanted)) < 1e-7


@pytest.mark.parametrize("method", ["heun", "rk4"])
def test_gradients_are_those_of_the_steps_however_long_they_are(method: str) -> None:
    """With steps of one size the result is a smooth function: gradcheck, of both orders."""
    _, model = module_of(
        LINEAR.replace("{linear: 3}", "{linear: 3}, tanh") + f"solver: {{method: {method}, step_size: 0.5}}\n"
    )
    x = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(model, (x,), check_forward_ad=True, check_batched_grad=True)
    assert torch.autograd.gradgradcheck(model, (x,))


@pytest.mark.parametrize("method", ["tsit5", "vcab3", "rock2", "rosenbrock23"])
def test_lengths_of_steps_are_constants_to_the_gradient(method: str) -> None:
    """At a loose tolerance too, gradients are those of the map that the same steps make, to rounding.

    For a linear f that map is linear in the start: its derivative along a direction is what it makes of that direction.
    """
    text = LINEAR.replace("{linear: 3}", "{linear: {out: 3, bias: false}}")
    _, model = module_of(text + f"solver: {{method: {method}, atol: 0, rtol: 0.1, max_steps: 200}}\n")
    x = torch.randn(1, 3, dtype=torch.float64, requires_grad=True)
    (pull,) = torch.autograd.functional.jacobian(model, (x,))
    y = model(x)
    assert apart([(pull.view(3, 3) @ x[0]).unsqueeze(0)], [y]) < (1e-4 if method == "rosenbrock23" else 1e-12)


@pytest.mark.parametrize("method", [name for name in OWN if name != "implicit_euler"])
def test_a_sample_does_not_depend_on_its_mates(method: str) -> None:
    _, model = module_of(FOUR + f"solver: {{method: {method}, on_failure: ignore, max_steps: 3000}}\n")
    x = torch.randn(4, 4, dtype=torch.float64)
    x[1] *= 30
    with torch.no_grad():
        whole = model.solve(x)
        alone = model.solve(x[2:3].expand(4, 4))
        broken = model.solve(torch.cat([x[:3], torch.full((1, 4), math.nan, dtype=torch.float64)]))
    assert apart([one[2:3] for one in whole.z_star], [one[2:3] for one in alone.z_star]) < 1e-13
    assert whole.original.steps[2] == alone.original.steps[2]
    assert broken.original.status.tolist() == [0, 0, 0, 4]
    assert apart([one[:3] for one in whole.z_star], [one[:3] for one in broken.z_star]) < 1e-13


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("batch", [0, 1])
def test_small_batches(method: str, batch: int) -> None:
    _, model = module_of(FOUR + f"solver: {{method: {method}, on_failure: ignore}}\nadjoint: none\n")
    found = model.solve(torch.randn(batch, 4, dtype=torch.float64))
    assert [one.shape for one in found.z_star] == [(batch, n) for n in (4, 3, 2, 1)]
    assert found.original.status.tolist() == [0] * batch


def test_auto_is_tsit5_and_all_is_told() -> None:
    compilation, model = module_of(FOUR)
    assert compilation.solver.method.name == "tsit5"
    assert compilation.adjoint.method.name == "discrete"
    told = explain(compilation)
    assert "from t = 0.0 to 1.0, step_rtol 1e-3, step_atol 1e-3" in told
    assert "discrete: exact" in told
    assert "a neural ODE of 4 scales" in compilation.source
    assert not hasattr(model, "fixed_point")


@pytest.mark.parametrize("method", ["tsit5", "rk4", "vcab3", "trbdf2", "torchdiffeq.dopri5"])
def test_saved_states_are_those_of_shorter_solves(method: str) -> None:
    text = FOUR + settings(method, 1e-8)
    _, model = module_of(text + "time: {stop: 2, saveat: [0.5, 1.2]}\n")
    x = torch.randn(3, 4, dtype=torch.float64)
    with torch.no_grad():
        trajectory = model.solve(x).trajectory
        assert [one.shape for one in trajectory] == [(3, 2, n) for n in (4, 3, 2, 1)]
        for k, stop in enumerate((0.5, 1.2)):
            _, shorter = module_of(text + f"time: {{stop: {stop}}}\n")
            assert apart([one[:, k] for one in trajectory], shorter(x)) < (2e-5 if method == "trbdf2" else 1e-6)
    assert model.solve(x, depth=2).trajectory is None


def test_images_are_saved_in_their_shape() -> None:
    text = "deqc: 1\nname: Node\nkind: neural_ode\ninput: {x: [2, 4, 4]}\nscale: [2, 4, 4]\ntime: {saveat: [0, 0.5]}\n"
    _, model = module_of(text + "main_layers: [{sum: [{conv2d: {out: 2, kernel: 3}}, $x]}, tanh]\n")
    x = torch.randn(3, 2, 4, 4, dtype=torch.float64)
    found = model.solve(x)
    assert found.trajectory.shape == (3, 2, 2, 4, 4)
    assert not found.trajectory[:, 0].any()
    assert found.trajectory[:, 1].any()


def test_a_solve_that_does_not_get_there_says_so() -> None:
    _, model = module_of(FOUR + "solver: {method: tsit5, max_steps: 1}\ntime: {saveat: [0.9, 1]}\n")
    x = torch.randn(2, 4, dtype=torch.float64)
    with pytest.warns(
        UserWarning, match=r"missed t = 1\.0 in 1 steps on 2 of 2 samples \(2 max_steps\); the most time left"
    ):
        found = model.solve(x)
    assert found.original.status.tolist() == [1, 1]
    assert bool((found.original.residual_norm > 0).all())
    assert apart([one[:, 1] for one in found.trajectory], found.z_star) == 0.0  # the last state there is
    _, model = module_of(FOUR + "solver: {method: tsit5, max_steps: 1, on_failure: raise}\n")
    with pytest.raises(RuntimeError, match="missed t"):
        model(x)


def test_calls_of_f_are_counted_once() -> None:
    calls = 0

    def f(z: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        return z.sin()

    for method in OWN:
        _, model = module_of(FOUR + f"solver: {{method: {method}}}\n")
        calls = 0
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _, record = model.integrate(f, torch.randn(1, 7, dtype=torch.float64))
        inside = "rock2" in method  # whose stages differ by sample
        assert int(record.nfe[0]) == calls or inside, method


def test_settings_of_eval_mode() -> None:
    _, model = module_of(FOUR + "solver: {method: tsit5, eval: {atol: 1.0e-9, rtol: 1.0e-9}}\n")
    x = torch.randn(2, 4, dtype=torch.float64)
    assert bool((model.eval().solve(x).original.steps > model.train().solve(x).original.steps).all())
    _, model = module_of(FOUR + "solver: {method: heun, step_size: 0.5, eval: {step_size: 0.001}}\n")
    assert model.solve(x).original.steps.tolist() == [2, 2]
    assert model.eval().solve(x).original.steps.tolist() == [1000, 1000]


def test_the_trace_is_the_time_that_is_left() -> None:
    _, model = module_of(FOUR + "solver: {method: rk4, step_size: 0.25, trace: true}\n")
    found = model.solve(torch.randn(1, 4, dtype=torch.float64)).original
    assert found.trace.tolist() == [[1.0, 0.75, 0.5, 0.25, 0.0]]


def test_time_passes_in_any_precision() -> None:
    """Rounded steps add up: none is left over at the end."""
    for dtype, steps in ((torch.float32, 3000), (torch.bfloat16, 1000), (torch.float64, 3000)):
        _, model = module_of(FOUR + f"solver: {{method: euler, step_size: {1 / steps}, max_steps: {steps}}}\n")
        found = model.to(dtype).solve(torch.randn(2, 4, dtype=dtype)).original
        assert found.status.tolist() == [0, 0]
        assert found.steps.tolist() == [steps, steps]


@pytest.mark.parametrize("coupling", ["sample", "batch"])
def test_a_batch_may_share_its_steps(coupling: str) -> None:
    _, model = module_of(LINEAR + f"solver: {{method: bs3, rtol: 0, coupling: {coupling}}}\n")
    x = torch.randn(8, 3, dtype=torch.float64) * torch.logspace(-2, 2, 8, dtype=torch.float64).unsqueeze(1)
    steps = model.solve(x).original.steps
    assert (len(set(steps.tolist())) == 1) is (coupling == "batch")


def test_gradients_with_respect_to_an_input_of_a_head() -> None:
    compilation, model = module_of(
        LINEAR + "head: [{linear: 2}, {sum: [identity, [$x, {linear: 2}]]}]\n" + settings("tsit5", 1e-10)
    )
    x = torch.randn(2, 3, dtype=torch.float64)

    def expected(x: Tensor) -> tuple[Tensor, ...]:
        return reference.integrate(compilation.lowered, dict(model.named_parameters()), (x,), 1.0).output

    assert apart(gradients(model, (x,), model), gradients(model, (x,), expected)) < 1e-8


OF_THE_EQUATION = ("gauss", "backsolve")


@pytest.mark.parametrize("adjoint", OF_THE_EQUATION)
@pytest.mark.parametrize("method", ["tsit5", "vcab3", "rk4", "rock2", "trbdf2"])
def test_adjoints_of_the_equation(method: str, adjoint: str) -> None:
    """Gradients of states on the way, of the start, of inputs and parameters: those of a fine integration."""
    text = FOUR.replace("main_layers", "init: [[$x, tanh], null, null, null]\nmain_layers")
    tolerance = 1e-8 if method == "tsit5" else 1e-6
    _, model = module_of(f"{text}{settings(method, tolerance)}adjoint: {adjoint}\ntime: {{saveat: [0.4, 1]}}\n")
    finer, _ = module_of(f"{text}solver: {{method: rk4, step_size: 0.004}}\ntime: {{saveat: [0.4, 1]}}\n")
    exact = import_source(finer.source, "exact").Node().double()
    exact.load_state_dict(model.state_dict())
    x = torch.randn(3, 4, dtype=torch.float64)

    def both(model: Any, *given: Tensor) -> tuple[Tensor, ...]:
        solution = model.solve(*given)
        return (*solution.z_star, *(one.flatten(1) for one in solution.trajectory))

    found = gradients(model, (x,), lambda *given: both(model, *given))
    assert apart(found, gradients(exact, (x,), lambda *given: both(exact, *given))) < (
        2e-4 if method == "trbdf2" else 5e-6
    )


@pytest.mark.parametrize("adjoint", OF_THE_EQUATION)
def test_a_linear_equation_has_an_adjoint_in_closed_form(adjoint: str) -> None:
    """z' = A z - z: z(1) is exp(A - 1) z(0), whose derivatives torch has."""
    text = LINEAR.replace("{linear: 3}", "{linear: {out: 3, bias: false}}")
    _, model = module_of(text + f"adjoint: {adjoint}\n" + settings("tsit5", 1e-10))
    x = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)
    weight = model.main_layers["0"]["linear"].weight

    def exact(x: Tensor, weight: Tensor) -> Tensor:
        power: Tensor = torch.linalg.matrix_exp(weight - torch.eye(3, dtype=torch.float64))
        return x @ power.T

    found = torch.autograd.grad(loss(model(x)), (x, weight))
    assert apart(found, torch.autograd.grad(loss(exact(x, weight)), (x, weight))) < 1e-8


@pytest.mark.parametrize("linear", ["lu", "bicgstab", "neumann"])
@pytest.mark.parametrize("adjoint", ["discrete", "gauss", "backsolve", "none"])
def test_other_linear_solvers(adjoint: str, linear: str) -> None:
    """Of implicit steps: value and gradients are those that GMRES leads to, as exact as the linear solves are."""
    exact = "" if linear == "lu" else ", rtol: 1.0e-9, max_steps: 60"
    steps = "method: trbdf2, atol: 1.0e-5, rtol: 1.0e-5, linear_solver: {{method: {}{}}}"
    _, model = module_of(f"{FOUR}solver: {{{steps.format(linear, exact)}}}\nadjoint: {adjoint}\n")
    _, other = module_of(f"{FOUR}solver: {{{steps.format('gmres', ', rtol: 1.0e-9')}}}\nadjoint: {adjoint}\n")
    x = torch.randn(2, 4, dtype=torch.float64)
    assert apart(pieces(model(x)), pieces(other(x))) < 1e-7
    if adjoint != "none":
        assert apart(gradients(model, (x,), model), gradients(other, (x,), other)) < 1e-6


def test_implicit_steps_back_get_to_the_start() -> None:
    """Their Jacobian has the derivative by time, of the path that was followed, also where that begins."""
    _, model = module_of(
        f"{FOUR}solver: {{method: trbdf2, atol: 1.0e-5, linear_solver: {{method: lu}}}}\nadjoint: gauss\n"
    )
    x = torch.randn(8, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    solution = model.solve(x)
    loss(solution.output).backward()
    assert solution.original.adjoint.status.tolist() == [0] * 8
    assert int(solution.original.adjoint.steps.max()) < 2 * int(solution.original.steps.max())


@pytest.mark.parametrize("adjoint", OF_THE_EQUATION)
def test_the_gradient_of_torch_func(adjoint: str) -> None:
    _, model = module_of(FOUR + f"adjoint: {adjoint}\n")
    x = torch.randn(2, 4, dtype=torch.float64, requires_grad=True)
    found = torch.func.grad(lambda one: loss(model(one)))(x.detach())
    assert apart([found], torch.autograd.grad(loss(model(x)), x)) < 1e-14


@pytest.mark.parametrize("adjoint", OF_THE_EQUATION)
def test_the_scale_of_the_loss_changes_nothing(adjoint: str) -> None:
    _, model = module_of(FOUR + f"adjoint: {adjoint}\n")
    x = torch.randn(3, 4, dtype=torch.float64)
    wanted = list(model.parameters())
    one, small = (torch.autograd.grad(scale * loss(model(x)), wanted) for scale in (1.0, 1e-9))
    assert apart([1e9 * g for g in small], one) < 1e-12


@pytest.mark.parametrize("adjoint", OF_THE_EQUATION)
def test_a_second_derivative_is_refused_by_name(adjoint: str) -> None:
    _, model = module_of(FOUR + f"adjoint: {adjoint}\n")
    x = torch.randn(2, 4, dtype=torch.float64, requires_grad=True)
    (first,) = torch.autograd.grad(loss(model(x)), x, create_graph=True)
    with pytest.raises(RuntimeError, match=f"the adjoint {adjoint} has first derivatives alone"):
        first.sum().backward()


@pytest.mark.parametrize("adjoint", OF_THE_EQUATION)
def test_so_is_a_mixed_one(adjoint: str) -> None:
    """By what the input's own gradient does not pass: another weight of f, and one behind the solution."""
    _, model = module_of(LINEAR + f"head: [{{linear: 2}}]\nadjoint: {adjoint}\n")
    weights = {name: value.detach() for name, value in model.named_parameters()}
    x = torch.randn(2, 3, dtype=torch.float64)

    def pulled(name: str, weight: Tensor) -> Tensor:
        def value(x: Tensor) -> Tensor:
            return loss(torch.func.functional_call(model, {**weights, name: weight}, (x,)))

        slope: Tensor = torch.func.grad(value)(x).sum()
        return slope

    for name in ("main_layers.0.linear.weight", "head.linear.weight"):
        with pytest.raises(RuntimeError, match=f"the adjoint {adjoint} has first derivatives alone"):
            torch.func.grad(lambda weight, name=name: pulled(name, weight))(weights[name])


@pytest.mark.parametrize("method", [name for name in OWN if name not in FIXED])
def test_a_state_that_grows_beyond_all_numbers_ends_alone(method: str) -> None:
    """So may what is known of its rate, as the spectral radius that rock2 estimates."""
    _, model = module_of(LINEAR + f"solver: {{method: {method}, max_steps: 2000, on_failure: ignore}}\n")
    z0 = torch.tensor([[5.0, 5.0], [0.1, 0.2]])
    z, record = model.integrate(lambda z: z + z**4 + z**2, z0)
    assert record.status[0] != 0
    assert record.status[1] == 0
    assert bool(z.isfinite().all())


@pytest.mark.parametrize("method", [name for name in OWN if name not in FIXED])
def test_a_sample_that_has_ended_spoils_no_gradient(method: str) -> None:
    """Its steps are of no length: they do not grow to inf while others, of which one is stiff, are on their way."""
    text = f"solver: {{method: {method}, atol: 1e-4, rtol: 1e-4, max_steps: 2000}}\nadjoint: discrete\n"
    _, model = module_of(LINEAR + text)
    model = model.float()
    layer = model.main_layers["0"]["linear"]
    with torch.no_grad():
        layer.weight.copy_(torch.diag(torch.tensor([-80.0, 0.5, 0.9])))
        layer.bias.zero_()
    x = torch.tensor([[0.0, 0.0, 1.0], [3.0, 1.0, 1.0]], requires_grad=True)
    solution = model.solve(x)
    steps = solution.original.steps
    assert int(steps[1]) > int(steps[0]) + 4
    grads = torch.autograd.grad(loss(solution.z_star), [x, layer.weight])
    alone = [torch.autograd.grad(loss(model(x[i : i + 1])), [x, layer.weight]) for i in range(2)]
    assert apart(grads, [a + b for a, b in zip(*alone, strict=True)]) < 1e-4


@pytest.mark.parametrize("method", [name for name in OWN if name not in FIXED])
def test_a_refused_step_spoils_no_gradient(method: str) -> None:
    """Trials may be beyond all numbers of float32, though what they lead to is close to the solution in float64."""
    _, model = module_of(LINEAR + f"solver: {{method: {method}, atol: 1e-3, rtol: 1e-3, max_steps: 2000}}\n")
    found = []
    for dtype in (torch.float32, torch.float64):
        w = torch.tensor([[1.0, 0.1], [-0.1, 1.0]], dtype=dtype, requires_grad=True)
        z0 = torch.tensor([[2.5, 2.0], [0.1, 0.2], [30.0, -10.0]], dtype=dtype, requires_grad=True)
        z, record = model.integrate(lambda z, w=w: z - 3 * (z @ w.mT) * z**4, z0)
        assert record.status.tolist() == [0, 0, 0]
        found.append([g.double() for g in torch.autograd.grad(loss(z), [w, z0])])
    assert apart(*found) < 1e-3


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("method", OWN)
def test_a_state_that_grows_beyond_all_numbers_spoils_no_gradient(method: str, dtype: torch.dtype) -> None:
    pace = "step_size: 0.05" if method in FIXED else "max_steps: 2000, atol: 1e-3, rtol: 1e-3"
    _, model = module_of(LINEAR + f"solver: {{method: {method}, {pace}, on_failure: ignore}}\n")
    found = []
    for start in ([[0.1, 0.2], [5.0, 5.0]], [[0.1, 0.2]]):
        w = torch.tensor([[1.0, 0.1], [-0.1, 1.0]], dtype=dtype, requires_grad=True)
        z0 = torch.tensor(start, dtype=dtype, requires_grad=True)
        z, record = model.integrate(lambda z, w=w: z + (z @ w.mT) ** 4 + z**2, z0)
        assert [status == 0 for status in record.status.tolist()] == [True, False][: len(start)]
        g, g0 = torch.autograd.grad(loss(z[:1]), [w, z0])
        found.append([g, g0[:1]])
        assert not bool(g0[1:].any())
    assert apart(*found) < 1e-4


@pytest.mark.parametrize("adjoint", OF_THE_EQUATION)
def test_the_backward_solve_is_on_record(adjoint: str) -> None:
    _, model = module_of(FOUR + f"adjoint: {adjoint}\n")
    solution = model.solve(torch.randn(2, 4, dtype=torch.float64))
    assert solution.original.adjoint is None
    torch.autograd.backward(loss(solution.z_star))
    record: Any = solution.original.adjoint
    assert record.status.tolist() == [0, 0]
    assert bool((record.njvp > record.steps).all())
    with torch.no_grad():
        assert not model(torch.randn(2, 4, dtype=torch.float64))[0].requires_grad
    _, model = module_of(FOUR + f"solver: {{method: tsit5, max_steps: 4}}\nadjoint: {adjoint}\n")
    z = model(torch.randn(1, 4, dtype=torch.float64) * 0.01)
    with pytest.warns(UserWarning, match=r"the backward solve missed t = 0\.0 in 4 steps"):
        loss(z).backward()


@pytest.mark.parametrize("adjoint", OF_THE_EQUATION)
def test_by_torch_where_there_are_no_rules(adjoint: str) -> None:
    text = FOUR + f"adjoint: {adjoint}\n"
    _, model = module_of(text)
    other = import_source(compile_text(text, "m", frozenset({"adjoint"})).source, "without").Node().double()
    other.load_state_dict(model.state_dict())
    x = torch.randn(2, 4, dtype=torch.float64)
    assert apart(gradients(model, (x,), model), gradients(other, (x,), other)) < 1e-12


def test_memory_of_backsolve_does_not_grow_with_the_steps() -> None:
    def kept(size: float, adjoint: str) -> int:
        steps = f"solver: {{method: heun, step_size: {size}}}\nadjoint: {adjoint}\n"
        _, model = module_of(FOUR + steps)
        held = 0

        def pack(one: Tensor) -> Tensor:
            nonlocal held
            held += one.numel()
            return one

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda one: one):
            model(torch.randn(2, 4, dtype=torch.float64))
        return held

    assert kept(0.1, "backsolve") == kept(0.01, "backsolve")
    assert kept(0.01, "discrete") > 5 * kept(0.1, "discrete")


@pytest.mark.parametrize("adjoint", OF_THE_EQUATION)
def test_compiled_code_refuses_gradients_with_the_reason(adjoint: str) -> None:
    _, model = module_of(FOUR + f"adjoint: {adjoint}\n")
    compiled: Any = torch.compile(model, fullgraph=True, backend="eager")
    x = torch.randn(2, 4, dtype=torch.float64)
    with pytest.raises(Exception, match=f"{adjoint} {ADJOINTS[adjoint].eager_back}"):
        compiled(x)
    with torch.no_grad():
        assert apart(compiled(x), model(x)) < 1e-14


@pytest.mark.parametrize("name", sorted(NEURAL_ODES))
def test_example(name: str) -> None:
    """Value and gradients as set are those of a fine integration, to its tolerance; every parameter gets one."""
    compilation = compile_text((EXAMPLES / f"{name}.yaml").read_text(encoding="utf-8"), name)
    torch.manual_seed(0)
    module = import_source(compilation.source, name)
    model: Any = getattr(module, compilation.spec.name)().double()
    inputs = tuple(torch.randn(3, *one.type.shape, dtype=torch.float64) for one in compilation.lowered.inputs)

    def expected(*given: Tensor) -> tuple[Tensor, ...]:
        return reference.integrate(compilation.lowered, dict(model.named_parameters()), given, 1.0).output

    assert apart(pieces(model(*inputs)), expected(*inputs)) < 1e-3
    found = gradients(model, inputs, model)
    assert apart(found, gradients(model, inputs, expected)) < 1e-3
    assert all(bool(one.any()) for one in found)


@pytest.mark.slow
@pytest.mark.parametrize("method", OWN)
def test_compiled_without_gradients(method: str) -> None:
    _, model = module_of(FOUR + f"solver: {{method: {method}}}\ntime: {{saveat: [0.5, 1]}}\n")
    x = torch.randn(3, 4, dtype=torch.float64)
    with torch.no_grad():
        compiled: Any = torch.compile(model.solve, fullgraph=True)
        found = compiled(x)
        eager = model.solve(x)
    assert apart(found.z_star, eager.z_star) < 1e-10
    assert apart(found.trajectory, eager.trajectory) < 1e-10
    assert found.original.steps.tolist() == eager.original.steps.tolist()


@pytest.mark.slow
def test_compiled_with_gradients() -> None:
    """Autograd goes through the steps, which are all written out: here four."""
    _, model = module_of(FOUR + "solver: {method: heun, step_size: 0.25}\n")
    x = torch.randn(3, 4, dtype=torch.float64)
    compiled = torch.compile(model, fullgraph=True)
    assert apart(gradients(model, (x,), compiled), gradients(model, (x,), model)) < 1e-12
