"""Every step of the language: what it computes, its generated derivatives and its cost, against torch."""

from __future__ import annotations

import contextlib
import copy
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from math import prod
from typing import Any

import pytest
import torch
from torch import Tensor

from deqc.explain import explain
from deqc.ops import OPS, STEPS
from tests.ops.compiled import PASSES, Compiled, build, gap
from tests.ops.table import OUTSIDE, ROWS, Outside, Row

EXACT = 1e-12
CLOSE = 1e-10
UNOPTIMISED = [frozenset(), PASSES]  # with all passes, and with none

rows = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
passes = pytest.mark.parametrize("disabled", UNOPTIMISED, ids=["all passes", "no pass"])


def spec(row: Row, linear: str = "lu") -> str:
    """Two scales: the step leads from the first into the second, values pass through sin before it."""
    return f"""
deqc: 1
name: Use
input: {{x: {list(row.x)}}}
scales: [{list(row.of)}, {list(row.to)}]
main_layers: {{each: [sin, {{times: 2}}]}}
mapping_layers:
  - [identity, {row.step}]
  - [null, {{times: 0.5}}]
solver: picard
adjoint: {{linear_solver: {linear}}}
"""


@cache
def compiled(row: Row, disabled: frozenset[str]) -> Compiled:
    return build(spec(row), disabled, scale=0.7)


def oracle(row: Row, case: Compiled, z: Tensor) -> Tensor:
    """The same f in torch."""
    prefix = "mapping_layers.0.1."
    parameters = {name.removeprefix(prefix): value for name, value in case.parameters.items()}
    h0, h1 = (2 * v.sin() for v in case.model.unpack(z))  # type: ignore[operator]
    y1 = row.oracle(parameters, h0, case.inputs[0]) + 0.5 * h1
    result: Tensor = case.model.pack((h0, y1))  # type: ignore[operator]
    return result


def test_every_step_has_a_row() -> None:
    tested = (
        {row.op for row in ROWS} | {row.op for row in OUTSIDE} | {"zeros", "random", "embedding"}
    )  # in init, below; of whole numbers, in tests/test_inputs.py
    assert tested == set(STEPS)


@contextlib.contextmanager
def no_warning_left_out() -> Iterator[None]:
    """Torch warns each time, not only at the first."""
    torch.set_warn_always(True)
    try:
        yield
    finally:
        torch.set_warn_always(False)


@rows
@passes
def test_value(row: Row, disabled: frozenset[str]) -> None:
    case = compiled(row, disabled)
    z = case.state()
    expected = oracle(row, case, z)
    assert gap(case.meaning(z), expected) < EXACT
    assert gap(case.module.f(z, case.weights()), expected) < EXACT


@rows
def test_value_of_several_at_once(row: Row) -> None:
    """States and weights under vmap, as an ensemble has them."""
    case = compiled(row, frozenset())
    z, w = case.state(), tuple(v.detach() for v in case.weights())
    kind = type(case.weights())
    stacked = (torch.stack([v, 0.5 * v]) for v in (z, *w))
    found = torch.func.vmap(lambda z, *w: case.module.f(z, kind(*w)))(*stacked)
    assert gap(found[0], case.module.f(z, kind(*w))) < EXACT
    assert gap(found[1], case.module.f(0.5 * z, kind(*(0.5 * v for v in w)))) < EXACT


@rows
@passes
def test_vjp_and_pullback(row: Row, disabled: frozenset[str]) -> None:
    case = compiled(row, disabled)
    assert case.compilation.derivatives is not None
    assert bool(case.compilation.derivatives.autograd) == row.autograd
    z, u = case.state().requires_grad_(), case.state(5)
    w = type(case.weights())(*(v.detach().requires_grad_() for v in case.weights()))
    fz = case.module.f(z, w)
    expected = torch.autograd.grad(fz, (z, *w), u, materialize_grads=True)
    z, w = z.detach(), type(w)(*(v.detach() for v in w))
    assert gap(case.vjp(u, z, w), expected[0]) < CLOSE
    pulled = case.module.pullback(u, z, w)
    assert type(pulled) is type(w)
    for name, mine, theirs in zip(w._fields, pulled, expected[1:], strict=True):
        assert gap(mine, theirs) < CLOSE, name


@rows
def test_gradients_of_parameters_and_input(row: Row) -> None:
    """Through `weights`, against autograd of the oracle."""
    case = compiled(row, frozenset())
    z, u = case.state().requires_grad_(), case.state(6)
    wanted = (case.inputs[0], *case.model.parameters())
    # z is asked for too: torch 2.13 crashes in the backward of group_norm on a permuted input that needs no gradient
    _, *expected = torch.autograd.grad(oracle(row, case, z), (z, *wanted), u, materialize_grads=True, allow_unused=True)
    w = case.weights()
    pulled = case.module.pullback(u, z.detach(), type(w)(*(v.detach() for v in w)))
    roots = [(v, g) for v, g in zip(w, pulled, strict=True) if v.requires_grad]
    if not roots:
        assert not any(g.any() for g in expected)
        return
    values, cotangents = zip(*roots, strict=True)
    found = torch.autograd.grad(values, wanted, cotangents, allow_unused=True, materialize_grads=True)
    for mine, theirs in zip(found, expected, strict=True):
        assert gap(mine, theirs) < CLOSE


@rows
def test_third_derivatives(row: Row) -> None:
    """Torch's own rules are not taken on trust: those of the code against those of the meaning."""
    case = compiled(row, frozenset())

    def third(f: Callable[[Tensor], Tensor]) -> Tensor:
        z = case.state().requires_grad_()
        g = f(z).sin().sum()
        for _ in range(3):
            (g,) = torch.autograd.grad(g.square().sum(), z, create_graph=True)
        return g

    w = case.weights()
    expected = third(case.meaning)
    assert gap(third(lambda z: case.module.f(z, w)), expected) < CLOSE * max(1.0, float(expected.detach().abs().amax()))


@rows
def test_no_samples(row: Row) -> None:
    """Nothing is said of a batch that is empty."""
    case = compiled(row, frozenset())
    model: Any = case.model
    inputs, z = (x[:0] for x in case.inputs), case.state()[:0]
    with warnings.catch_warnings(), no_warning_left_out():
        warnings.simplefilter("error")
        w = model.weights(*inputs)
        assert case.module.f(z, w).shape == z.shape
        assert case.vjp(z, z, w).shape == z.shape
        for found, like in zip(case.module.pullback(z, z, w), w, strict=True):
            assert found.shape == like.shape


@rows
@passes
def test_jacobian(row: Row, disabled: frozenset[str]) -> None:
    case = compiled(row, disabled)
    module, z, w = case.module, case.state(), type(case.weights())(*(v.detach() for v in case.weights()))
    whole = torch.func.jacfwd(lambda z: module.f(z, w))(z)
    batch = range(len(z))
    for i in batch:
        for j in batch:
            assert i == j or not whole[i, :, j].any(), "a sample depends on another"
    expected = torch.stack([whole[i, :, i] for i in batch])
    assert gap(module.jacobian(z, w), expected) < CLOSE
    eye = torch.eye(z.shape[1], dtype=z.dtype)[:, None].expand(-1, len(z), -1)
    mapped = torch.func.vmap(lambda u: case.vjp(u, z, w))(eye).transpose(0, 1)
    assert gap(mapped, expected) < CLOSE


@rows
def test_cost(row: Row) -> None:
    lowered = compiled(row, frozenset()).compilation.lowered
    for node in lowered.nodes:
        if not node.leaf:
            cost = OPS[node.op].flops(node.attributes, [o.type for o in node.operands], node.type)
            assert cost >= 0
            assert isinstance(cost, int)
            if node.op == row.op and not row.free:
                assert cost >= prod(node.type.shape) > 0


WITHOUT_A_RULE = [
    pytest.param(row, linear, marks=[] if k == 0 and linear == "lu" else [pytest.mark.slow], id=f"{row.id} {linear}")
    for k, row in enumerate(r for r in ROWS if r.autograd)
    for linear in ("lu", "gmres")
]


@pytest.mark.parametrize(("row", "linear"), WITHOUT_A_RULE)
def test_an_op_without_a_rule_compiles(row: Row, linear: str) -> None:
    case = build(spec(row, linear).replace("{times: 2}", "{times: 0.1}"), scale=0.3, tolerances={})
    wanted = (*case.inputs, *case.model.parameters())

    def gradients(model: Callable[..., tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
        loss = sum((v.square().sum() for v in model(*case.inputs)), 0 * case.inputs[0].sum())
        return torch.autograd.grad(loss, wanted, allow_unused=True, materialize_grads=True)

    expected = gradients(case.model)
    torch.compiler.reset()
    found = gradients(torch.compile(case.model, backend="aot_eager", fullgraph=True))
    for mine, theirs in zip(found, expected, strict=True):
        assert gap(mine, theirs) < CLOSE


def outside_spec(row: Outside) -> str:
    """A step in the encoder, its value read by f and by the head."""
    return f"""
deqc: 1
name: Outside
input: {{x: {list(row.of)}}}
encoder: {{e: {row.step}}}
scale: {list(row.of)}
main_layers: {{sum: [[sin, {{times: 0.3}}], $e]}}
head: [{{sum: [$z, $e]}}, flatten]
solver: picard
"""


@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
@pytest.mark.parametrize("row", OUTSIDE, ids=lambda row: f"{row.op}: {row.step} on {list(row.of)}")
def test_outside_of_f(row: Outside, training: bool) -> None:
    case = build(outside_spec(row), batch=4)
    layer = copy.deepcopy(row.layer).double().train(training)
    twin = case.model.get_submodule(f"encoder.e.{row.op}")
    assert repr(twin) == repr(layer)
    with torch.no_grad():
        for name, buffer in layer.named_buffers():
            if name.startswith("running"):
                buffer.copy_(torch.rand_like(buffer) + 0.5)
    own = {name: value.clone() for name, value in layer.state_dict().items()}
    twin.load_state_dict({**own, **{k: v.detach() for k, v in twin.named_parameters()}})
    layer.load_state_dict(twin.state_dict())
    case.model.train(training)
    torch.manual_seed(4)
    e = layer(*case.inputs)
    z = torch.zeros_like(e)
    for _ in range(60):
        z = 0.3 * z.sin() + e
    torch.manual_seed(4)
    assert gap(case.model(*case.inputs), (z + e).flatten(1)) < CLOSE
    for (name, mine), theirs in zip(twin.state_dict().items(), layer.state_dict().values(), strict=True):
        assert gap(mine, theirs) == 0, name


def test_an_image_that_is_channels_last() -> None:
    """Torch 2.13 crashes where of such an image only the gain and shift of its group_norm have a gradient."""
    case = build("""
deqc: 1
name: Use
input: {x: [4, 2, 3]}
encoder: {e: {group_norm: 2}}
scale: [4, 2, 3]
main_layers: {sum: [[sin, {times: 0.3}], $e, [$x, {group_norm: 4}]]}
head: [$z, {group_norm: 1}]
solver: picard
""")
    parameters, (x,) = tuple(case.model.parameters()), case.inputs

    def gradients(x: Tensor) -> tuple[Tensor, ...]:
        return torch.autograd.grad(case.model(x).sin().sum(), parameters)

    found = gradients(x.detach().contiguous(memory_format=torch.channels_last))
    for mine, theirs in zip(found, gradients(x), strict=True):
        assert gap(mine, theirs) < CLOSE


def test_one_mask_a_solve() -> None:
    """In training the mask is drawn once: all of f sees it, its mean is 1."""
    case = build(spec(next(r for r in ROWS if r.op == "variational_dropout")), batch=2000)
    case.model.train()
    torch.manual_seed(0)
    w = case.weights()
    (mask,) = w
    assert set(mask.unique().tolist()) == {0.0, 2.0}
    assert abs(float(mask.mean()) - 1) < 0.05
    z = case.state()
    h0, h1 = (2 * v.sin() for v in case.model.unpack(z))  # type: ignore[operator]
    assert gap(case.module.f(z, w), torch.cat([h0, mask * h0 + 0.5 * h1], 1)) < EXACT


@pytest.mark.parametrize(("shape", "init"), [((3,), "zeros"), ((2, 3, 2), "zeros"), ((3,), "[zeros]")])
def test_zeros(shape: tuple[int, ...], init: str) -> None:
    case = build(f"""
deqc: 1
name: Start
input: {{x: {list(shape)}}}
scales: [{list(shape)}, {list(shape)}]
init: [{{times: 2}}, {init}]
main_layers: {{each: [sin, {{times: 0.5}}]}}
solver: picard
""")
    u0 = case.model.solve(*case.inputs).u0  # type: ignore[operator]
    assert gap(u0[0], 2 * case.inputs[0]) == 0
    assert gap(u0[1], torch.zeros_like(case.inputs[0])) == 0


@pytest.mark.parametrize(("init", "keep"), [("random", 1.0), ("{random: {keep: 0.3}}", 0.3)])
def test_random(init: str, keep: float) -> None:
    case = build(
        f"""
deqc: 1
name: Start
input: {{x: [3]}}
scales: [[5], [2, 3]]
init: [{init}, null]
main_layers: {{each: [sin, {{times: 0.5}}]}}
solver: picard
""",
        batch=4000,
    )
    first, second = (case.model.solve(*case.inputs).u0 for _ in range(2))  # type: ignore[operator]
    u0 = first[0]
    assert u0.shape == (4000, 5)
    assert not first[1].any()
    assert not torch.equal(u0, second[0])  # drawn anew in every call
    assert abs(float((u0 != 0).double().mean()) - keep) < 0.02
    assert abs(float(u0[u0 != 0].mean())) < 0.05
    assert abs(float(u0[u0 != 0].std()) - 1) < 0.03


@pytest.mark.parametrize("trainable", [False, True])
def test_frequencies_are_drawn_once(trainable: bool) -> None:
    case = build(f"""
deqc: 1
name: Fourier
input: {{x: [3]}}
encoder: {{e: {{fourier_features: {{out: 4000, sigma: 5, trainable: {str(trainable).lower()}}}}}}}
scale: [2]
main_layers: {{sum: [[sin, {{times: 0.5}}], [$e, {{linear: 2}}]]}}
solver: picard
""")
    path = "encoder.e.fourier_features.weight"
    assert (path in dict(case.model.named_parameters())) == trainable
    assert path in case.model.state_dict()
    made = case.module.Fourier()  # `build` draws parameters anew
    weight = made.get_parameter(path) if trainable else made.get_buffer(path)
    assert weight.shape == (2000, 3)
    assert abs(float(weight.std()) - 5) < 0.2
    assert ("buffer" in explain(case.compilation)) != trainable
