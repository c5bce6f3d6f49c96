"""torch.compile takes solvers, stop tests and adjoints whole: one graph for any batch, with what eager mode finds."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest
import torch
from torch import Tensor
from torch.func import grad, hessian, jvp, vmap

from deqc.compiler import compile_text
from deqc.loading import import_model
from deqc.solvers import ADJOINTS, INNER_SOLVERS, LINEAR_SOLVERS, SOLVERS
from tests.solvers.rows import ROWS

BED = """\
input: {x: [3]}
scale: [3]
main_layers: [{sum: [{linear: 3}, [$x, {linear: 3}]]}, tanh, {times: 0.8}]
"""
PADDED = """\
input: {x: [L, 3], valid: {shape: [L], dtype: bool}}
scale: [L, 3]
main_layers: [{sum: [{linear: 3}, [$x, {linear: 3}]]}, tanh, {times: 0.8}]
"""
SYMMETRIC = """\
input: {x: [3]}
parameters: {W: [4, 3]}
scale: [3]
main_layers:
  - {linear: {weight: $W, bias: false}}
  - softmax
  - {linear: {weight: $W, transpose: true, bias: false}}
  - {sum: [{times: 0.7}, $x]}
"""

# Weights that lie in the memory of others.
VIEWS = {
    "tied": SYMMETRIC,
    "slices": """\
input: {x: [3]}
scale: [2]
main_layers:
  - {linear: 2}
  - {mul: [{times: 0.5}, [$x, {slice: {stop: 2}}]]}
  - tanh
  - {mul: [{times: 0.5}, [$x, {slice: {start: 1}}]]}
""",
    "reshaped": """\
input: {x: [4]}
scale: [4]
main_layers: [{mul: [{linear: 4}, $x]}, tanh, {reshape: [2, 2]}, {mul: [identity, [$x, {reshape: [2, 2]}]]}, flatten]
""",
}


@dataclass(frozen=True)
class Case:
    """A spec with a solver and an adjoint; solved to 1e-9 unless it says otherwise."""

    name: str
    solver: Mapping[str, object]
    adjoint: Mapping[str, object] = field(default_factory=lambda: {"linear_solver": "lu"})
    body: str = BED
    evaluation: bool = False  # in eval mode
    rounding: float = 1e-11  # by which compiled values may differ: what a solver divides by small numbers
    idle: int = 0  # stages with no sample left: eager mode leaves them out, compiled ones call f where they start

    def model(self) -> Any:
        """Its model, in float64, with the same weights at every call."""
        solver = {"atol": 1e-9, "on_failure": "ignore", **self.solver}
        text = f"deqc: 1\nname: M\n{self.body}solver: {json.dumps(solver)}\nadjoint: {json.dumps(self.adjoint)}\n"
        torch.manual_seed(0)
        return import_model(compile_text(text, "m.yaml"))().double().train(not self.evaluation)

    def inputs(self, batch: int) -> tuple[Tensor, ...]:
        """A batch of them, whose size torch.compile is told to leave open."""
        generator = torch.Generator().manual_seed(batch)
        padded = self.body is PADDED
        x = torch.randn(batch, *([4] if padded else []), 3, generator=generator, dtype=torch.float64)
        given = (x, torch.arange(4).expand(batch, 4) <= torch.arange(batch).unsqueeze(1) % 4) if padded else (x,)
        for value in given:
            torch._dynamo.mark_dynamic(value, 0)
        return given


def _linear(name: str, **options: object) -> Case:
    """The backward solve by that method, to 1e-10."""
    body = SYMMETRIC if name == "cg" else BED
    adjoint = {"linear_solver": {"method": name, "rtol": 1e-10, "max_steps": 60, **options}}
    assume = {"assume": "symmetric"} if name == "cg" else {}
    return Case(f"linear_solver {name}", {"method": "newton"}, {**adjoint, **assume}, body)


BY_SOLVER = tuple(
    Case(
        row.name,
        {"method": row.method, "max_steps": row.max_steps, **row.options},
        rounding=1e-8 if row.method == "klement" else 1e-11,
        idle=4 if row.method == "cascade" else 0,
    )
    for row in ROWS
)
BY_LINEAR_SOLVER = tuple(
    _linear(name, **({"max_steps": 8} if one.unrolled else {}))
    for name, one in LINEAR_SOLVERS.items()
    if name not in ("auto", "lu")
)
BY_ADJOINT = tuple(
    Case(
        f"adjoint {name}",
        {"method": one.solvers[0] if one.solvers else "picard", "atol": 1e-2, "max_steps": 12},
        {"method": name},
    )
    for name, one in ADJOINTS.items()
    if "deq" in one.kinds and name != "implicit"  # those of neural ODEs: test_neural_ode.py
)
BY_INNER_SOLVER = tuple(
    Case(
        f"steps by {name}",
        {"method": "newton_krylov", "assume": "symmetric", "linear_solver": {"method": name, **short}},
        body=SYMMETRIC if name == "cg" else BED,
    )
    for name, one in INNER_SOLVERS.items()
    for short in ({"max_steps": 4} if one.unrolled else {},)
)
OTHERS = (
    *(
        replace(_linear(name, max_steps=8, preconditioner="diagonal"), name=f"{name} over the diagonal")
        for name in ("gmres", "bicgstab", "cg")
    ),
    *(
        Case(
            f"{name} over what {solver} has learnt",
            {"method": solver},
            {"linear_solver": {"method": name, "rtol": 1e-10, "max_steps": 8, "preconditioner": "broyden"}},
            rounding=1e-9,  # what is solved to 1e-10, by another way
        )
        for name, solver in (("gmres", "broyden"), ("bicgstab", "limited_memory_broyden"))
    ),
    *(
        Case(
            f"lu with the factors of {name} to {atol}",
            {"method": name, "atol": atol},
            {"linear_solver": {"method": "lu", "factors": "last_step", "rtol": 1e-10}},
            rounding=1e-9,  # what is refined to 1e-10
        )
        for name, atol in (("newton", 1e-6), ("halley", 1e-6), ("newton", 0.3))  # the last ones are far from z*
    ),
    Case(
        "implicit steps over the diagonal",
        {"method": "trbdf2", "linear_solver": {"method": "gmres", "max_steps": 4, "preconditioner": "diagonal"}},
    ),
    Case("implicit steps by lu", {"method": "trbdf2", "linear_solver": "lu"}),
    Case(
        "a Krylov space begun anew",
        {"method": "newton_krylov", "linear_solver": {"method": "gmres", "memory": 1, "max_steps": 3, "rtol": 1e-6}},
    ),
    Case(
        "the seed's steps in time",
        {"method": "vcabm3", "steady_state": "seed", "atol": 0.01, "rtol": 0.01},
        rounding=1e-8,  # the estimated errors are small differences: a rounding of x moves what is found by 3e-10
    ),
    Case("few stages", {"method": "rock2", "max_stages": 5}),
    Case("coupled steps in time", {"method": "tsit5", "coupling": "batch"}),
    Case("the seed's implicit steps", {"method": "implicit_euler", "steady_state": "seed", "rtol": 0.01}),
    Case("coupled implicit steps", {"method": "rosenbrock23", "coupling": "batch"}),
    Case("a coupled batch", {"method": "anderson", "coupling": "batch"}),
    Case("the best iterate", {"method": "anderson", "termination": "abs_norm_safe_best", "trace": True}),
    Case("a safe mode", {"method": "broyden", "termination": {"mode": "rel_norm_safe", "norm": "l2"}, "rtol": 1e-9}),
    Case("either tolerance", {"method": "picard", "max_steps": 200, "termination": {"mode": "norm", "norm": "rms"}}),
    Case("every entry", {"method": "dfsane", "termination": "rel", "rtol": 1e-9, "max_steps": 200}),
    Case("a trace of several solvers", {"method": "cascade", "trace": True, "max_steps": 20}, idle=4),
    Case("eval", {"method": "picard", "eval": {"damping": 0.7, "max_steps": 200}}, evaluation=True),
    Case("views of one memory", {"method": "picard", "max_steps": 200}, {"linear_solver": "picard"}, VIEWS["slices"]),
    Case(
        "undone, another damping",
        {"method": "reversible", "eval": {"damping": 0.7}},
        {"method": "reversible"},
        evaluation=True,
    ),
    Case(
        "steps taken again",
        {"method": "picard", "atol": 1e-2, "max_steps": 12},
        {"method": "unroll", "checkpoint": "sqrt"},
    ),
    Case("an estimate that is refined", {"method": "broyden"}, {"method": "shine", "refine": 3}),
    Case(
        "an estimate of limited memory, refined",
        {"method": "limited_memory_broyden", "history": 4},
        {"method": "shine", "refine": 3, "fallback": None},
        rounding=1e-9,
    ),
    Case("mask", {"method": "anderson", "mask": "$valid", "termination": {"norm": "rms"}}, body=PADDED),
)
CASES = (*BY_SOLVER, *BY_LINEAR_SOLVER, *BY_ADJOINT, *BY_INNER_SOLVER, *OTHERS)
QUICK = ("anderson",)


def found(case: Case, model: Any, run: Any, batch: int) -> tuple[list[Tensor], list[Tensor]]:
    """Values and gradients, then all that is counted."""
    model.zero_grad()
    inputs = case.inputs(batch)
    solution = run(*inputs)
    record = solution.original
    if case.adjoint.get("method") != "none":
        solution.output.square().sum().backward()
    grads = [parameter.grad.clone() for parameter in model.parameters() if parameter.grad is not None]
    traces = [] if record.trace is None else [record.trace]
    counts = [record.status, record.steps, record.nfe, record.njvp, torch.as_tensor(solution.nfe)]
    return [solution.output.detach(), record.residual_norm, *traces, *grads], counts


def test_every_method_is_among_them() -> None:
    assert {case.solver["method"] for case in BY_SOLVER} == {name for name, one in SOLVERS.items() if not one.eager} - {
        "auto"
    }
    of_deq = {name for name, one in ADJOINTS.items() if "deq" in one.kinds}
    assert {case.adjoint.get("method", "implicit") for case in CASES} == of_deq
    assert {case.name.split()[-1] for case in BY_LINEAR_SOLVER} == LINEAR_SOLVERS.keys() - {"auto", "lu"}


@pytest.mark.parametrize("body", VIEWS.values(), ids=VIEWS)
def test_weights_in_one_memory_are_traced(body: str) -> None:
    """A loop takes no two tensors that share theirs; tracing alone tells."""
    torch._dynamo.reset()
    model = Case("", {"method": "picard", "max_steps": 1}, {"linear_solver": "picard"}, body).model()
    x = torch.ones(3, 4 if "[4]" in body.split("scale")[0] else 3, dtype=torch.float64)
    compiled = cast(Any, torch.compile(model, backend="eager", fullgraph=True))
    assert torch.equal(compiled(x), model(x))
    torch._dynamo.reset()


@pytest.mark.parametrize(
    "case",
    [pytest.param(one, id=one.name, marks=() if one.name in QUICK else pytest.mark.slow) for one in CASES],
)
def test_compiled(case: Case) -> None:
    """Values, gradients and counts of one graph are those of eager mode, for two sizes of the batch."""
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    model = case.model()
    compiled = cast(Any, torch.compile(model.solve, fullgraph=True))
    for batch in (5, 7):
        values, counts = found(case, model, model.solve, batch)
        compiled_values, compiled_counts = found(case, model, compiled, batch)
        counts[-1] += case.idle
        assert [one.tolist() for one in compiled_counts] == [one.tolist() for one in counts]
        torch.testing.assert_close(compiled_values, values, rtol=1e-9, atol=case.rounding, equal_nan=True)
        assert bool((counts[0] == 0).all())
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1
    torch._dynamo.reset()


TRANSFORMS: dict[str, Callable[[Any], Callable[..., Any]]] = {
    "grad": lambda model: grad(lambda *x: model(*x).square().sum()),
    "jvp": lambda model: lambda x: jvp(model, (x,), (x,))[1],
    "vmap": lambda model: vmap(lambda *x: model(*(row.unsqueeze(0) for row in x)).squeeze(0)),
    "hessian": lambda model: hessian(lambda *x: model(*x).square().sum()),
}
TRANSFORMED = {
    "of an exact gradient": ("grad", Case("", {"method": "newton"})),
    "in forward mode": ("jvp", Case("", {"method": "newton"}, {"linear_solver": "picard"})),
    "twice": ("hessian", Case("", {"method": "picard"}, {"linear_solver": "gmres"})),
    "of steps undone": ("grad", Case("", {"method": "reversible"}, {"method": "reversible"})),
    "of an estimate": ("grad", Case("", {"method": "broyden"}, {"method": "shine"})),
    "of no gradient": ("vmap", Case("", {"method": "picard"}, {"method": "none"})),
    "with a mask and settings": (
        "vmap",
        Case("", {"method": "anderson", "mask": "$valid", "eval": {"damping": 0.9}}, {"method": "jfb"}, PADDED),
    ),
}


@pytest.mark.parametrize("name", TRANSFORMED)
def test_a_transform_of_torch_func_breaks_the_graph(name: str) -> None:
    """The solve is eager there, with what eager mode finds; where no break may be, torch says why there is one."""
    torch._dynamo.reset()
    transform, case = TRANSFORMED[name]
    function, inputs = TRANSFORMS[transform](case.model()), tuple(one.clone() for one in case.inputs(3))
    assert torch.equal(torch.compile(function, backend="aot_eager")(*inputs), function(*inputs))
    torch._dynamo.reset()
    with pytest.raises(torch._dynamo.exc.Unsupported, match=r"a compiled loop has no transforms of torch\.func"):
        torch.compile(function, backend="aot_eager", fullgraph=True)(*inputs)
    torch._dynamo.reset()


def test_steps_that_are_written_out_have_transforms() -> None:
    torch._dynamo.reset()
    model = Case("", {"method": "picard", "max_steps": 4}, {"method": "unroll"}).model()
    function, x = TRANSFORMS["grad"](model), torch.ones(3, 3, dtype=torch.float64)
    compiled = torch.compile(function, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(x), function(x), rtol=1e-12, atol=1e-12)
    torch._dynamo.reset()
