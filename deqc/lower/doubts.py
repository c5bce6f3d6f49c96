"""What is not wrong but can hardly be meant: values that nothing reads, a map that never reads its state."""

from __future__ import annotations

from deqc.diagnostics import Problems, Severity, Span
from deqc.ir.graph import Program, depends, reachable, tensor_name
from deqc.ir.sizes import axes, names
from deqc.spec.model import Spec
from deqc.spec.unread import tell_unread
from deqc.types import Type


def doubt(spec: Spec, program: Program, problems: Problems) -> None:
    """Notes a warning for all that has no effect on what is returned, and for an f that does not read z."""
    tell_unread(spec, problems)
    needed = set(reachable(program.roots))

    def warn(code: str, span: Span, message: str, hint: str) -> None:
        problems.add(code, span, message, hint=hint, severity=Severity.WARNING)

    used = set(names([*(node.type for node in needed), *(Type(scale.shape) for scale in program.scales)]))
    known = {name for node in program.inputs if node in needed for name in axes(node.type)}
    masked = {spec.solver.mask} & {given.name for given in spec.inputs}
    for given, node in zip(spec.inputs, program.inputs, strict=True):
        if given.name in masked or (spec.solver.mask and not masked and given.dtype == "bool"):
            continue  # a mask of another name may mean it
        if node not in needed and not (used - known) & axes(node.type).keys():  # nor is it there for its shape
            warn("N101", given.span, f"nothing reads the input {given.name}", f"read it as ${given.name}, or remove it")
    for (name, _), node in zip(spec.encoder, program.encoded, strict=True):
        if node not in needed:
            span = spec.encoder_spans[name]
            warn("N102", span, f"nothing reads {name}: its layers will not learn", f"read it as ${name}, or remove it")
    tensors = {tensor_name(node) for node in needed if node.op == "parameter"}
    for weight in spec.weights:
        if ("params", weight.name) not in tensors:
            hint = f"read it as ${weight.name}, or remove it"
            warn("N106", weight.span, f"nothing reads the parameter {weight.name}", hint)
    called = {node.attributes["name"] for node in needed if node.op == "module"}
    for module in spec.modules.values():
        if module.name not in called:
            hint = f"call it as a step, `{module.name}`, or remove it"
            warn("N105", module.span, f"nothing calls the module {module.name}", hint)
    for index, node in enumerate(program.hidden):
        if node not in needed:
            span = spec.main_layers[index].span
            warn(
                "N103",
                span,
                f"nothing reads h_{index}: row {index} of mapping_layers is null throughout",
                f"map scale {index} to itself or to another scale, or remove it",
            )
    dropped = any(one.code == "N112" for one in problems.found)  # the state with it, most likely
    if program.f not in depends(program.nodes, program.state) and not dropped:
        span = spec.main_layers[0].span
        warn("N104", span, "f does not read the state z, so that its first application is the solution", "start from z")
