"""What a spec declares and never reads: constants, blocks, their parameters, and names that `as` gives.

Inputs, encoder values, parameters and modules are seen in the graph, where it shows whether they reach the result.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from deqc.diagnostics import Problems, Severity, Span
from deqc.spec.expressions import is_expression, parse
from deqc.spec.expressions.tree import names
from deqc.spec.model import Block, Computation, Literal, Reference, Spec, Step
from deqc.spec.tree import Mapping, Node, Scalar, walk
from deqc.spec.walk import expressions, nested, references, steps


def unread_constants(root: Mapping) -> dict[str, Span]:
    """The constants that no expression of the tree reads; the typed spec holds only what they come to."""
    section = root.get("constants")
    if not isinstance(section, Mapping):
        return {}
    read = _numbers_read(root)
    return {entry.name: entry.key.span for entry in section.entries if entry.name not in read}


def tell_unread(spec: Spec, problems: Problems) -> None:
    """Notes a warning for each."""

    def warn(code: str, span: Span, message: str, hint: str) -> None:
        problems.add(code, span, message, hint=f"{hint}, or remove it", severity=Severity.WARNING)

    for constant, span in spec.unread_constants.items():
        warn("N108", span, f"nothing reads the constant {constant}", f'read it as "${{{constant}}}"')
    computations = list(_computations(spec))
    used = {step.name for one in computations for step in steps(one)}
    for block in spec.blocks.values():
        if block.name not in used:
            warn("N109", block.span, f"nothing uses the block {block.name}", f"use it as a step, `{block.name}`")
        read = _names_in(block)
        for parameter in block.parameters:
            if parameter.name not in read:
                message = f"the body of {block.name} does not read its parameter {parameter.name}"
                written = f"${parameter.name}" if parameter.type == "value" else f'"${{{parameter.name}}}"'
                warn("N110", parameter.span, message, f"read it as {written}")
    for given in chain.from_iterable(map(_unread_names, computations)):
        warn("N111", given.span, f"nothing reads the value {given.value}", f"read it as ${given.value}")


def _numbers_read(root: Node) -> set[str]:
    """All names in the expressions of a tree."""
    silent = Problems()
    texts = [one for one in walk(root) if isinstance(one, Scalar) and is_expression(str(one.value))]
    found = [parse(str(one.value), one.span, silent) for one in texts]
    return {name.name for one in found if one is not None for name in names(one.tree)}


def _computations(spec: Spec) -> Iterator[Computation]:
    """Every computation that is written, blocks and their defaults among them; each once."""
    matrix = chain.from_iterable(spec.mapping_layers)
    defaults = (one.default for block in spec.blocks.values() for one in block.parameters)
    written = chain(
        (block.body for block in spec.blocks.values()),
        (one for one in defaults if isinstance(one, Computation)),
        (computation for _, computation in spec.encoder),
        spec.initial.chains,
        spec.main_layers,
        matrix,
        spec.post_fuse_layers or (),
        (output.computation for output in spec.head),
    )
    seen: set[int] = set()
    for one in written:
        if one is not None and id(one) not in seen:  # a rule or `each` stands in many places
            seen.add(id(one))
            yield one


def _names_in(block: Block) -> set[str]:
    """What the body reads, by `$` or in expressions."""
    numbers = (name.name for step in steps(block.body) for one in expressions(step) for name in names(one.tree))
    return {*numbers, *(reference.name for reference in references(block.body))}


def _unread_names(computation: Computation) -> Iterator[Literal]:
    """The names that `as` gives and no later step of its chain reads."""
    for index, step in enumerate(computation.steps):
        if isinstance(step, Reference):
            continue
        given = step.arguments.get("name")
        if step.name == "as" and isinstance(given, Literal) and not _reads(computation.steps[index:], given.value):
            yield given
        for inner in nested(step):
            yield from _unread_names(inner)


def _reads(later: tuple[Step | Reference, ...], name: object) -> bool:
    return any(reference.name == name for reference in references(Computation(later, later[0].span)))
