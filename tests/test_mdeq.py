"""Multiscale DEQs in the sizes of the official repository: their parameters to the last one, and what they compute."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from deqc import reference
from deqc.compiler import compile_text
from deqc.loading import import_model
from tests.properties import apart, gradients
from tests.targets.mdeq import SIZES, Size, spec


@pytest.mark.parametrize("name", SIZES)
def test_as_many_parameters_as_the_official_implementation(name: str) -> None:
    kind: Any = import_model(compile_text(spec(SIZES[name]), name))
    with torch.device("meta"):
        model = kind()
    assert sum(p.numel() for p in model.parameters()) == SIZES[name].parameters


def test_f_and_its_gradients_are_those_of_the_reference() -> None:
    compilation = compile_text(spec(Size((8, 8, 16), (2, 2, 4), 8, 3, 8, 0, affine=True)), "small")
    kind: Any = import_model(compilation)
    torch.manual_seed(0)
    model = kind().double().eval()
    x = torch.randn(2, 3, 8, 8, dtype=torch.float64)

    def expected(given: Tensor) -> tuple[Tensor, ...]:
        state = {**dict(model.named_buffers()), **dict(model.named_parameters())}
        leaves = reference.leaves(compilation.lowered, state, (given,))
        leaves |= {n: torch.ones(()).double() for n in compilation.lowered.nodes if n.op == "dropout_mask"}
        z = given.new_zeros(2, compilation.lowered.size)
        for _ in range(3):
            z = reference.apply_f(compilation.lowered, z, leaves)
        return reference.output(compilation.lowered, z, leaves)

    def three_times(given: Tensor) -> Any:
        return model(given, depth=3)

    assert apart([three_times(x)], expected(x)) < 1e-12
    assert apart(gradients(model, (x,), three_times), gradients(model, (x,), expected)) < 1e-10


def test_convolutions_start_small() -> None:
    torch.manual_seed(0)
    model: Any = import_model(compile_text(spec(SIZES["cifar_tiny"]), "tiny"))()
    state = model.state_dict()
    kernels = [t for n, t in state.items() if n.endswith(("conv2d.weight", "conv2d.weight_v"))]
    biases = [t for n, t in state.items() if n.endswith("conv2d.bias")]
    assert len(kernels) == 2 + 6 + 2 + 2 * 4 + 1 + 1  # stem, blocks with fusion, across scales, classifier
    assert len(biases) == 2
    for tensor in kernels + biases:
        assert 0.006 < float(tensor.std()) < 0.014
    lengths = [(t, state[n.removesuffix("_g") + "_v"]) for n, t in state.items() if n.endswith("weight_g")]
    assert len(lengths) == 6
    for g, v in lengths:
        assert torch.allclose(g, v.flatten(1).norm(dim=1).view_as(g))
