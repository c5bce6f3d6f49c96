"""Cases of models with any inputs: those without a gradient or a batch are fixed, the others are the case's.

The properties differentiate every input and cut every input into samples. A model whose other inputs are woven in is
one that they can work with: what is whole numbers is the same for all samples then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from deqc.ir.graph import Node, Program
from deqc.ir.sizes import names
from deqc.types import Type, bound

LARGEST = 3  # whole numbers are smaller


def sizes_for(program: Program, first: int = 3) -> dict[str, int]:
    """A size for every name of a dimension, each another."""
    found = names(node.type for node in program.inputs)
    return {name: first + k for k, name in enumerate(found)}


def in_scales(program: Program, sizes: Mapping[str, int]) -> tuple[int, ...]:
    """The arguments of pack and unpack after the state."""
    return tuple(sizes[name] for name in names(Type(scale.shape) for scale in program.scales))


def varies(node: Node) -> bool:
    """Whether an input is the case's own."""
    return node.type.batched and node.type.differentiable


def draw(node: Node, batch: int, sizes: Mapping[str, int], generator: torch.Generator) -> Tensor:
    """A value for an input; what is whole numbers or has no batch is for one sample."""
    shape = bound(node.type.shape, sizes)
    if node.type.dtype == "bool":
        return torch.rand(shape, generator=generator) < 0.7
    if node.type.dtype != "float":
        return torch.randint(LARGEST, shape, generator=generator).to(getattr(torch, node.type.dtype))
    lead = (batch,) if node.type.batched else ()
    value = torch.randn(*lead, *shape, dtype=torch.float64, generator=generator)
    if node.type.sparse:
        value = value * (torch.rand(shape, generator=generator) < 0.5) / max(shape)
        matrix: Tensor = value.to_sparse_csr()
        return matrix
    return value


def inputs_for(program: Program, batch: int, sizes: Mapping[str, int]) -> tuple[Tensor, ...]:
    """The inputs of the case: those that vary."""
    generator = torch.Generator().manual_seed(1)
    return tuple(draw(node, batch, sizes, generator) for node in program.inputs if varies(node))


def weaver(program: Program, sizes: Mapping[str, int]) -> Callable[[tuple[Tensor, ...]], tuple[Tensor, ...]]:
    """Makes all inputs of the model out of those that vary."""
    generator = torch.Generator().manual_seed(2)
    fixed = {node: draw(node, 0, sizes, generator) for node in program.inputs if not varies(node)}

    def woven(given: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        rest = iter(given)
        return tuple(
            next(rest)
            if node not in fixed
            else fixed[node].expand(given[0].shape[0], *fixed[node].shape)
            if node.type.batched
            else fixed[node]
            for node in program.inputs
        )

    return woven


def weave(kind: Any, program: Program, sizes: Mapping[str, int]) -> Any:
    """The class of the model, called with the inputs that vary alone."""
    if all(map(varies, program.inputs)):
        return kind

    woven = weaver(program, sizes)

    class Woven(kind):  # type: ignore[misc]
        def forward(self, *given: Tensor, **options: Any) -> Any:
            return super().forward(*woven(given), **options)

        def solve(self, *given: Tensor, **options: Any) -> Any:
            return super().solve(*woven(given), **options)

        def step(self, z: Tensor, *given: Tensor) -> Any:
            return super().step(z, *woven(given))

    return Woven
