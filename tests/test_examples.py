"""Every spec in examples/specs: compiled, linted, run, and held against the reference and the whole property suite."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from deqc import reference
from deqc.compiler import Compilation, compile_text
from tests import properties
from tests.own_modules import NEURAL_ODES, own_modules
from tests.properties import Case, Outputs

FOLDER = Path(__file__).resolve().parents[1] / "examples/specs"
ALL = sorted(path.stem for path in FOLDER.glob("*.yaml"))
SPECS = [name for name in ALL if name not in NEURAL_ODES]
LARGE = (
    "attention",
    "conv",
    "digits",
    "multiscale_conv",
    "reduced_state",
    "transformer",
)  # too many numbers for every derivative at every test
EVERY_DERIVATIVE = ("gradcheck", "gradgradcheck", "batched_second_derivatives", "third_order", "transforms")

# What a spec itself gives up: an absolute tolerance of the adjoint makes gradients depend on the loss's scale, torch's
# derivative of an orthogonal matrix fails for gradients of 1e200, and where f itself makes the start, an input that is
# not a number leaves no finite state.
GIVEN_UP = {
    ("kept_contractive", "gradient_is_linear_in_the_cotangent"),
    ("multiscale", "gradient_is_linear_in_the_cotangent"),
    ("skip_reg", "not_a_number_stays_where_it_is"),
}


@functools.cache
def compilation(name: str) -> Compilation:
    path = FOLDER / f"{name}.yaml"
    return compile_text(path.read_text(encoding="utf-8"), path.name)


def make_case(name: str, module: ModuleType) -> Case:
    """The model with parameters that are drawn, and small enough to contract."""
    compiled = compilation(name)
    kind: Callable[..., nn.Module] = getattr(module, compiled.spec.name)

    def model() -> nn.Module:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            made = kind(**own_modules(compiled)).double().eval()
        with torch.no_grad():
            for parameter in made.parameters():
                parameter.mul_(0.5)
        return made

    def inputs(batch: int) -> tuple[Tensor, ...]:
        generator = torch.Generator().manual_seed(1)
        return tuple(
            torch.randn(batch, *node.type.shape, dtype=torch.float64, generator=generator)
            for node in compiled.lowered.inputs
        )

    def expected(model: nn.Module, *given: Tensor) -> Outputs:
        state = {**dict(model.named_buffers()), **dict(model.named_parameters())}
        found = reference.solve(compiled.lowered, state, given, modules=dict(model.named_children()))
        assert found.residual < 1e-12, "the model does not contract"
        return found.output if len(found.output) > 1 else found.output[0]

    return Case(name, module, model, inputs, expected, compiled.adjoint.method.name == "implicit")


@pytest.fixture(scope="module")
def case_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Case]:
    folder = tmp_path_factory.mktemp("examples")

    @functools.cache
    def get(name: str) -> Case:
        return make_case(name, properties.import_source(compilation(name).source, f"example_{name}", folder))

    return get


def parameters() -> list[Any]:
    """Every example with every property; the dear ones are left to `make test-all`."""
    dear = {"transforms"}, set(EVERY_DERIVATIVE)
    return [
        pytest.param(
            name,
            holds,
            id=f"{name}-{holds.__name__}",
            marks=[pytest.mark.slow] if holds.__name__ in dear[name in LARGE] else [],
        )
        for name in SPECS
        for holds in properties.PROPERTIES
        if (name, holds.__name__) not in GIVEN_UP
    ]


@pytest.mark.parametrize(("name", "holds"), parameters())
def test_property(case_of: Callable[[str], Case], name: str, holds: Callable[[Case], None]) -> None:
    holds(case_of(name))


@pytest.mark.slow
@pytest.mark.parametrize("holds", properties.COMPILED, ids=lambda p: p.__name__)
@pytest.mark.parametrize("name", SPECS)
def test_compiled_property(case_of: Callable[[str], Case], name: str, holds: Callable[[Case], None]) -> None:
    holds(case_of(name))


def test_generated_code_is_clean(tmp_path: Path) -> None:
    paths = [tmp_path / f"{name}.py" for name in ALL]
    for name, path in zip(ALL, paths, strict=True):
        path.write_text(compilation(name).source, encoding="utf-8")
    properties.lint(*paths)


@pytest.mark.parametrize("name", SPECS)
def test_converges_as_initialised(case_of: Callable[[str], Case], name: str) -> None:
    case = case_of(name)
    torch.manual_seed(0)
    model: Any = getattr(case.module, compilation(name).spec.name)(**own_modules(compilation(name)))
    solution = model.solve(*(x.float() for x in case.inputs(8)))
    properties.loss(solution.output).backward()
    assert solution.original.status.tolist() == [0] * 8
    assert solution.original.adjoint.status.tolist() == [0] * 8
    for path, parameter in model.named_parameters():
        if path.startswith("init."):
            continue  # an equilibrium does not depend on where its solve began
        assert parameter.grad is not None, path
        assert bool(parameter.grad.isfinite().all()), path
        assert bool(parameter.grad.any()), path


@pytest.mark.parametrize("name", SPECS)
def test_leads_an_editor_to_the_schema(name: str) -> None:
    first = (FOLDER / f"{name}.yaml").read_text(encoding="utf-8").splitlines()[0]
    leader, _, schema = first.partition("=")
    assert leader == "# yaml-language-server: $schema"
    assert (FOLDER / schema).resolve().is_file()
