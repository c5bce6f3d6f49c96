"""Whether the mask of the stop test fits the state."""

from __future__ import annotations

from deqc.diagnostics import Problems
from deqc.ir.graph import Program
from deqc.spec.model import Solver
from deqc.spec.names import did_you_mean
from deqc.types import show


def check_mask(solver: Solver, program: Program, problems: Problems) -> None:
    """A diagnostic where the mask is no input of truth values whose sizes are the first of every scale's."""
    place = solver.method.spans.get("mask")
    if solver.mask is None or place is None:
        return
    inputs = {str(one.attributes["name"]): one for one in program.inputs}
    if solver.mask not in inputs:
        given, near = ", ".join(f"${name}" for name in inputs), did_you_mean(solver.mask, inputs)
        hint = f"did you mean '${near}'?" if near else f"one of the inputs: {given}"
        problems.add("E043", place, f"'${solver.mask}' is not an input", hint=hint)
        return
    kind = inputs[solver.mask].type
    if kind.dtype != "bool" or not kind.batched:
        message = f"a mask of the stop test holds truth values for every sample, found {kind}"
        hint = f"write `{solver.mask}: {{shape: {show(kind.shape)}, dtype: bool}}` in `input`"
        problems.add("E066", place, message, hint=hint)
        return
    for index, scale in enumerate(program.scales):
        sizes = scale.shape[: len(kind.shape)]
        if len(sizes) < len(kind.shape) or any(n not in (1, m) for n, m in zip(kind.shape, sizes, strict=True)):
            message = f"a mask of shape {show(kind.shape)} does not fit scale {index} of shape {show(scale.shape)}"
            problems.add("E060", place, message, expected="the first sizes of the scale, or 1")
