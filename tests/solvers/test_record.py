"""`record`: the states after some of the steps, each with derivatives of its own."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any, cast

import pytest
import torch
from torch import Tensor

from deqc.compiler import compile_text
from deqc.explain import explain
from deqc.loading import import_source
from deqc.solvers import ADJOINTS
from tests.properties import apart, constants, with_parameters
from tests.solvers.mixed import mixed
from tests.solvers.rows import ROWS, Row
from tests.solvers.test_compaction import Narrowed

NUMBERS = [1, 3, 4, 9]
F64 = torch.float64


# ---- the states


def states(made: Any, f: Any, z0: Tensor, **more: Any) -> tuple[Tensor, ...]:
    """What a solve records; and what one returns that may take no more than so many steps."""
    recorded: tuple[Tensor, ...] = made.fixed_point(f, z0, **more)[1].recorded
    for number, state in zip(made.RECORD, recorded, strict=True):
        with constants(made, MAX_STEPS=number):
            expected, record = made.fixed_point(f, z0, **more)
        assert torch.equal(state.nan_to_num(7.0), expected.nan_to_num(7.0)), number
        assert bool((record.steps <= number).all())
    return recorded


@pytest.mark.parametrize("row", [row for row in ROWS if row.method != "cascade"], ids=lambda row: row.name)
def test_they_are_those_of_a_solve_that_ends_there(row: Row) -> None:
    """To the last bit, for samples that go on, have ended, or are not finite."""
    f = mixed("easy hard solved nan infinite easy hard")
    found = states(row.module(record=NUMBERS, atol=1e-3), f, f.z0, jvp=f.jvp, jacobian=f.jacobian)
    assert bool((found[0][1] != found[-1][1]).any()), "it goes on"
    assert all(torch.equal(one[2], f.z0[2]) for one in found), "solved from the start"


@pytest.mark.parametrize("method", ["picard", "anderson", "broyden"])
def test_of_a_mode_that_returns_the_best_they_are_the_best_so_far(method: str) -> None:
    def f(z: Tensor) -> Tensor:
        return (3 * z).cos()

    def residual(z: Tensor) -> Tensor:
        return (f(z) - z).abs().amax(1)

    z0 = torch.linspace(-3, 3, 24, dtype=F64).view(8, 3)
    best = states(Row(method).module(record=NUMBERS, termination="abs_norm_safe_best"), f, z0)
    last = states(Row(method).module(record=NUMBERS, termination="abs_norm_safe"), f, z0)
    assert all(bool((residual(b) <= residual(a)).all()) for a, b in pairwise(best))
    assert any(bool((residual(a) < residual(b)).any()) for a, b in zip(best, last, strict=True))


def test_of_an_integrator_of_torchdiffeq() -> None:
    f = mixed("easy hard solved easy")
    found = states(Row("torchdiffeq.rk4").module(record=NUMBERS, interval=0.5, step_size=0.25), f, f.z0)
    assert bool((found[0][1] != found[-1][1]).any())


def test_where_samples_leave_the_batch_they_are_the_same() -> None:
    f = Narrowed(mixed("easy hard solved easy easy nan easy easy hard easy easy easy easy infinite easy easy"))
    made = Row("picard").module(record=[2, 5, 15, 30], atol=1e-3, compaction=True)
    found = states(made, f, f.whole.z0, narrow=f.narrow)
    assert min(f.turns) < 8
    assert torch.equal(found[2][0], found[3][0]), "it has ended"
    assert bool((found[2][1] != found[3][1]).any()), "it goes on"


# ---- the model

SPEC = """\
deqc: 1
name: M
input: {kept: [3], outputs: [2]}
scales: [[4], [2]]
main_layers:
  - {sum: [[{linear: 4}, {times: 0.6}], [$kept, {linear: 4}]]}
  - {sum: [{times: 0.3}, $outputs]}
mapping_layers: [[identity, [{linear: 2}, {times: 0.5}]], [[{linear: 4}, {times: 0.5}], identity]]
post_fuse_layers: {each: tanh}
"""
HEAD = "head: {first: [$z.0, {sum: [identity, [$kept, {linear: 4}]]}, {linear: 3}], second: [$z.1, {times: 2}]}\n"
# the adjoint, and how many damped steps its phantom gradients have
ADJOINT: dict[str, tuple[dict[str, Any], int, float]] = {
    **{
        f"implicit by {name}": ({"linear_solver": {"method": name, "rtol": 1e-10, "max_steps": 60}}, 1, 1.0)
        for name in ("lu", "gmres", "bicgstab", "neumann", "picard", "anderson", "broyden")
    },
    "preconditioned": ({"linear_solver": {"method": "gmres", "preconditioner": "broyden"}}, 1, 1.0),
    "jfb": ({"method": "jfb"}, 1, 1.0),
    "phantom": ({"method": "phantom", "steps": 3, "damping": 0.7}, 3, 0.7),
    "shine": ({"method": "shine"}, 1, 1.0),
    "refined": ({"method": "shine", "refine": 2}, 1, 1.0),
    "reversible": ({"method": "reversible"}, 1, 1.0),
}


def module(adjoint: dict[str, Any], spec: str = SPEC + HEAD, **solver: Any) -> Any:
    """A module of the spec that records the states after 2 and 5 of at most 40 steps."""
    needed = ADJOINTS[adjoint.get("method", "implicit")].solvers
    if "preconditioner" in adjoint.get("linear_solver", {}):
        needed = ("broyden",)
    method = needed[0] if needed else "picard"
    settings = {"method": method, "atol": 1e-6, "max_steps": 40, "record": [2, 5], "on_failure": "ignore", **solver}
    text = f"{spec}solver: {json.dumps(settings)}\nadjoint: {json.dumps(adjoint)}\n"
    return import_source(compile_text(text, "m.yaml").source, "recorded")


def model_of(made: Any) -> Any:
    torch.manual_seed(0)
    return made.M().double()


def inputs(batch: int = 5) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    kept, outputs = (torch.randn(batch, n, generator=generator, dtype=F64).requires_grad_() for n in (3, 2))
    return kept, outputs


def loss(solution: Any, index: int) -> Tensor:
    """Of one recorded state and of what the model makes of it."""
    first, second = solution.recorded[index]
    output = solution.recorded_outputs[index]
    return cast(Tensor, first.sin().sum() + (second * output.second).sum() + output.first.square().sum())


def gradients(value: Tensor, model: Any, x: tuple[Tensor, ...]) -> list[Tensor]:
    return list(torch.autograd.grad(value, [*x, *model.parameters()], materialize_grads=True))


def as_a_solution(made: Any, model: Any, z: Tensor, x: tuple[Tensor, ...]) -> Any:
    """The packed state as one that is recorded."""
    return made.DeepEquilibriumSolution(recorded=(model.unpack(z),), recorded_outputs=(model._head(z, *x),))


@pytest.mark.parametrize("name", ADJOINT)
def test_each_has_the_phantom_gradient_of_the_adjoint(name: str) -> None:
    """Against autograd through steps from the state, in float64; the value stays that of the state."""
    adjoint, steps, damping = ADJOINT[name]
    made = module(adjoint)
    model, x = model_of(made), inputs()
    solution = model.solve(*x)
    whole = gradients(loss(solution, 0) + loss(solution, 1), model, x)
    for index, number in enumerate(made.RECORD):
        with constants(made, MAX_STEPS=number), torch.no_grad():
            state = model.pack(model.solve(*x).z_star)
        assert torch.equal(model.pack(solution.recorded[index]), state)
        solution = model.solve(*x)
        found = gradients(loss(solution, index), model, x)
        p = state
        for _ in range(steps):
            p = p + damping * (model.step(p, *x) - p)
        surrogate = state + p - p.detach()
        expected = gradients(loss(as_a_solution(made, model, surrogate, x), 0), model, x)
        assert any(bool(one.any()) for one in expected)
        assert apart(found, expected) < 1e-13
        whole = [one - other for one, other in zip(whole, found, strict=True)]
    assert max(float(one.abs().max()) for one in whole) < 1e-12


def test_the_solution_and_its_gradient_are_those_of_a_model_that_records_nothing() -> None:
    made, plain = module({}), module({}, record=[40])
    model, other, x = model_of(made), model_of(plain), inputs()
    assert torch.equal(flat(model(*x)), flat(other(*x)))
    assert torch.equal(flat(model.solve(*x).output), flat(model(*x)))
    sums = [flat(one.solve(*x).output).square().sum() for one in (model, other)]
    assert all(
        torch.equal(a, b) for a, b in zip(gradients(sums[0], model, x), gradients(sums[1], other, x), strict=True)
    )


def flat(output: tuple[Tensor, ...]) -> Tensor:
    return torch.cat(list(output), 1)


@pytest.mark.parametrize("checkpoint", [0, 3])
def test_unrolled_the_derivative_is_that_of_the_steps(checkpoint: int) -> None:
    made = module({"method": "unroll", "checkpoint": checkpoint})
    model, x = model_of(made), inputs()
    for index, number in enumerate(made.RECORD):
        found = gradients(loss(model.solve(*x), index), model, x)
        with constants(made, MAX_STEPS=number):
            z = model.pack(model.solve(*x).z_star)
            expected = gradients(loss(as_a_solution(made, model, z, x), 0), model, x)
        assert apart(found, expected) < 1e-13


def test_with_the_adjoint_none_they_are_constants() -> None:
    solution = model_of(module({"method": "none"})).solve(*inputs())
    assert not any(one.requires_grad for state in solution.recorded for one in state)
    assert all(output.first.requires_grad for output in solution.recorded_outputs), "the head has weights"


def test_of_a_depth_they_are_the_states_after_so_many_applications() -> None:
    model, x = model_of(module({})), inputs()
    for depth in (0, 3, 5, 7):
        solution = model.solve(*x, depth=depth)
        assert torch.equal(flat(solution.z_star), flat(model.solve(*x, depth=depth).z_star))
        for index, number in enumerate((2, 5)):
            reached = model.solve(*x, depth=min(number, depth))
            assert torch.equal(flat(solution.recorded[index]), flat(reached.z_star))
            assert torch.equal(flat(solution.recorded_outputs[index]), flat(reached.output))
            if depth:
                again = model.solve(*x, depth=depth)
                found = gradients(flat(again.recorded[index]).square().sum(), model, x)
                expected = gradients(flat(reached.z_star).square().sum(), model, x)
                assert apart(found, expected) < 1e-14
    with pytest.raises(ValueError, match="depth must not be negative"):
        model.solve(*x, depth=-1)


def test_in_eval_mode_they_are_those_of_its_steps() -> None:
    model, x = model_of(module({}, eval={"damping": 0.5, "max_steps": 3})), inputs()
    alone = model_of(module({}, damping=0.5, record=[2, 3]))
    found, expected = model.eval().solve(*x).recorded, alone.solve(*x).recorded
    assert all(torch.equal(flat(a), flat(b)) for a, b in zip(found, expected, strict=True))
    assert not torch.equal(flat(found[0]), flat(model.train().solve(*x).recorded[0]))


def test_without_a_head_the_outputs_are_the_states() -> None:
    one = "deqc: 1\nname: M\ninput: {x: [3]}\nscale: [3]\nmain_layers: [{linear: 3}, {sum: [identity, $x]}, tanh]\n"
    solution = model_of(module({}, one)).solve(inputs()[0])
    assert [state.shape for state in solution.recorded] == [(5, 3), (5, 3)]
    assert solution.recorded_outputs == solution.recorded


def test_transforms() -> None:
    """Derivatives of the corrected loss by torch.func, per sample and both ways, are those of autograd."""
    model, x = model_of(module({})), inputs(3)

    def corrected(*given: Tensor) -> Tensor:
        solution = model.solve(*given)
        return torch.cat([flat(one) for one in (*solution.recorded_outputs, solution.output)], 1)

    given = tuple(one.detach() for one in x)
    expected = torch.autograd.functional.jacobian(corrected, given)
    for transform in (torch.func.jacrev, torch.func.jacfwd):
        assert apart(transform(corrected, argnums=(0, 1))(*given), expected) < 1e-7
    rows = torch.func.vmap(lambda *row: corrected(*(one.unsqueeze(0) for one in row)).squeeze(0))(*given)
    torch.testing.assert_close(rows, corrected(*given), rtol=1e-12, atol=1e-12)
    parameters = with_parameters(model, 2)[1]
    names = [name for name, _ in model.named_parameters()]

    def of_parameters(*values: Tensor) -> Tensor:
        state = dict(zip(names, values, strict=True))
        solution = torch.func.functional_call(_Solving(model), {f"model.{k}": v for k, v in state.items()}, given)
        return loss(solution, 0) + loss(solution, 1)

    found = torch.func.grad(of_parameters, argnums=tuple(range(len(parameters))))(*parameters)
    solution = model.solve(*given)
    assert apart(found, gradients(loss(solution, 0) + loss(solution, 1), model, ())) < 1e-12


class _Solving(torch.nn.Module):
    """`solve` as a module, as functional_call wants it."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, *given: Tensor) -> Any:
        return self.model.solve(*given)


COMPILED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "implicit by lu": ({"linear_solver": "lu"}, {}),
    "implicit by anderson": ({"linear_solver": {"method": "anderson", "rtol": 1e-9}}, {"method": "anderson"}),
    "phantom": ({"method": "phantom", "steps": 2}, {"method": "anderson", "termination": "abs_norm_safe_best"}),
    "reversible": ({"method": "reversible"}, {"trace": True}),
    "unrolled": ({"method": "unroll"}, {"max_steps": 6}),
}


def compiles(name: str, backend: str) -> None:
    """Values and gradients of one graph are those of eager mode."""
    torch._dynamo.reset()
    adjoint, solver = COMPILED[name]
    model, x = model_of(module(adjoint, **solver)), inputs()
    compiled = cast(Any, torch.compile(model.solve, fullgraph=True, backend=backend))
    (value, grads), (other, other_grads) = (
        (total.detach(), gradients(total, model, x))
        for solution in (model.solve(*x), compiled(*x))
        for total in [loss(solution, 0) + 2 * loss(solution, 1) + flat(solution.output).square().sum()]
    )
    torch.testing.assert_close(other, value, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(other_grads, grads, rtol=1e-8, atol=1e-9)
    torch._dynamo.reset()


def test_traced() -> None:
    compiles("implicit by lu", "aot_eager")


@pytest.mark.slow
@pytest.mark.parametrize("name", COMPILED.keys() - {"implicit by lu"})
def test_compiled(name: str) -> None:
    compiles(name, "inductor")


def test_what_explain_says() -> None:
    def told(adjoint: str) -> list[str]:
        text = f"{SPEC}{HEAD}solver: {{method: picard, record: [2, 5]}}\nadjoint: {adjoint}\n"
        return [line for line in explain(compile_text(text, "m.yaml")).splitlines() if "recorded" in line]

    for adjoint, words in {
        "implicit": "the derivatives of 1 step from there",
        "{method: phantom, steps: 3}": "the derivatives of 3 damped steps from there",
        "unroll": "the derivatives of the steps that lead there",
        "none": "a constant",
    }.items():
        line, note = told(adjoint)
        assert f"the state after steps 2 and 5, {'' if adjoint == 'none' else 'with '}{words}" in line
        assert "forward" in note
