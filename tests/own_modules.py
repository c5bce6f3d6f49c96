"""Modules that stand for a user's own, for any spec that declares some: a little of everything they are given."""

from __future__ import annotations

from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from deqc.compiler import Compilation

NEURAL_ODES = frozenset({"neural_ode"})  # examples that have no equilibrium: tests/test_neural_ode.py looks at them


class Mixed(nn.Module):
    """tanh of a linear map of all arguments, with a buffer, and a parameter that two submodules share."""

    gain: Tensor

    def __init__(self, sizes: tuple[int, ...], shape: tuple[int, ...]) -> None:
        super().__init__()
        self.shape = shape
        layers = [nn.Linear(size, prod(shape), bias=k == 0) for k, size in enumerate(sizes)]
        self.layers = nn.ModuleList(layers)
        self.tied = nn.Linear(sizes[0], prod(shape), bias=False)
        self.tied.weight = layers[0].weight
        self.register_buffer("gain", torch.tensor(0.5))

    def forward(self, *arguments: Tensor) -> Tensor:
        total = sum(layer(x.flatten(1)) for layer, x in zip(self.layers, arguments, strict=True))
        total = total + 0.5 * self.tied(arguments[0].flatten(1))
        return torch.tanh(self.gain * total).view(-1, *self.shape)


def own_modules(compilation: Compilation) -> dict[str, Any]:
    """One module for each that the spec declares, fitting the first of its calls."""
    found: dict[str, Any] = {}
    for node in compilation.lowered.nodes:
        if node.op == "module":
            sizes = tuple(o.type.size for o in node.operands[1:])
            found.setdefault(node.attributes["name"], Mixed(sizes, node.type.shape))
    return {name: found[name] for name in compilation.spec.modules}
