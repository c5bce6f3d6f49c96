"""`precision: mixed`: under autocast f runs low at first, and neither values nor gradients show it."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
import torch
import torch._functorch.config
from torch import Tensor

from deqc.compiler import compile_text
from deqc.explain import explain
from deqc.loading import import_source

SPEC = """\
deqc: 1
name: Model
input: {{x: [6]{more}}}
scale: [40]
main_layers: [{{sum: [{{linear: {{out: 40, bias: false}}}}, [$x, {{linear: 40}}]]}}, {activation}]
solver: {{{solver}}}
adjoint: {adjoint}
"""
F64 = torch.float64
METHODS = (
    *("picard", "anderson", "aitken", "reversible", "broyden", "limited_memory_broyden", "klement", "dfsane"),
    *("euler", "heun", "rk4"),
)
X = torch.randn(7, 6, dtype=F64, generator=torch.Generator().manual_seed(1))


def compiled(solver: str, adjoint: str = "implicit", more: str = "", activation: str = "tanh") -> ModuleType:
    text = SPEC.format(solver=solver, adjoint=adjoint, more=more, activation=activation)
    return import_source(compile_text(text, "m.yaml").source, "m")


def model(source: ModuleType, dtype: torch.dtype = F64) -> Any:
    torch.manual_seed(0)
    return source.Model().to(dtype)


class Seen:
    """The dtypes in which f of a module is called, in order."""

    def __init__(self, source: Any) -> None:
        self.dtypes: list[torch.dtype] = []
        self.f = source.f
        source.f = self

    def __call__(self, z: Tensor, w: Any) -> Tensor:
        self.dtypes.append(z.dtype)
        assert {t.dtype for t in w} == {z.dtype}
        value: Tensor = self.f(z, w)
        return value


def solved(one: Any, low: torch.dtype | None, *inputs: Tensor, **given: Any) -> tuple[Any, list[Tensor]]:
    """The solution under autocast to that dtype, and the gradients of a loss of it."""
    one.zero_grad()
    x = inputs[0].clone().requires_grad_()
    with torch.autocast("cpu", low or torch.bfloat16, enabled=low is not None):
        solution = one.solve(x, *inputs[1:], **given)
    solution.z_star.square().sum().backward()
    assert x.grad is not None
    return solution, [x.grad, *(p.grad for p in one.parameters())]


@pytest.mark.parametrize("low", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("method", METHODS)
def test_values_and_gradients_are_those_of_full_precision(method: str, low: torch.dtype) -> None:
    """In float64 and to 1e-9, seven orders below what the low dtype can tell."""
    settings = f"method: {method}, atol: 1e-9, rtol: 1e-9, max_steps: 120"
    full, source = compiled(settings), compiled(f"{settings}, precision: mixed")
    seen = Seen(source)
    solution, gradients = solved(model(source), low, X)
    expected, right = solved(model(full), low, X)
    torch.testing.assert_close(solution.z_star, expected.z_star, rtol=0, atol=1e-8)
    torch.testing.assert_close(gradients, right, rtol=1e-7, atol=1e-7)
    assert solution.original.status.tolist() == [0] * 7
    calls = solution.nfe
    where = seen.dtypes[:calls].index(F64)
    assert set(seen.dtypes[:where]) == {low}
    assert set(seen.dtypes[where:]) == {F64}, "no way back"
    assert 2 < where < calls
    steps = solution.original.steps
    assert (steps - expected.original.steps).abs().max() <= 3


@pytest.mark.parametrize("low", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("sample", [0, 3])
def test_the_first_phase_ends_where_rounding_begins(sample: int, low: torch.dtype) -> None:
    """At 3 eps |f(z)|; the trace goes on from there, with the residual of f as it is."""
    source = compiled("method: picard, atol: 1e-9, max_steps: 200, precision: mixed, trace: true")
    seen = Seen(source)
    solution, _ = solved(model(source), low, X[[sample]])
    record, trace = solution.original, solution.original.trace[0]
    switch = seen.dtypes.index(F64) - 1  # the steps of the first phase
    size, eps = float(solution.z_star.detach().abs().amax()), torch.finfo(low).eps
    assert len(trace) == 301
    assert int((~trace.isnan()).sum()) == int(record.steps) + 1 == solution.nfe - 1
    assert trace[:switch].min() > 2.5 * eps * size
    assert trace[switch] < 3.5 * eps * size
    assert trace[int(record.steps)] == record.residual_norm <= 1e-9
    z = X.new_zeros(1, 40)
    with torch.no_grad():
        w = model(source).weights(X[[sample]])
        rounded = type(w)(*(t.to(low) for t in w))
        for _ in range(switch):
            z = seen.f(z.to(low), rounded).to(F64)
        torch.testing.assert_close(trace[switch], (seen.f(z, w) - z).abs().amax(), rtol=1e-12, atol=0)


def test_without_autocast_nothing_is_different() -> None:
    settings = "method: anderson, atol: 1e-6, trace: true"
    full, mixed = (model(compiled(f"{settings}{more}")) for more in ("", ", precision: mixed"))
    (one, gradients), (other, right) = (solved(each, None, X) for each in (full, mixed))
    assert torch.equal(one.z_star, other.z_star)
    assert one.nfe == other.nfe
    for name in ("status", "steps", "nfe", "njvp", "residual_norm", "best_residual_norm"):
        assert torch.equal(getattr(one.original, name), getattr(other.original, name)), name
    torch.testing.assert_close(one.original.trace, other.original.trace, rtol=0, atol=0, equal_nan=True)
    torch.testing.assert_close(gradients, right, rtol=0, atol=0)


def test_parameters_that_are_low_have_one_phase() -> None:
    source = compiled("method: picard, atol: 1e-1, precision: mixed")
    seen = Seen(source)
    solution, _ = solved(model(source, torch.bfloat16), torch.float16, X.bfloat16())
    assert set(seen.dtypes) == {torch.bfloat16}
    assert solution.original.calls is None


@pytest.mark.parametrize("method", ["picard", "anderson", "limited_memory_broyden"])
def test_a_sample_that_overflows_starts_again(method: str) -> None:
    """A state of 1e6 is infinite in float16; the others are solved as if it were not there."""
    settings = f"method: {method}, atol: 1e-5, max_steps: 100, on_failure: raise"
    x = X.clone()
    x[2] = 1e6
    full, mixed = (compiled(f"{settings}{more}", activation="{times: 0.5}") for more in ("", ", precision: mixed"))
    seen = Seen(mixed)
    (one, right), (other, gradients) = (solved(model(each), torch.float16, x) for each in (full, mixed))
    assert torch.float16 in seen.dtypes
    assert (one.z_star[2].abs() > 65504).any()
    torch.testing.assert_close(other.z_star, one.z_star, rtol=1e-10, atol=1e-4)
    torch.testing.assert_close(gradients, right, rtol=1e-6, atol=1e-3)
    assert int(other.original.steps[2] - one.original.steps[2]) in (0, 1), "the step to what is not finite is one"
    alone = solved(model(mixed), torch.float16, x[:1])[0]
    torch.testing.assert_close(other.z_star[:1], alone.z_star, rtol=0, atol=1e-9)


def test_the_first_phase_takes_half_of_the_steps_at_most() -> None:
    source = compiled("method: picard, damping: 0.05, atol: 1e-6, max_steps: 20, on_failure: ignore, precision: mixed")
    seen = Seen(source)
    solution, _ = solved(model(source), torch.bfloat16, X)
    assert solution.original.status.tolist() == [1] * 7
    assert solution.original.steps.tolist() == [30] * 7
    assert seen.dtypes[: solution.nfe].count(torch.bfloat16) == 11


def test_a_good_start_costs_one_low_evaluation() -> None:
    source = compiled("method: anderson, atol: 1e-8, max_steps: 100, precision: mixed")
    one = model(source)
    z_star = one.solve(X).z_star.detach()
    seen = Seen(source)
    again, _ = solved(one, torch.bfloat16, X, z0=z_star)
    assert again.original.steps.tolist() == [0] * 7
    assert seen.dtypes[:2] == [torch.bfloat16, F64]
    assert again.nfe == 2


@pytest.mark.parametrize(
    ("solver", "adjoint"),
    [
        ("method: anderson, compaction: true, trace: true", "implicit"),
        ("method: picard, mask: $m", "jfb"),
        ("method: picard, mask: $m, compaction: true, termination: {mode: norm, norm: rms}", "none"),
        ("method: anderson, coupling: batch, termination: {mode: norm, norm: rms}", "phantom"),
        ("method: dfsane, coupling: batch, termination: {mode: abs, norm: l2}", "implicit"),
        ("method: broyden, termination: abs_norm_safe_best", "shine"),
        (
            "method: limited_memory_broyden, termination: rel_norm_safe",
            "{linear_solver: {method: gmres, preconditioner: broyden}}",
        ),
        ("method: klement, termination: rel, eval: {max_steps: 140, atol: 1e-9, rtol: 1e-9}", "implicit"),
        ("method: rk4, eval: {step_size: 0.5, max_steps: 400}", "implicit"),
    ],
)
def test_beside_other_settings(solver: str, adjoint: str) -> None:
    """What the spec says besides holds in both phases; compared are solutions of the tolerance."""
    more = ", m: {shape: [40], dtype: bool}" if "$m" in solver else ""
    settings = f"{solver}, atol: 1e-8, rtol: 1e-8, max_steps: 120, on_failure: raise"
    inputs = [X] + ([torch.rand(7, 40, generator=torch.Generator().manual_seed(2)) < 0.8] if more else [])
    results = []
    for precision in ("full", "mixed"):
        source = compiled(f"{settings}, precision: {precision}", adjoint, more)
        seen = Seen(source)
        for training in (True, False):
            with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
                solution = model(source).train(training).solve(*inputs)
            assert solution.original.status.tolist() == [0] * 7
            results.append(solution.z_star)
        assert (torch.bfloat16 in seen.dtypes) == (precision == "mixed")
    for one in results[1:]:
        torch.testing.assert_close(one, results[0], rtol=0, atol=3e-7)


def test_under_vmap() -> None:
    one = model(compiled("method: anderson, atol: 1e-9, max_steps: 100, precision: mixed, compaction: true"))
    x = torch.stack([X, -X])
    with torch.autocast("cpu", torch.bfloat16):
        together = torch.func.vmap(one)(x)
    torch.testing.assert_close(together, torch.stack([one(each) for each in x]), rtol=0, atol=1e-8)


def test_per_sample_gradients() -> None:
    one = model(compiled("method: picard, atol: 1e-9, max_steps: 100, precision: mixed"))
    parameters = dict(one.named_parameters())

    def loss(parameters: dict[str, Tensor], x: Tensor) -> Tensor:
        z: Tensor = torch.func.functional_call(one, parameters, (x.unsqueeze(0),))
        return z.square().sum()

    results = []
    for on in (True, False):
        with torch.autocast("cpu", torch.bfloat16, enabled=on):
            results.append(torch.func.vmap(torch.func.grad(loss), (None, 0))(parameters, X))
    torch.testing.assert_close(*results, rtol=1e-6, atol=1e-6)


def test_what_is_chosen_and_explained() -> None:
    text = SPEC.format(solver="precision: mixed", adjoint="implicit", more="", activation="tanh")
    compilation = compile_text(text, "m.yaml")
    assert compilation.solver.method.name == "anderson"
    told = explain(compilation)
    assert "in mixed precision under autocast" in told
    assert "precision mixed" in told


def test_the_first_phase_reads_truth_values_too() -> None:
    """Attention whose mask is an input: what is no real number is not cast."""
    text = """\
deqc: 1
name: Model
input: {x: [5, 8], m: {shape: [5, 5], dtype: bool}}
scale: [5, 8]
main_layers: [{sum: [{attention: {heads: 2, mask: $m}}, $x]}, layer_norm]
solver: {method: anderson, atol: 1e-8, max_steps: 100, precision: mixed}
"""
    source = import_source(compile_text(text, "m.yaml").source, "m")
    one = model(source)
    x, m = torch.randn(3, 5, 8, dtype=F64), torch.rand(3, 5, 5) < 0.7
    m |= torch.eye(5, dtype=torch.bool)
    with torch.no_grad():
        expected = one(x, m)
        with torch.autocast("cpu", torch.bfloat16):
            solution = one.solve(x, m)
    torch.testing.assert_close(solution.z_star, expected, rtol=0, atol=1e-6)
    assert solution.original.calls is not None


def _compiled(backend: str, apart: int) -> None:
    """Values, gradients, and steps so far apart at most, under torch.compile with the backward pass of eager mode."""
    one = model(compiled("method: anderson, atol: 1e-5, max_steps: 100, precision: mixed"), torch.float32)
    x = X.float()
    solution, right = solved(one, torch.bfloat16, x)

    class Both(torch.nn.Module):
        def forward(self, x: Tensor) -> Any:
            solution = one.solve(x)
            return solution.z_star, solution.original.steps, solution.nfe

    with torch._functorch.config.patch(backward_pass_autocast="off"):
        one.zero_grad()
        x = x.clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16):
            z, steps, nfe = torch.compile(Both(), fullgraph=True, backend=backend)(x)
        z.square().sum().backward()
    torch.testing.assert_close(z, solution.z_star, rtol=0, atol=3e-5)
    torch.testing.assert_close([x.grad, *(p.grad for p in one.parameters())], right, rtol=1e-3, atol=1e-3)
    assert abs(int(nfe) - solution.nfe) <= apart
    assert (steps - solution.original.steps).abs().max() <= apart


def test_compiled() -> None:
    _compiled("aot_eager", 0)


@pytest.mark.slow
def test_compiled_with_inductor() -> None:
    """Inductor does not round between the operations that it fuses."""
    _compiled("inductor", 1)


ROWS = """\
deqc: 1
name: Model
input: {{x: [6]}}
scale: [6]
parameters: {{b: [6]}}
main_layers: [{{sum: [$z, $x, $b]}}, {body}]
solver: {{precision: {precision}, record: [1, 3, 8, 12], atol: 1e-9, max_steps: 200, {solver}}}
"""  # one row has nothing to do with another, to the last bit


def rows(solver: str, body: str = "cos, {times: 0.7}", precision: str = "mixed") -> ModuleType:
    text = ROWS.format(solver=solver, body=body, precision=precision)
    return import_source(compile_text(text, "m.yaml").source, "m")


@pytest.mark.parametrize("compaction", ["true", "false"])
def test_recorded_are_states_after_so_many_steps_of_both_phases(compaction: str) -> None:
    """Of each sample, whose phases are of their own length; the derivatives are those of f as it is."""
    source: Any = rows(f"method: picard, compaction: {compaction}")
    one, numbers = source.Model().double(), (1, 3, 8, 12)
    x = torch.linspace(-2, 1, 7, dtype=F64).unsqueeze(1) + torch.linspace(0, 0.1, 6, dtype=F64)
    x.requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        together = one.solve(x)
    switches = set[int]()
    for k in range(7):
        seen = Seen(source)
        with torch.autocast("cpu", torch.bfloat16):
            alone = one.solve(x[k : k + 1])
        source.f = seen.f
        switch = seen.dtypes.index(F64) - 1  # the steps of the first phase
        switches.add(switch)
        w = one.weights(x[k : k + 1].detach())
        rounded = type(w)(*(t.bfloat16() for t in w))
        z, states = torch.zeros(1, 6, dtype=F64), list[Tensor]()
        for step in range(max(numbers)):
            z = source.f(z, w) if step >= switch else source.f(z.bfloat16(), rounded).to(F64)
            states.append(z)
        for number, batched, own in zip(numbers, together.recorded, alone.recorded, strict=True):
            assert torch.equal(own, states[number - 1])
            assert torch.equal(batched[k : k + 1], own)
    assert len({switch for switch in switches if 1 < switch < max(numbers)}) > 2, "samples differ"
    weights = torch.randn(7, 6, dtype=F64)
    for state in together.recorded:
        (found,) = torch.autograd.grad(state, x, weights, retain_graph=True)
        (expected,) = torch.autograd.grad(source.f(state.detach(), one.weights(x)), x, weights)
        assert torch.equal(found, expected)


def test_recorded_without_autocast_is_as_in_full_precision() -> None:
    made = (rows("method: anderson", precision=precision) for precision in ("mixed", "full"))
    found, expected = (each.Model().double().solve(X).recorded for each in made)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_recorded_of_a_sample_that_overflows() -> None:
    """Its first step is to what is not finite, and counts; the others are of the second phase, from the start."""
    x = X.clone()
    x[2] = 65000.0
    with torch.autocast("cpu", torch.float16):
        solution = rows("method: picard", "{times: 0.5}").Model().double().solve(x)
    for number, state in zip((1, 3, 8, 12), solution.recorded, strict=True):
        torch.testing.assert_close(state[2], (1 - 0.5 ** (number - 1)) * x[2], rtol=1e-12, atol=0)


def test_recorded_when_compiled() -> None:
    one = rows("method: picard, termination: {mode: rel_norm_safe_best}, rtol: 1e-6").Model()
    x = X.float()

    class States(torch.nn.Module):
        def forward(self, x: Tensor) -> Any:
            return one.solve(x).recorded

    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        found, expected = torch.compile(States(), fullgraph=True, backend="aot_eager")(x), one.solve(x).recorded
    torch.testing.assert_close(found, expected, rtol=0, atol=0)
