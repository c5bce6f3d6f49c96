"""Programs that the language was made for, families of models from the literature: they compile, run and are right.

Their texts are golden beside those of the examples (tests/test_golden.py). Two applications of f, the output and the
gradients of both are those of the reference, also where f as drawn is no contraction; then the models train a step.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from deqc import reference
from deqc.compiler import compile_text
from deqc.ir.graph import Node
from deqc.loading import import_model
from deqc.types import bound
from tests.own_modules import Mixed
from tests.properties import apart, pieces
from tests.woven import draw, sizes_for, varies

RANDOM = {"warm_start"}  # specs whose start is drawn
FOLDER = Path(__file__).parent / "target_specs"
SPECS = {path.stem: path for path in sorted(FOLDER.glob("*.yaml"))}


class Lookup(nn.Module):
    """Stands for the look-up of an optical flow: the pyramid weighed by where the flow leads."""

    def forward(self, correlation: Tensor, flow: Tensor) -> Tensor:
        return correlation.flatten(1, 2) * flow.mean(1, keepdim=True).tanh()


OWN: dict[str, Callable[[], nn.Module]] = {
    "denoiser": lambda: nn.Conv2d(1, 1, 3, padding=1),
    "lookup": Lookup,
    "cell": lambda: Mixed((64, 32), (64,)),
}


def drawn(node: Node, sizes: dict[str, int], generator: torch.Generator) -> Tensor:
    """A value of an input for two samples, numbers of float64."""
    if not node.type.batched or node.type.dtype == "float":
        return draw(node, 2, sizes, generator)
    return torch.stack([draw(node, 2, sizes, generator) for _ in range(2)])


@pytest.mark.parametrize("name", SPECS)
def test_computes_what_the_spec_means(name: str) -> None:
    compilation = compile_text(SPECS[name].read_text(encoding="utf-8"), name)
    program = compilation.lowered
    torch.manual_seed(0)
    modules = {module: OWN[module]() for module in compilation.spec.modules}
    model: Any = import_model(compilation)(**modules).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(0.5)
    generator = torch.Generator().manual_seed(1)
    sizes = sizes_for(program)
    inputs = tuple(drawn(node, sizes, generator) for node in program.inputs)
    leaves = [x.requires_grad_() for x, node in zip(inputs, program.inputs, strict=True) if varies(node)]
    wanted = [*leaves, *model.parameters()]

    def gradients(outputs: list[Tensor]) -> list[Tensor]:
        total = torch.stack([out.sin().sum() for out in outputs]).sum()
        return list(torch.autograd.grad(total, wanted, allow_unused=True, materialize_grads=True))

    state = {**dict(model.named_buffers()), **dict(model.named_parameters())}
    given = reference.leaves(program, state, inputs, dict(model.named_children()))
    got = pieces(model(*inputs, depth=2))
    z = torch.zeros(2, bound((program.size,), sizes)[0], dtype=torch.float64)
    if name in RANDOM:
        z = model.pack(model.solve(*inputs, depth=0).u0)
        got = pieces(model(*inputs, z0=model.unpack(z), depth=2))
    elif program.start is not None:
        (z,) = reference.evaluate(program, (program.start,), given)
    for _ in range(3 if program.start_kind == "step" else 2):
        z = reference.apply_f(program, z, given)
    want = list(reference.output(program, z, given))
    assert apart(got, want) < 1e-11
    assert apart(gradients(got), gradients(want)) < 1e-9


@pytest.mark.parametrize("name", SPECS)
def test_trains_a_step(name: str) -> None:
    compilation = compile_text(SPECS[name].read_text(encoding="utf-8"), name)
    torch.manual_seed(0)
    modules = {module: OWN[module]() for module in compilation.spec.modules}
    model: Any = import_model(compilation)(**modules)
    generator = torch.Generator().manual_seed(1)
    sizes = sizes_for(compilation.lowered)
    inputs = [drawn(node, sizes, generator) for node in compilation.lowered.inputs]
    inputs = [x.float() if x.is_floating_point() else x for x in inputs]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as drawn, not every f is a contraction
        solution = model.solve(*inputs)
        torch.stack([out.square().mean() for out in pieces(solution.output)]).sum().backward()
    assert solution.original.status.shape == (2,)
    learned = [p for p in model.parameters() if p.grad is not None]
    assert all(bool(p.grad.isfinite().all()) for p in learned)
    assert any(bool(p.grad.any()) for p in learned)
