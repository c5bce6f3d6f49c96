"""The reference interpreter: the meaning of a spec, run naively with torch and differentiated by autograd.

No pass, no hoisting, no implicit derivative: f is evaluated node by node, and applied until nothing changes.
Every optimisation and every generated derivative is tested against it. Torch is needed here, in
`deqc.loading`, `deqc.running` and `deqc.verification` alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from deqc.ir.graph import Node, Program, reachable
from deqc.ops import OPS
from deqc.types import bound, named

CONVERGED = 1e-13  # largest entry of f(z) - z at which the iteration ends, in float64
ITERATIONS = 4000
STEPS = 256  # of a neural ODE


@dataclass(frozen=True)
class Reference:
    """What a spec means, in evaluation mode."""

    z_star: Tensor  # (B, D), packed
    output: tuple[Tensor, ...]  # the head's output, or the state by scale
    residual: float


def evaluate(program: Program, roots: tuple[Node, ...], values: Mapping[Node, Any]) -> tuple[Tensor, ...]:
    """The values of nodes, given those of leaves (and of any other nodes), by each op's own meaning."""
    known, sizes = dict(values), sizes_of(values)
    for node in reachable(roots, frozenset(known)):
        attributes = {"batched": node.type.batched, **node.attributes}
        attributes = {name: bound(value, sizes) for name, value in attributes.items()}
        known[node] = OPS[node.op].meaning(torch, attributes, *(known[o] for o in node.operands))
    return tuple(known[root] for root in roots)


def sizes_of(values: Mapping[Node, Any]) -> dict[str, int]:
    """What the names of dimensions stand for, from the shapes of the inputs."""
    return {
        size.name: values[node].shape[axis + node.type.batched]
        for node in values
        if node.op == "input"
        for axis, size in enumerate(node.type.shape)
        if named(size) and size.name is not None
    }


def leaves(
    program: Program,
    state: Mapping[str, Tensor],
    inputs: tuple[Tensor, ...],
    modules: Mapping[str, Callable[..., Tensor]] = MappingProxyType({}),
) -> dict[Node, Any]:
    """Inputs and parameters by their node, and the user's modules in the place of their parameters.

    `state` is the generated module's state_dict or named parameters.
    """
    values: dict[Node, Any] = dict(zip(program.inputs, inputs, strict=True))
    for node in program.nodes:
        if node.op == "parameter":
            values[node] = state[f"{node.attributes['layer']}.{node.attributes['name']}"]
        elif node.op == "parameters":
            values[node] = modules[node.attributes["module"]]
    return values


def apply_f(program: Program, z: Tensor, given: Mapping[Node, Any]) -> Tensor:
    """One application of f on the packed state."""
    return evaluate(program, (program.f,), {**given, program.state: z})[0]


def solve(
    program: Program,
    state: Mapping[str, Tensor],
    inputs: tuple[Tensor, ...],
    damping: float = 1.0,
    modules: Mapping[str, Callable[..., Tensor]] = MappingProxyType({}),
) -> Reference:
    """The equilibrium by plain iteration from zeros, with the whole of it on autograd's tape."""
    given = leaves(program, state, inputs, modules)
    z = _zeros(program, state, inputs, given)
    residual = float("inf")
    for _ in range(ITERATIONS):
        fz = apply_f(program, z, given)
        residual = float((fz - z).detach().abs().max()) if z.numel() else 0.0
        z = z + damping * (fz - z)
        if residual <= CONVERGED:
            break
    return Reference(z, output(program, z, given), residual)


def integrate(
    program: Program,
    state: Mapping[str, Tensor],
    inputs: tuple[Tensor, ...],
    span: float,
    modules: Mapping[str, Callable[..., Tensor]] = MappingProxyType({}),
) -> Reference:
    """The state of the neural ODE z' = f(z) - z after that time, by even steps of Kutta's classical method."""
    given = leaves(program, state, inputs, modules)
    z = start(program, state, inputs, given)
    h = span / STEPS

    def rate(z: Tensor) -> Tensor:
        return apply_f(program, z, given) - z

    for _ in range(STEPS):
        k1 = rate(z)
        k2 = rate(z + h / 2 * k1)
        k3 = rate(z + h / 2 * k2)
        k4 = rate(z + h * k3)
        z = z + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return Reference(z, output(program, z, given), 0.0)


def start(
    program: Program, state: Mapping[str, Tensor], inputs: tuple[Tensor, ...], given: Mapping[Node, Any]
) -> Tensor:
    """The packed state with which a solve begins."""
    if program.start is not None:
        return evaluate(program, (program.start,), given)[0]
    zeros = _zeros(program, state, inputs, given)
    return apply_f(program, zeros, given) if program.start_kind == "step" else zeros


def _zeros(
    program: Program, state: Mapping[str, Tensor], inputs: tuple[Tensor, ...], given: Mapping[Node, Any]
) -> Tensor:
    """The packed state, all zeros."""
    batch = next(x.shape[0] for x, node in zip(inputs, program.inputs, strict=True) if node.type.batched)
    real = next(x for x in (*state.values(), *inputs) if x.is_floating_point())
    return real.new_zeros(batch, bound(program.size, sizes_of(given)))


def output(program: Program, z: Tensor, given: Mapping[Node, Any]) -> tuple[Tensor, ...]:
    """What `forward` returns at the packed state z."""
    if program.outputs:
        return evaluate(program, program.outputs, {**given, program.solution: z})
    unpack, sizes = OPS["unpack"].meaning, sizes_of(given)
    places = [{"start": s.start, "stop": s.stop, "shape": s.shape} for s in program.scales]
    return tuple(unpack(torch, {name: bound(v, sizes) for name, v in place.items()}, z) for place in places)
