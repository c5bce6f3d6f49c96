"""Compiled modules for tests: float64, random parameters, and tolerances that leave only rounding."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from deqc import reference
from deqc.compiler import Compilation, compile_text
from deqc.ir.graph import Node
from deqc.loading import import_source
from deqc.passes import PIPELINE

PASSES = frozenset(p.name for p in PIPELINE)
TIGHT: Mapping[str, float] = {
    "ATOL": 1e-13,
    "RTOL": 1e-13,
    "MAX_STEPS": 600,
    "ADJOINT_RTOL": 1e-14,
    "ADJOINT_ATOL": 0.0,
    "ADJOINT_STEPS": 200,
}


@dataclass(frozen=True)
class Compiled:
    """A module, its model, and inputs for it."""

    compilation: Compilation
    module: ModuleType
    model: nn.Module
    inputs: tuple[Tensor, ...]

    @property
    def parameters(self) -> dict[str, Tensor]:
        """Parameters and buffers by name."""
        return {**dict(self.model.named_buffers()), **dict(self.model.named_parameters())}

    def state(self, seed: int = 2) -> Tensor:
        """A random packed state."""
        generator = torch.Generator().manual_seed(seed)
        batch = len(self.inputs[0])
        return torch.randn(batch, self.compilation.program.size, dtype=torch.float64, generator=generator)

    def weights(self) -> Any:
        """What f reads besides z."""
        return self.model.weights(*self.inputs)  # type: ignore[operator]

    def leaves(self) -> dict[Node, Tensor]:
        """Inputs and parameters of the program as it was lowered."""
        return reference.leaves(self.compilation.lowered, self.parameters, self.inputs)

    def meaning(self, z: Tensor) -> Tensor:
        """f by the meaning of every op, without any pass."""
        return reference.apply_f(self.compilation.lowered, z, self.leaves())

    def vjp(self, u: Tensor, z: Tensor, w: Any) -> Tensor:
        """The generated (df/dz)^T u."""
        at = (self.module.linearize(z, w),) if hasattr(self.module, "linearize") else ()
        result: Tensor = self.module.vjp(u, *at, w)
        return result


def build(
    text: str,
    disable: Iterable[str] = (),
    scale: float = 1.0,
    batch: int = 3,
    seed: int = 0,
    tolerances: Mapping[str, float] = TIGHT,
) -> Compiled:
    """Compiles a spec; parameters and inputs are random numbers, the former times `scale`."""
    compilation = compile_text(text, "test.yaml", frozenset(disable))
    module = import_source(compilation.source, compilation.module_name)
    for name, value in tolerances.items():
        if hasattr(module, name):
            setattr(module, name, value)
    generator = torch.Generator().manual_seed(seed)
    model: nn.Module = getattr(module, compilation.spec.name)().double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(scale * torch.randn(parameter.shape, dtype=torch.float64, generator=generator))
    inputs = tuple(
        torch.randn(batch, *i.type.shape, dtype=torch.float64, generator=generator).requires_grad_()
        for i in compilation.program.inputs
    )
    return Compiled(compilation, module, model, inputs)


def gap(a: Tensor, b: Tensor) -> float:
    """The largest difference; shapes must agree."""
    assert a.shape == b.shape
    return float((a - b).detach().abs().amax()) if a.numel() else 0.0
