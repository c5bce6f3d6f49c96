"""A generated module, run in one precision, and the program that it was made of, on the same weights and inputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from deqc import reference, running
from deqc.compiler import Compilation
from deqc.types import bound


class Subject:
    """The module's model and its inputs, in eval mode; `wanted` are the tensors that get gradients, by name."""

    def __init__(
        self,
        compilation: Compilation,
        state: Mapping[str, Any] | None,
        inputs: Mapping[str, Tensor],
        seed: int,
        dtype: torch.dtype = torch.float64,
    ) -> None:
        self.compilation, self.seed = compilation, seed
        self.program = compilation.lowered
        self.model: Any = running.make_model(compilation, state, seed).to(dtype)
        self.inputs = {name: _leaf(value, dtype) for name, value in inputs.items()}
        self.parameters = dict(self.model.named_parameters())
        moving = {f"input {name}": value for name, value in self.inputs.items() if value.requires_grad}
        self.wanted: dict[str, Tensor] = {**self.parameters, **moving}
        self._tensors = {**dict(self.model.named_buffers()), **self.parameters}
        self.leaves = reference.leaves(self.program, self._tensors, tuple(self.inputs.values()))
        sizes = reference.sizes_of(self.leaves)
        self.size = int(bound(self.program.size, sizes))
        self._sizes = [sizes[name] for name in compilation.plan.dimensions]

    def solve(self, start: Tensor | None = None) -> Any:
        """The module's own solve, differentiable, from a packed state or from where it starts itself.

        Raises:
            RunError: the module refuses the inputs.
        """
        z0 = None if start is None else self.model.unpack(start, *self._sizes)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            try:
                return self.model.solve(**self.inputs, z0=z0)
            except ValueError as fault:
                raise running.RunError(str(fault)) from None

    @property
    def trusted(self) -> float:
        """What SHINE multiplies a gradient by at an equilibrium, where no step has taught it anything."""
        plan = self.compilation.plan
        alpha = {one.name: one.evaluation for one in plan.solver.settings}.get("alpha", plan.solver.options["alpha"])
        fallback = plan.adjoint.options["fallback"]
        trusts = fallback == "None" or 1 / float(alpha) <= float(fallback)
        return 1 / float(alpha) if trusts else 1.0

    def packed(self, z: Any) -> Tensor:
        """A state by scale, packed, (B, D)."""
        packed: Tensor = self.model.pack(z, *self._sizes)
        return packed

    def solved(self, solution: Any) -> Tensor:
        """What a solve has found, packed: of a neural ODE the states that it saves; last the state it ends with."""
        end = self.packed(solution.z_star)
        along = getattr(solution, "trajectory", None)
        if along is None:
            return end
        single = isinstance(along, Tensor)
        states = self.packed(along.flatten(0, 1) if single else tuple(one.flatten(0, 1) for one in along))
        return torch.cat([states.view(len(end), -1), end], 1)

    def last(self, solved: Tensor) -> Tensor:
        """The state that it ends with, (B, D)."""
        return solved[:, -self.size :]

    def start(self) -> Tensor:
        """Where the reference interpreter starts, (B, D), differentiable."""
        return reference.start(self.program, self._tensors, tuple(self.inputs.values()), self.leaves)

    def f(self, z: Tensor) -> Tensor:
        """The module's f on the packed state."""
        image: Tensor = self.model.step(z, *self.inputs.values())
        return image

    def meaning(self, z: Tensor) -> Tensor:
        """f as the reference interpreter has it."""
        return reference.apply_f(self.program, z, self.leaves)

    def head(self, solved: Tensor) -> tuple[Tensor, ...]:
        """What the reference interpreter's head makes of the state at the end; nothing without a head."""
        return reference.output(self.program, self.last(solved), self.leaves) if self.program.outputs else ()

    def outputs(self, solution: Any) -> tuple[Tensor, ...]:
        """What the module's head has made of its solution; nothing without a head."""
        if not self.program.outputs:
            return ()
        return (solution.output,) if isinstance(solution.output, Tensor) else tuple(solution.output)

    def looked_at(self, z: Tensor) -> Tensor:
        """Where the solver's stop test looks, (B, D): nowhere else is z solved for."""
        name = self.compilation.plan.solver.mask
        if not name:
            return torch.ones_like(z, dtype=torch.bool)
        mask = self.inputs[name]
        scales = self.model.unpack(z, *self._sizes)
        whole = [scales] if isinstance(scales, Tensor) else scales
        spread = [mask.view(*mask.shape, *[1] * (one.ndim - mask.ndim)).expand(one.shape) for one in whole]
        return self.packed(spread[0] if isinstance(scales, Tensor) else tuple(spread))


def _leaf(value: Tensor, dtype: torch.dtype) -> Tensor:
    """An input in that precision; one of real numbers that is not sparse gets a gradient."""
    if not value.is_floating_point():
        return value
    value = value.to(dtype)
    return value if value.layout == torch.sparse_csr else value.clone().requires_grad_()
