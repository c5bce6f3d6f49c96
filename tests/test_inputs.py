"""Inputs of every kind, and sizes that are known at the call: values and every derivative against the reference."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import deqc
from deqc import reference
from deqc.compiler import Compilation, compile_text
from deqc.explain import explain
from deqc.loading import import_model
from tests import properties
from tests.own_modules import own_modules
from tests.properties import Case, Outputs
from tests.woven import in_scales, inputs_for, sizes_for, weave, weaver

SPECS = {
    "tokens": """
input: {tokens: {shape: [L], dtype: int64}, kind: {shape: [], dtype: int32}, x: [L, 21]}
parameters: {table: [7, 4]}
encoder: {inject: [$tokens, {embedding: {weight: $table}}]}
scale: [L, 4]
main_layers:
  - sum:
    - {linear: 4}
    - [$x, {linear: 4}]
    - $inject
    - [$tokens, {embedding: {count: 9, out: 4, weight_init: {normal: 0.1}, name: other}}]
    - [$kind, {embedding: {count: 3, out: 4}}, {reshape: [1, 4]}, {expand: $z}]
  - tanh
  - {times: 0.5}
head: [{linear: {weight: $table, bias: false}}]
""",
    "sequence": """
input: {u: [N, 5]}
scale: [N, 6]
main_layers: [{sum: [{linear: 6}, [$u, {linear: 6}]]}, tanh, {layer_norm: {affine: false}}, {times: 0.5}]
head: [{reduce: {op: mean, dim: 0}}, {linear: 2}]
""",
    "images": """
input: {image: [3, H, W], other: [4, W]}
scales: [[4, H, W], [2, H, W]]
encoder: {row: [$other, {linear_on_rows: 2}]}
blocks: {linear_on_rows: {params: {out: null}, body: [{permute: [1, 0]}, {linear: "${out}"}, {permute: [1, 0]}]}}
main_layers:
  - {sum: [{conv2d: {out: 4, kernel: 3, bias: false}}, [$image, {conv2d: {out: 4, kernel: 3}}]]}
  - {sum: [{conv2d: {out: 2, kernel: 1}}, [$row, {reshape: [2, 1, W]}, {expand: $z.1}]]}
mapping_layers: [[identity, {conv2d: {out: 2, kernel: 3}}], [{conv2d: {out: 4, kernel: 3}}, identity]]
post_fuse_layers: [tanh, [tanh, {times: 0.7}]]
solver: {method: picard, max_steps: 300}
""",
    "joined": """
input: {memory: [M, 4], x: [L, 4]}
scale: [L, 4]
encoder: {all: {concat: {of: [$memory, $x], dim: 0}}}
main_layers:
  - {concat: {of: [$memory, identity], dim: 0}}
  - {sum: [{linear: 4}, $all]}
  - {softmax: 0}
  - {last: {dim: 0, like: $x}}
head: {state: identity, whole: {concat: {of: [identity, $memory], dim: 0}}}
""",
    "start": """
input: {x: [L, 3], shift: {shape: [4], batch: false}, table: {shape: [L, 4], batch: false}}
scale: [L, 4]
init: [$x, {linear: 4}]
main_layers: [{sum: [{linear: 4}, [$x, {linear: 4}], [$shift, {expand: $z}], $table]}, tanh]
adjoint: {linear_solver: anderson}
""",
    "dense": """
input: {x: [L, 3]}
scale: [L, 2]
main_layers: [{sum: [{linear: 2}, [$x, {linear: 2}]]}, tanh]
solver: newton
adjoint: {linear_solver: lu}
""",
    "apart": """
input: {x: [L, 3]}
scales: [[L, 2], [3], [2, L]]
main_layers:
  - {sum: [{linear: 2}, [$x, {linear: 2}]]}
  - {linear: 3}
  - {sum: [identity, [$z.0, {permute: [1, 0]}]]}
mapping_layers:
  - [identity, [{reduce: {op: mean, dim: 0}}, {linear: 3}], null]
  - [null, identity, null]
  - [[{permute: [1, 0]}], null, [{times: 0.5}]]
post_fuse_layers: {each: [tanh, {times: 0.5}]}
adjoint: {linear_solver: picard}
solver: {method: picard, max_steps: 300}
""",
    "graph": """
input: {u: [5], adjacency: {shape: [N, N], batch: false, layout: sparse_csr}}
scale: [N, 3]
main_layers:
  - sum:
    - {linear: 3}
    - [{matmul: {left: $adjacency, transpose: true}}, {linear: 3}]
    - [$u, {linear: 3}, {reshape: [1, 3]}, {expand: $z}]
  - {matmul: {left: $adjacency}}
  - tanh
adjoint: {linear_solver: gmres}
""",
    "graph_of_modules": """
input: {u: [4, 2], adjacency: {shape: [4, 4], batch: false, layout: sparse_csr}}
modules: {cell: same}
scale: [4, 2]
encoder: {near: [$u, {matmul: {left: $adjacency}}, {linear: 2}]}
main_layers: [{matmul: {left: $adjacency}}, {cell: [identity, $near]}]
head: [{matmul: {left: $adjacency, transpose: true}}]
solver: newton
""",
    "unrolled": """
input: {x: [L, 3], m: {shape: [3, 2], batch: false}}
scale: [L, 2]
encoder: {row: [$m, {permute: [1, 0]}, {linear: 2}, {slice: {dim: 0, stop: 1}}]}
main_layers: [{sum: [{linear: 2}, [$x, {linear: 2}], [$row, {expand: $z}]]}, tanh]
adjoint: unroll
""",
}
SLOW = {"gradcheck", "gradgradcheck", "batched_second_derivatives", "third_order", "transforms"}
WOVEN = ("graph", "graph_of_modules", "start", "tokens", "unrolled")
GIVEN_UP = {(name, "copies") for name in WOVEN}  # what weaves inputs in is not pickled


@functools.cache
def compilation(name: str) -> Compilation:
    return compile_text(f"deqc: 1\nname: Model\n{SPECS[name]}", f"{name}.yaml")


def make_case(name: str, first: int, folder: Path) -> Case:
    """The model with sizes from `first` on, and parameters that make it contract."""
    compiled = compilation(name)
    module = properties.import_source(compiled.source, f"inputs_{name}", folder)
    program = compiled.lowered
    sizes = sizes_for(program, first)
    whole = weaver(program, sizes)
    kind: Any = weave(vars(module)["Model"], program, sizes)

    def model() -> nn.Module:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            made: nn.Module = kind(**own_modules(compiled)).double().eval()
        with torch.no_grad():
            for parameter in made.parameters():
                parameter.mul_(0.5)
        return made

    def expected(model: nn.Module, *given: Tensor) -> Outputs:
        state = {**dict(model.named_buffers()), **dict(model.named_parameters())}
        found = reference.solve(program, state, whole(given), modules=dict(model.named_children()))
        assert found.residual < 1e-12, "the model does not contract"
        return found.output if len(found.output) > 1 else found.output[0]

    implicit = compiled.adjoint.method.name == "implicit"
    return Case(
        f"{name}-{first}",
        module,
        model,
        lambda batch: inputs_for(program, batch, sizes),
        expected,
        implicit,
        traced=not any(i.type.sparse for i in program.inputs),
        sizes=in_scales(program, sizes),
    )


@pytest.fixture(scope="module")
def case_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, int], Case]:
    folder = tmp_path_factory.mktemp("inputs")
    return functools.cache(lambda name, first: make_case(name, first, folder))


def parameters() -> list[Any]:
    return [
        pytest.param(name, holds, id=f"{name}-{holds.__name__}", marks=[pytest.mark.slow] * (holds.__name__ in SLOW))
        for name in SPECS
        for holds in properties.PROPERTIES
        if (name, holds.__name__) not in GIVEN_UP
    ]


@pytest.mark.parametrize(("name", "holds"), parameters())
def test_property(case_of: Callable[[str, int], Case], name: str, holds: Callable[[Case], None]) -> None:
    holds(case_of(name, 2))


@pytest.mark.parametrize("name", SPECS)
def test_another_size(case_of: Callable[[str, int], Case], name: str) -> None:
    case = case_of(name, 5)
    properties.values(case)
    if case.implicit:
        properties.gradients_of_inputs_and_parameters(case)


PLAIN = """\
deqc: 1
name: Plain
input: {x: [3], y: [2]}
scale: [4]
main_layers: [{sum: [[$x, {linear: 4}], [$y, {linear: 4}]]}]
"""
OWN = """\
deqc: 1
name: Own
input: {x: [3]}
scale: [3]
modules: {own: same}
main_layers: [{sum: [[$x, own], identity]}]
"""


@pytest.mark.parametrize("method", ["forward", "solve"])
def test_what_is_wrong_with_an_input_is_told_with_its_name(method: str) -> None:
    model: Any = deqc.load(PLAIN)()
    call = getattr(model, method)
    x, y = torch.randn(2, 3), torch.randn(2, 2)
    for wrong in (y.tolist(), y.numpy(), None):
        with pytest.raises(TypeError, match=r"^y must be a tensor"):
            call(x, wrong)
        with torch.autocast("cpu"), pytest.raises(TypeError, match=r"^y must be a tensor"):
            call(x, wrong)
    for other in (torch.float64, torch.bfloat16, torch.int64):
        with pytest.raises(TypeError, match=rf"^y must be torch\.float32 as the parameters are, found {other}$"):
            call(x, y.to(other))
    with torch.autocast("cpu"):
        call(x.double(), y)
    model.double()
    with pytest.raises(TypeError, match=r"^x must be torch\.float64"):
        call(x, y)


def test_a_model_of_several_precisions_takes_each_of_them() -> None:
    class Own(nn.Linear):
        def __init__(self) -> None:
            super().__init__(3, 3, dtype=torch.float64)
            self.scale = nn.Parameter(torch.ones(1))

        def forward(self, x: Tensor) -> Tensor:
            return self.scale * super().forward(x.double()).float()

    kind: Any = deqc.load(OWN)
    own = kind(Own())
    assert own(torch.randn(2, 3), depth=1).dtype == torch.float32
    with pytest.raises(TypeError, match=r"^x must be torch\.float64"):
        own(torch.randn(2, 3).half())


def test_a_state_of_no_length_is_told_and_what_is_no_part_of_it_may_be_empty() -> None:
    model: Any = import_model(compilation("joined"))()
    with pytest.raises(ValueError, match=r"^L must be at least 1, found 0 in x\.shape\[1\]$"):
        model(torch.randn(2, 5, 4), torch.randn(2, 0, 4))
    empty, alone = model(torch.randn(2, 0, 4), torch.randn(2, 3, 4)), model(torch.randn(0, 0, 4), torch.randn(0, 3, 4))
    assert empty.state.shape == (2, 3, 4)
    assert alone.state.shape == (0, 3, 4)


def test_dtypes_where_inputs_have_several() -> None:
    model: Any = import_model(compilation("tokens"))()
    tokens, kind, x = torch.zeros(2, 3, dtype=torch.int64), torch.zeros(2, dtype=torch.int32), torch.randn(2, 3, 21)
    model(tokens, kind, x)
    with pytest.raises(TypeError, match=r"^x must be torch\.float32 as the parameters are, found torch\.float64$"):
        model(tokens, kind, x.double())
    with pytest.raises(TypeError, match=r"^kind must be int32, found torch\.int64$"):
        model(tokens, kind.long(), x)
    with pytest.raises(TypeError, match=r"^x must be float, found torch\.int64$"):
        model(tokens, kind, x.long())


def test_generated_code_is_clean(tmp_path: Path) -> None:
    paths = [tmp_path / f"{name}.py" for name in SPECS]
    for name, path in zip(SPECS, paths, strict=True):
        path.write_text(compilation(name).source, encoding="utf-8")
    properties.lint(*paths)


def test_explain_tells_of_sizes_and_of_what_gets_no_gradient() -> None:
    text = explain(compilation("graph"))
    assert "N is known at the call only: adjacency.shape[0]" in text
    assert "adjacency is sparse: it gets no gradient" in text
    assert "W is known at the call only: image.shape[3] and other.shape[2]" in explain(compilation("images"))
