"""Names in generated code: none of a spec's collides with one of deqc's own; those that would are refused."""

from __future__ import annotations

import ast
import builtins
import keyword
import re
from functools import cache
from pathlib import Path

import pytest
import torch

from deqc import reference
from deqc.compiler import Compilation, compile_text
from deqc.diagnostics import Diagnostic, Severity
from deqc.emit.naming import Namer, field_names
from deqc.front import check_text
from deqc.ir.graph import Program
from deqc.loading import import_source
from deqc.passes import optimise
from tests.passes.programs import lowered

SPECS = sorted((Path(__file__).resolve().parents[2] / "examples/specs").glob("*.yaml"))
OWN = """
w u e u0 u1 e_1 w_1 record at total main h image inject joined f_1 z1 z_star x_1 v g g_h a a_1 p h0 h1 y0 d_h normed
scale_ folded packed part view row c blocks mask weights encode Encoded encoded state head output_1 mapping mapping_bias
layer layers t k n self_ cls args kwargs count index _1 main_layers mapping_layers product b A B D eye start solution
""".split()  # noqa: SIM905 - a table of words reads best as one
CHUNK = 25


@cache
def candidates() -> tuple[str, ...]:
    """Every identifier of some generated modules, Python's builtins, and more."""
    found = set(OWN) | {name for name in dir(builtins) if not name.startswith("_")}
    for path in SPECS:
        for node in ast.walk(ast.parse(compile_text(path.read_text(encoding="utf-8"), path.name).source)):
            match node:
                case ast.Name(id=name) | ast.arg(arg=name) | ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                    found.add(name)
                case ast.Attribute(attr=name) | ast.keyword(arg=str(name)):
                    found.add(name)
                case _:
                    pass
    return tuple(sorted(n for n in found if re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", n) and not keyword.iskeyword(n)))


def allowed(text: str) -> tuple[str, ...]:
    """The candidates that the language takes in the place of `NAME` in a spec."""
    found = {name: {d.code for d in errors(text.replace("NAME", name))} for name in candidates()}
    others = {name: codes for name, codes in found.items() if codes and not any(c.startswith("E04") for c in codes)}
    assert not others, "refused for another reason"
    return tuple(name for name, codes in found.items() if not codes)


def errors(text: str) -> list[Diagnostic]:
    return [d for d in check_text(text, "m.yaml") if d.severity is Severity.ERROR]


def chunks(names: tuple[str, ...]) -> list[tuple[str, ...]]:
    return [names[k : k + CHUNK] for k in range(0, len(names), CHUNK)]


def behaves(compilation: Compilation) -> None:
    """The module runs, differentiates, and computes what the spec means."""
    module = import_source(compilation.source, compilation.module_name)
    torch.manual_seed(0)
    model = getattr(module, compilation.spec.name)().double()
    inputs = tuple(torch.randn(2, *i.type.shape, dtype=torch.float64) for i in compilation.lowered.inputs)
    state = {**dict(model.named_buffers()), **dict(model.named_parameters())}
    given = reference.leaves(compilation.lowered, state, inputs)
    z = torch.randn(2, compilation.lowered.size, dtype=torch.float64)
    expected = reference.apply_f(compilation.lowered, z, given)
    assert torch.allclose(model.step(z, *inputs), expected, rtol=1e-12, atol=1e-12)
    solution = model.solve(*inputs, depth=1)
    output = model(*inputs, depth=1)
    flat = output if isinstance(output, torch.Tensor) else torch.cat([o.flatten(1) for o in output], 1)
    flat.sum().backward()
    assert solution.z_star is not None
    weights = module.Weights(*(t.detach() for t in model.weights(*inputs)))
    leaf = z.clone().requires_grad_()
    u = torch.randn_like(z)
    (pulled,) = torch.autograd.grad(module.f(leaf, weights), leaf, u)
    if hasattr(module, "linearize"):
        assert torch.allclose(module.vjp(u, module.linearize(z, weights), weights), pulled)
    module.pullback(u, z, weights)


HEAD = "deqc: 1\nname: Model\n"
INPUT = HEAD + "input: {first: [2], NAME: [2]}\nscale: [2]\nmain_layers: [{sum: [{linear: 2}, $NAME]}, tanh]\n"


def test_inputs() -> None:
    names = allowed(INPUT)
    assert {"w", "u", "e", "record", "main", "total", "h", "at", "image", "len", "zip", "dict", "sum"} <= set(names)
    for chunk in chunks(names):
        inputs = ", ".join(f"{name}: [2]" for name in chunk)
        terms = ", ".join(f"[${name}, {{linear: 2}}]" for name in chunk)
        body = f"[{{sum: [{{linear: 2}}, {terms}]}}, tanh]"
        text = HEAD + f"input: {{{inputs}}}\nencoder: {{own: [${chunk[0]}, {{linear: 2}}]}}\nscale: [2]\n"
        text += f"init: [$own, tanh]\nmain_layers: {body}\nhead: [{{sum: [identity, $own, ${chunk[-1]}]}}]\n"
        behaves(compile_text(text, "m.yaml"))


def test_values_of_the_encoder() -> None:
    text = HEAD + "input: {x: [2]}\nencoder: {NAME: [tanh]}\nscale: [2]\nmain_layers: [{sum: [tanh, $NAME]}]\n"
    for chunk in chunks(allowed(text)):
        values = ", ".join(f"{name}: [$first, {{linear: 2}}, tanh]" for name in chunk)
        terms = ", ".join(f"${name}" for name in chunk)
        text = HEAD + f"input: {{first: [2]}}\nencoder: {{{values}}}\nscale: [2]\ninit: [${chunk[0]}, tanh]\n"
        text += (
            f"main_layers: [{{linear: 2}}, {{sum: [identity, {terms}]}}, tanh]\nhead: [{{sum: [identity, {terms}]}}]\n"
        )
        behaves(compile_text(text, "m.yaml"))


def test_names_of_steps() -> None:
    text = HEAD + "input: {x: [2]}\nscale: [2]\nmain_layers: [{linear: 2}, {as: NAME}, {sum: [tanh, $NAME]}]\n"
    for chunk in chunks(allowed(text)):
        steps = ", ".join(f"{{linear: 2}}, tanh, {{as: {name}}}" for name in chunk)
        terms = ", ".join(f"${name}" for name in chunk)
        text = HEAD + f"input: {{first: [2]}}\nscale: [2]\nmain_layers: [{steps}, {{sum: [identity, {terms}]}}]\n"
        behaves(compile_text(text, "m.yaml"))


def test_names_of_blocks() -> None:
    text = HEAD + "input: {x: [2]}\nblocks: {NAME: [{linear: 2}]}\nscale: [2]\nmain_layers: [NAME, tanh]\n"
    for chunk in chunks(allowed(text)):
        blocks = ", ".join(f"{name}: [{{linear: 2}}, tanh]" for name in chunk)
        text = HEAD + f"input: {{x: [2]}}\nblocks: {{{blocks}}}\nscale: [2]\nmain_layers: [{', '.join(chunk)}]\n"
        behaves(compile_text(text, "m.yaml"))


def test_names_of_models() -> None:
    text = "deqc: 1\nname: NAME\ninput: {x: [2]}\nscale: [2]\nmain_layers: [{linear: 2}, tanh]\n"
    names = allowed(text)
    assert not {"Weights", "Status", "Linearization", "DeepEquilibriumSolution", "Tensor", "Any", "nn"} & set(names)
    for name in names[:: max(1, len(names) // 40)]:
        behaves(compile_text(text.replace("NAME", name), "m.yaml"))


def test_a_namer_gives_each_name_once() -> None:
    namer = Namer({"a", "b_1"})
    assert [namer.fresh(wish) for wish in ("a", "a", "b", "b", "a_1", "c")] == ["a_1", "a_2", "b", "b_2", "a_1_1", "c"]


def fields(program: Program) -> list[str]:
    return list(field_names(program).values())


@pytest.mark.parametrize(
    ("main", "expected"),
    [
        ("[{linear: 3}, tanh]", ["weight", "bias"]),
        ("[{linear: 3}, {linear: {out: 3, bias: false}}]", ["linear_weight", "linear_bias", "linear_1_weight"]),
        ("[{linear: 3}, layer_norm]", ["linear_weight", "linear_bias", "layer_norm_weight", "layer_norm_bias"]),
        ("[{sum: [tanh, $x]}]", ["x"]),
        ("[{sum: [tanh, [$x, tanh]]}]", ["inject"]),
    ],
)
def test_fields_are_the_least_that_tells_them_apart(main: str, expected: list[str]) -> None:
    assert fields(optimise(lowered(f"input: {{x: [3]}}\nscale: [3]\nmain_layers: {main}"))) == expected


@pytest.mark.parametrize("name", ["count", "index"])
def test_fields_do_not_hide_methods_of_tuples(name: str) -> None:
    program = lowered(f"input: {{{name}: [3]}}\nscale: [3]\nmain_layers: [{{sum: [tanh, ${name}]}}]")
    assert fields(program) == [f"{name}_1"]
