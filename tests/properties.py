"""What holds for every generated module, whatever its model: a property is a function of a `Case`, and raises.

`PROPERTIES` are fast; `COMPILED` need minutes, because they run Inductor. A test parametrises both over its cases.
"""

from __future__ import annotations

import contextlib
import copy
import importlib.util
import itertools
import pickle
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, hessian, jacfwd, jacrev, jvp, linearize, vmap

Outputs = Any  # a tensor, or a tuple of tensors


class Case(NamedTuple):
    """A generated module with a model of it that contracts, its inputs, and what it has to compute."""

    name: str
    module: ModuleType
    model: Callable[[], Any]  # an nn.Module in float64, in eval mode, the same at every call
    inputs: Callable[[int], tuple[Tensor, ...]]  # of a batch, the same at every call
    reference: Callable[..., Outputs]  # (model, *inputs) -> what forward returns, unrolled to convergence
    implicit: bool = True  # derivatives come from the implicit function theorem
    traced: bool = True  # false where torch cannot trace the model: it multiplies by a sparse matrix
    sizes: tuple[int, ...] = ()  # that names of dimensions in the scales stand for: arguments of pack and unpack


def import_source(source: str, name: str, directory: Path) -> ModuleType:
    """Writes a generated module and imports it, so that pickle and the compiler find it."""
    path = directory / f"{name}.py"
    path.write_text(source, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@contextlib.contextmanager
def constants(module: ModuleType, **values: float) -> Iterator[None]:
    """Sets those constants that the module has."""
    old = {name: getattr(module, name) for name in values if hasattr(module, name)}
    for name in old:
        setattr(module, name, values[name])
    try:
        yield
    finally:
        for name, value in old.items():
            setattr(module, name, value)


def tight(case: Case) -> contextlib.AbstractContextManager[None]:
    """Tolerances at the precision of float64."""
    small = 1e-13
    names = {"ATOL": small, "RTOL": small, "ADJOINT_RTOL": small, "ADJOINT_ATOL": 0.0}
    return constants(case.module, **names, MAX_STEPS=300, ADJOINT_STEPS=300)


def pieces(outputs: Outputs) -> list[Tensor]:
    """The tensors of an output."""
    return [outputs] if isinstance(outputs, Tensor) else list(outputs)


def flat(outputs: Outputs) -> Tensor:
    """An output as one tensor (B, n)."""
    return torch.cat([piece.flatten(1) for piece in pieces(outputs)], 1)


def loss(outputs: Outputs) -> Tensor:
    """A number that depends on every entry in its own way."""
    v = flat(outputs)
    return (v.sin() * torch.linspace(0.5, 1.5, v.shape[1], dtype=v.dtype)).sum() + (v**2).sum()


def apart(left: Any, right: Any) -> float:
    """The largest difference between two lists of tensors, relative to the larger of 1 and the second's size."""
    distances = [
        float(((a - b).abs().max() / b.abs().max().clamp_min(1)).detach()) for a, b in zip(left, right, strict=True)
    ]
    return max(distances)


def with_parameters(model: nn.Module, count: int) -> tuple[Callable[..., Tensor], tuple[Tensor, ...]]:
    """The model as a function of `count` inputs and its parameters, (B, n) out, and those parameters."""
    names = [name for name, _ in model.named_parameters()]

    def function(*arguments: Tensor) -> Tensor:
        parameters = dict(zip(names, arguments[count:], strict=True))
        return flat(functional_call(model, parameters, arguments[:count]))

    return function, tuple(p.detach().clone() for p in model.parameters())


def gradients(model: nn.Module, inputs: tuple[Tensor, ...], forward: Callable[..., Outputs]) -> list[Tensor]:
    """Of `loss` for the inputs and the parameters; zeros where there is none."""
    leaves = [x.detach().clone().requires_grad_() for x in inputs]
    wanted = [*leaves, *model.parameters()]
    got = torch.autograd.grad(loss(forward(*leaves)), wanted, allow_unused=True)
    return [torch.zeros_like(v) if g is None else g for g, v in zip(got, wanted, strict=True)]


def _leaves(case: Case, batch: int) -> tuple[Callable[..., Tensor], tuple[Tensor, ...]]:
    model, inputs = case.model(), case.inputs(batch)
    function, parameters = with_parameters(model, len(inputs))
    return function, tuple(v.detach().clone().requires_grad_() for v in (*inputs, *parameters))


# ---- values and first derivatives


def values(case: Case) -> None:
    """forward is the unrolled model."""
    model, inputs = case.model(), case.inputs(5)
    with tight(case):
        assert apart(pieces(model(*inputs)), pieces(case.reference(model, *inputs))) < 1e-11


def gradients_of_inputs_and_parameters(case: Case) -> None:
    """Gradients are those of the unrolled model."""
    model, inputs = case.model(), case.inputs(5)
    with tight(case):
        got = gradients(model, inputs, model)
    want = gradients(model, inputs, lambda *x: case.reference(model, *x))
    assert any(bool(g.abs().max() > 1e-6) for g in want)
    assert apart(got, want) < 1e-9


def gradient_is_linear_in_the_cotangent(case: Case) -> None:
    """A loss that is scaled has scaled gradients, at the tolerances as emitted, also where its square is no number."""
    model, inputs = case.model(), case.inputs(5)
    wanted = list(model.parameters())

    def scaled(factor: float) -> list[Tensor]:
        return list(torch.autograd.grad(factor * loss(model(*inputs)), wanted, materialize_grads=True))

    with constants(case.module, ATOL=1e-12, RTOL=1e-12, MAX_STEPS=300), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        one = scaled(1.0)
        for power in (-700, -30, 700):
            assert apart([g * 2.0**-power for g in scaled(2.0**power)], one) < 1e-12


def a_sample_without_cotangent_has_none(case: Case) -> None:
    """Zero rows of the cotangent give zero gradients for those samples and finite ones for the parameters."""
    model, inputs = case.model(), [x.clone().requires_grad_() for x in case.inputs(4)]
    output = flat(model(*inputs))
    leaves = [*inputs, *model.parameters()]  # those of a start have no gradient
    got = torch.autograd.grad(output[[0, 2]].sum(), leaves, materialize_grads=True)
    assert all(bool(g.isfinite().all()) for g in got)
    assert all(bool((g[[1, 3]] == 0).all()) for g in got[: len(inputs)])
    zero = torch.autograd.grad(0.0 * flat(model(*inputs)).sum(), leaves, materialize_grads=True)
    assert all(bool((g == 0).all()) for g in zero)


def samples_are_apart(case: Case) -> None:
    """A sample's answer does not depend on its batch mates."""
    model, inputs = case.model(), case.inputs(5)
    if "_joint" in vars(case.module):
        return
    whole = flat(model(*inputs))
    alone = torch.cat([flat(model(*(x[i : i + 1] for x in inputs))) for i in range(5)])
    assert apart([whole], [alone]) < 1e-12


def batches_of_none_and_one(case: Case) -> None:
    """Empty batches and batches of one work, backward included."""
    model = case.model()
    for batch in (0, 1):
        inputs = tuple(x[:batch] for x in case.inputs(2))
        solution = model.solve(*inputs)
        assert all(len(piece) == batch for piece in pieces(solution.z_star))
        assert len(solution.original.status) == batch
        if batch or case.implicit:  # unrolled, nothing is differentiable where no step is taken
            gradients(model, inputs, model)


# ---- the record and the contract


def solution_fields(case: Case) -> None:
    """solve returns the state, its start, its residual, and one record entry a sample."""
    model, inputs = case.model(), case.inputs(5)
    with tight(case):
        solution = model.solve(*inputs)
        z = model.pack(solution.z_star, *case.sizes)
        assert apart(pieces(model(*inputs)), pieces(solution.output)) == 0
        assert apart([model.pack(solution.residual, *case.sizes)], [model.step(z, *inputs) - z]) < 1e-13
        assert float(model.pack(solution.residual, *case.sizes).detach().abs().max()) < 1e-11
        assert apart(pieces(model.unpack(z, *case.sizes)), pieces(solution.z_star)) == 0
        again = model.solve(*inputs, z0=solution.z_star)
    record = solution.original
    assert isinstance(solution.nfe, int)
    assert solution.nfe == int(record.nfe.max())
    assert again.nfe == 1
    assert record.status.dtype == torch.int64
    assert record.status.tolist() == [0] * 5
    assert all(v.shape == (5,) for v in (record.steps, record.nfe, record.njvp, record.residual_norm))
    assert bool((record.best_residual_norm <= record.residual_norm).all())
    assert record.trace is None
    assert (solution.jacobian_loss is None) == ("_jacobian_loss" not in vars(case.module))
    assert tuple(type(solution)()) == (None,) * (9 if "RECORD" in vars(case.module) else 7)


def depth_applies_f(case: Case) -> None:
    """`depth=k` is f applied k times, gradients included."""
    model, inputs = case.model(), case.inputs(3)
    solution = model.solve(*inputs, depth=3)
    z = model.pack(solution.u0, *case.sizes)
    for _ in range(3):
        z = model.step(z, *inputs)
    assert apart([model.pack(solution.z_star, *case.sizes)], [z]) < 1e-13
    assert solution.nfe == 3
    assert apart([model.pack(solution.residual, *case.sizes)], [model.step(z, *inputs) - z]) < 1e-13
    assert apart(pieces(solution.output), pieces(model(*inputs, depth=3))) == 0
    assert solution.output is not None
    assert loss(model(*inputs, depth=3)).requires_grad


def gradients_flow_through_the_fields(case: Case) -> None:
    """z_star and residual are differentiable in the inputs."""
    model, inputs = case.model(), [x.clone().requires_grad_() for x in case.inputs(3)]
    solution = model.solve(*inputs)
    for field in (solution.z_star, solution.residual):
        got = torch.autograd.grad(loss(field), inputs, retain_graph=True, allow_unused=True)
        assert any(g is not None and bool(g.isfinite().all()) for g in got)


def not_a_number_stays_where_it_is(case: Case) -> None:
    """A sample that is not finite ends as such with a finite state, and the others are bit-equal."""
    model, inputs = case.model(), case.inputs(5)
    broken = [x.clone() for x in inputs]
    broken[0][1] = float("nan")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            got, want = model.solve(*broken), model.solve(*inputs)
        except RuntimeError as error:
            assert "non_finite" in str(error)
            return
    assert got.original.status.tolist()[1] == 4
    assert bool(model.pack(got.z_star, *case.sizes).isfinite().all()) or "_initial" in dir(model)
    if "_joint" not in vars(case.module):
        others = [0, 2, 3, 4]
        assert torch.equal(model.pack(got.z_star, *case.sizes)[others], model.pack(want.z_star, *case.sizes)[others])
        assert torch.equal(got.original.steps[others], want.original.steps[others])


def failure_is_reported(case: Case) -> None:
    """A solve that may take no step says so."""
    model, inputs = case.model(), case.inputs(3)
    with constants(case.module, MAX_STEPS=1, ATOL=1e-14, RTOL=1e-14), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            record = model.solve(*inputs).original
        except RuntimeError as error:
            assert "3 max_steps" in str(error)
            return
    assert record.status.tolist() == [1] * 3
    assert [w for w in caught if "3 max_steps" in str(w.message)] or "_report" not in vars(case.module)


def backward_record(case: Case) -> None:
    """The record of the backward solve is filled by it, and by nothing that runs under a transform."""
    if not case.implicit:
        return
    model, inputs = case.model(), case.inputs(3)
    leaves = [x.clone().requires_grad_() for x in inputs]
    solution = model.solve(*leaves)
    assert solution.original.adjoint is None
    torch.autograd.grad(loss(solution.z_star), leaves, allow_unused=True)
    adjoint: Any = solution.original.adjoint  # filled by now
    assert type(adjoint) is type(solution.original)
    assert adjoint.status.tolist() == [0] * 3
    assert bool((adjoint.njvp > 0).all())
    kept: list[Any] = []

    def inside(*x: Tensor) -> Tensor:
        solution = model.solve(*(v.unsqueeze(0) for v in x))
        kept.append(solution.original)
        return loss(solution.z_star)

    vmap(grad(inside))(*inputs)
    assert [record.adjoint for record in kept] == [None]


def bare_fixed_point(case: Case) -> None:
    """`fixed_point` solves any map of any size."""
    module, cls = case.module, type(case.model())
    with tight(case):
        z, record = module.fixed_point(lambda z: torch.cos(z) * 0.3 + z.roll(1, 1) * 0.2, torch.zeros(4, 7).double())
    assert record.status.tolist() == [0] * 4
    assert float((torch.cos(z) * 0.3 + z.roll(1, 1) * 0.2 - z).abs().max()) < 1e-11
    assert cls.fixed_point is module.fixed_point
    assert cls.Status is module.Status
    assert list(module.Status) == [0, 1, 2, 3, 4]


def singular_systems_end_as_they_are(case: Case) -> None:
    """z + 1 has no fixed point: the solve ends without an error and says that it failed; z is one everywhere."""
    z, record = case.module.fixed_point(lambda z: z + 1, torch.zeros(2, 3).double())
    assert bool((record.status != 0).all())
    assert bool(z.isfinite().all())
    _, record = case.module.fixed_point(lambda z: z * 1.0, torch.ones(2, 3).double())
    assert record.status.tolist() == [0, 0]


def state_dict_says_where_it_is_from(case: Case) -> None:
    """The extra state names the spec; a state_dict without it loads too."""
    model = case.model()
    state = model.state_dict()
    assert state["_extra_state"] == {"deqc_version": model.deqc_version, "spec_sha256": model.spec_sha256}
    fresh = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in fresh.parameters():
            parameter.zero_()
    fresh.load_state_dict(state)
    assert apart(fresh.parameters(), model.parameters()) == 0
    plain = {name: value for name, value in state.items() if name != "_extra_state"}
    fresh.load_state_dict(plain)
    nn.Sequential(fresh).load_state_dict({f"0.{name}": value for name, value in plain.items()})
    assert "solver" in repr(model)


def copies(case: Case) -> None:
    """deepcopy and pickle give independent models that compute the same."""
    model, inputs = case.model(), case.inputs(3)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(flat(other(*inputs)), flat(model(*inputs)))
        with torch.no_grad():
            for p in other.parameters():
                p.add_(0.01)
        assert not torch.equal(flat(other(*inputs)), flat(model(*inputs)))
        other.load_state_dict(model.state_dict())
        assert torch.equal(flat(other(*inputs)), flat(model(*inputs)))


def memory_does_not_grow(case: Case) -> None:
    """What is kept for the backward is the same after few and after many steps."""
    if not case.implicit:
        return
    model, inputs = case.model(), case.inputs(3)

    def kept(steps: int) -> int:
        count = 0

        def pack(tensor: Tensor) -> Tensor:
            nonlocal count
            count += 1
            return tensor

        values = {"MAX_STEPS": steps, "ATOL": 1e-300, "RTOL": 1e-300}
        with (
            constants(case.module, **values),
            torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t),
            warnings.catch_warnings(),
            contextlib.suppress(RuntimeError),
        ):
            warnings.simplefilter("ignore")
            model(*inputs)
        return count

    assert kept(2) == kept(32)


def lint(*paths: Path) -> None:
    """Ruff, its formatter and mypy --strict have nothing to say; all in one run, because mypy reads torch first."""
    for command in (
        ["ruff", "check", "--isolated", "--line-length", "120", "--select", "E,F,W,I,UP,B,SIM", "--ignore", "B905"],
        ["ruff", "format", "--check", "--isolated", "--line-length", "120"],
        ["mypy", "--strict", "--allow-untyped-calls", "--no-error-summary"],
    ):
        done = subprocess.run(
            [sys.executable, "-m", *command, *map(str, paths)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


# ---- every order, both modes, torch.func


def gradcheck(case: Case) -> None:
    """Reverse and forward mode, batched and not, against finite differences."""
    function, leaves = _leaves(case, 2)
    with tight(case):
        assert torch.autograd.gradcheck(function, leaves, fast_mode=True, check_forward_ad=True)
        if _small(leaves):
            checks = {"check_forward_ad": True, "check_batched_grad": True, "check_batched_forward_grad": True}
            assert torch.autograd.gradcheck(_few(function, leaves), leaves[:2], **checks)


def gradgradcheck(case: Case) -> None:
    """Second derivatives: reverse over reverse, batched, forward over reverse."""
    function, leaves = _leaves(case, 1)
    with tight(case):
        assert torch.autograd.gradgradcheck(function, leaves, fast_mode=True, check_fwd_over_rev=True)


def batched_second_derivatives(case: Case) -> None:
    """Batched gradients of gradients."""
    function, leaves = _leaves(case, 1)
    if not _small(leaves):
        return
    with tight(case):
        few = _few(function, leaves)
        assert torch.autograd.gradgradcheck(few, leaves[:2], check_batched_grad=True)


def _small(leaves: tuple[Tensor, ...]) -> bool:
    return all(v.numel() <= 40 for v in leaves[:2])


def _few(function: Callable[..., Tensor], leaves: tuple[Tensor, ...]) -> Callable[..., Tensor]:
    rest = tuple(v.detach() for v in leaves[2:])
    return lambda *v: function(*v, *rest)


def flat_sum(tensors: Iterable[Tensor]) -> Tensor:
    """The sum of all entries."""
    return torch.stack([t.sum() for t in tensors]).sum()


def third_order(case: Case) -> None:
    """A third derivative is that of the unrolled model."""
    model, inputs = case.model(), [x.clone().requires_grad_() for x in case.inputs(2)]
    parameter = next(p for name, p in model.named_parameters() if not name.startswith("init."))

    def third(output: Outputs) -> list[Tensor]:
        first = torch.autograd.grad(loss(output), inputs, create_graph=True)
        second = torch.autograd.grad(flat_sum(g**2 for g in first), inputs, create_graph=True)
        return list(torch.autograd.grad(flat_sum(second), [parameter]))

    with tight(case):
        got = third(model(*inputs))
    # unrolled, every further derivative lags behind the values by some steps of the solver
    assert apart(got, third(case.reference(model, *inputs))) < (1e-7 if case.implicit else 1e-5)


def transforms(case: Case) -> None:
    """torch.func: grad, vmap over samples and weights, per-sample gradients, jacobians, hessians, jvp, linearize."""
    function, leaves = _leaves(case, 2)
    inputs = case.inputs(2)
    n = len(inputs)
    arguments = tuple(v.detach() for v in leaves)
    weights = arguments[n:]

    def number(*a: Tensor) -> Tensor:
        return loss(function(*a))

    with tight(case):
        every = tuple(range(len(arguments)))
        want = torch.autograd.grad(number(*leaves), leaves, materialize_grads=True)
        assert apart(grad(number, every)(*arguments), want) < 1e-10
        whole = function(*arguments)
        mapped = vmap(lambda *x: function(*(v.unsqueeze(0) for v in x), *weights)[0])(*inputs)
        assert apart([mapped], [whole]) < 1e-11
        rows = tuple(x.unsqueeze(1) for x in inputs)
        each = vmap(grad(number, n), (0,) * n + (None,) * len(weights))(*rows, *weights)
        assert apart([each.sum(0)], [want[n]]) < 1e-10
        pairs = tuple(torch.stack([p, p * 0.5]) for p in weights)
        ensemble = vmap(function, (None,) * n + (0,) * len(weights))(*inputs, *pairs)
        assert apart([ensemble[0], ensemble[1]], [whole, function(*inputs, *(p * 0.5 for p in weights))]) < 1e-11
        ones = tuple(torch.ones_like(v) for v in arguments)
        tangent = jvp(function, arguments, ones)[1]
        if case.traced:
            with constants(case.module, MAX_STEPS=60, ADJOINT_STEPS=60):  # traced, a loop takes every step it may
                assert apart([linearize(function, *arguments)[1](*ones)], [tangent]) < 1e-9
        if _small(arguments):
            reverse, forward = jacrev(function)(*arguments), jacfwd(function)(*arguments)
            assert apart([forward], [reverse]) < 1e-10
            assert apart([hessian(number)(*arguments)], [jacrev(grad(number))(*arguments)]) < 1e-9


PROPERTIES: tuple[Callable[[Case], None], ...] = (
    values,
    gradients_of_inputs_and_parameters,
    gradient_is_linear_in_the_cotangent,
    a_sample_without_cotangent_has_none,
    samples_are_apart,
    batches_of_none_and_one,
    solution_fields,
    depth_applies_f,
    gradients_flow_through_the_fields,
    not_a_number_stays_where_it_is,
    failure_is_reported,
    backward_record,
    bare_fixed_point,
    singular_systems_end_as_they_are,
    state_dict_says_where_it_is_from,
    copies,
    memory_does_not_grow,
    gradcheck,
    gradgradcheck,
    batched_second_derivatives,
    third_order,
    transforms,
)


# ---- compiled


def compiled_gradients(case: Case, dtype: torch.dtype = torch.float64) -> None:
    """Under a plain torch.compile(fullgraph=True), with Inductor, gradients are those of eager mode."""
    torch._dynamo.reset()
    model, inputs = case.model().to(dtype), tuple(x.to(dtype) for x in case.inputs(12))
    # loops of several steps forward and backward: what goes wrong there does so from the second on
    small = 1e-9 if dtype == torch.float64 else 1e-5
    with constants(case.module, ATOL=small, RTOL=small, ADJOINT_RTOL=small):
        want = gradients(model, inputs, model)
        got = gradients(model, inputs, torch.compile(model, fullgraph=True))
    assert apart(got, want) < 100 * small


def compiled_gradients_in_single_precision(case: Case) -> None:
    """The same in float32."""
    compiled_gradients(case, torch.float32)


def compiled_batches(case: Case) -> None:
    """One compiled model takes several batch sizes."""
    torch._dynamo.reset()
    model = case.model()
    compiled: Any = torch.compile(model, fullgraph=True)
    for batch in (9, 4, 17):
        inputs = case.inputs(batch)
        assert apart(gradients(model, inputs, compiled), gradients(model, inputs, model)) < 1e-3
        assert apart(pieces(compiled(*inputs)), pieces(model(*inputs))) < 1e-9


def compiled_without_gradients(case: Case) -> None:
    """Under no_grad and inference_mode the compiled model returns what the other does."""
    model, inputs = case.model().eval(), case.inputs(5)
    for mode in (torch.no_grad, torch.inference_mode):
        torch._dynamo.reset()
        compiled: Any = torch.compile(model, fullgraph=True)
        with mode():
            assert apart(pieces(compiled(*inputs)), pieces(model(*inputs))) < 1e-9


def compiled_solve(case: Case) -> None:
    """solve compiles as one graph and returns the same solution and record."""
    torch._dynamo.reset()
    model, inputs = case.model(), case.inputs(9)
    compiled: Any = torch.compile(model.solve, fullgraph=True)
    got, want = compiled(*inputs), model.solve(*inputs)
    assert apart([got.nfe], [torch.tensor(want.nfe)]) == 0
    assert got.nfe.shape == ()
    assert got.original.status.tolist() == want.original.status.tolist()
    assert got.original.steps.tolist() == want.original.steps.tolist()
    assert got.original.adjoint is None
    assert apart(pieces(got.z_star), pieces(want.z_star)) < 1e-9


def exported(case: Case) -> None:
    """torch.export takes the module, strictly and not, for any batch."""
    torch._dynamo.reset()
    model, inputs = case.model(), case.inputs(5)
    batch = torch.export.Dim("batch")
    for strict, gradients_on in itertools.product((False, True), repeat=2):
        with torch.set_grad_enabled(gradients_on):
            program = torch.export.export(model, inputs, dynamic_shapes=({0: batch},) * len(inputs), strict=strict)
        for size in (5, 9):
            other = case.inputs(size)
            assert apart(pieces(program.module()(*other)), pieces(model(*other))) < 1e-9


COMPILED: tuple[Callable[[Case], None], ...] = (
    compiled_gradients,
    compiled_gradients_in_single_precision,
    compiled_batches,
    compiled_without_gradients,
    compiled_solve,
    exported,
)
