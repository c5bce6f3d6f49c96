"""Computations of the tree as typed chains of steps, every short form written out."""

from __future__ import annotations

import re

from deqc.diagnostics import Span
from deqc.fields import Field, Kind
from deqc.ops import STEPS
from deqc.ops.base import Op
from deqc.ops.module import ARGUMENTS
from deqc.spec.arguments import block_arguments
from deqc.spec.dimensions import is_dimension, named_size
from deqc.spec.model import Argument, Branches, Choice, Computation, Literal, Reference, Sizes, Step
from deqc.spec.places import covered, example, shown
from deqc.spec.reader import Reader, is_scalar_expression
from deqc.spec.tree import Mapping, Node, Scalar, Sequence, is_null
from deqc.spec.unknown_steps import unknown_step
from deqc.spec.walk import BROKEN

_REFERENCE = re.compile(r"\$([A-Za-z][A-Za-z0-9_]*)(?:\.([0-9]{1,6}))?\Z")


def computation(node: Node, reader: Reader) -> Computation:
    """A chain, or a single step; what cannot be read is reported and stands there as a step of the name BROKEN."""
    if not isinstance(node, Sequence):
        return Computation((_step(node, reader),), node.span)
    if not node.items:
        reader.malformed(node, "a computation has at least one step", "E026")
        return Computation((_broken(node.span),), node.span)
    return Computation(tuple(_element(item, reader) for item in node.items), node.span)


def _element(node: Node, reader: Reader) -> Step | Reference:
    if not isinstance(node, Sequence):
        return _step(node, reader)
    if not covered(reader.problems, node.span):
        message = "a list inside a chain: a chain contains steps; did you mean `scales:` or `sum:`?"
        reader.problems.add("E028", node.span, message)
    return _broken(node.span)


def _step(node: Node, reader: Reader) -> Step | Reference:
    if isinstance(node, Mapping) and len(node.entries) == 1:
        entry = node.entries[0]
        return _named(entry.name, entry.key.span, node.span, entry.value, reader)
    if isinstance(node, Scalar) and isinstance(node.value, str):
        if node.value.startswith("$"):
            return _reference(node, reader)
        return _named(node.value, node.span, node.span, None, reader)
    reader.malformed(node, "a step must be a name, `$name` or a mapping of one name to its fields")
    return _broken(node.span, node.get("as") if isinstance(node, Mapping) else None)


def _broken(span: Span, argument: Node | None = None) -> Step:
    """Stands for a step that could not be read, so that the rest of its chain can be checked.

    A word as its argument may be the name that a misspelt `as` gives.
    """
    if isinstance(argument, Scalar) and isinstance(argument.value, str):
        return Step(BROKEN, {"name": Literal(argument.value, argument.span)}, span, span)
    return Step(BROKEN, {}, span, span)


def _reference(node: Scalar, reader: Reader) -> Step | Reference:
    found = _REFERENCE.match(str(node.value))
    if found is None and node.text[1:] in reader.values:  # its name has been refused where it is given
        return _broken(node.span)
    if found is None:
        if is_scalar_expression(node):
            read = re.match(r"\$\{\s*([A-Za-z][A-Za-z0-9_]*)", str(node.value))
            hint = "`${x}` is a number, for the fields of steps; `$x` is a value"
            if read is not None and read[1] in reader.values:
                hint = f"`${read[1]}` reads the value {read[1]}; `${{…}}` is a number, for the fields of steps"
            reader.problems.add("E042", node.span, "an expression is no step", hint=hint)
        else:
            hint = "a value is read as `$name`, a scale of the state as `$z.0`"
            inner = re.fullmatch(r"\$\w+[.:/](\w+)", node.text)
            if inner is not None and inner[1] in reader.values:
                hint = f"write `${inner[1]}`"
            elif (letters := re.sub(r"\W", "", node.text)) in reader.values | {"z"}:
                hint = f"write `${letters}`"
            reader.problems.add("E042", node.span, f"'{node.text}' is not a reference", hint=hint)
        return _broken(node.span)
    return Reference(found[1], int(found[2]) if found[2] else None, node.span)


def _named(name: str, span: Span, whole: Span, argument: Node | None, reader: Reader) -> Step:
    """A step by its name; `argument` is None where the name stands alone."""
    if name in reader.signatures:
        return Step(name, block_arguments(name, span, argument, reader, computation), span, whole)
    if name in reader.modules:
        return Step(name, _module(name, argument, reader), span, whole)
    if name in STEPS and name not in reader.unavailable:
        return Step(name, _fields(STEPS[name], span, argument, reader), span, whole)
    if name not in reader.unavailable:
        unknown_step(name, span, reader)
    if argument is not None:
        _search(argument, reader)
    return _broken(whole, argument)


def _module(name: str, argument: Node | None, reader: Reader) -> dict[str, Argument]:
    """The arguments of a module of the user's, where they are written."""
    node = argument
    if isinstance(argument, Mapping):
        for entry in argument:
            if entry.name != ARGUMENTS.name:
                hint = f"write `{{{name}: {{args: [$x, …]}}}}`, or `{name}` alone"
                message = f"the module {name} has no field '{entry.name}'"
                reader.problems.add("E020", entry.key.span, message, expected="args", hint=hint)
        node = argument.get(ARGUMENTS.name)
    if node is None:
        return {}
    if not isinstance(node, Sequence) or not node.items:
        reader.malformed(node, f"{name}.args must be a list of computations", hint=f"write `{{{name}: [$x, …]}}`")
        return {}
    return {ARGUMENTS.name: Branches(tuple(computation(item, reader) for item in node.items), node.span)}


def _search(node: Node, reader: Reader) -> None:
    """Reads what is plainly a computation among the arguments of an unknown step, for the mistakes in it."""
    values = [entry.value for entry in node] if isinstance(node, Mapping) else [node]
    for value in values:
        for item in value.items if isinstance(value, Sequence) else ():
            if isinstance(item, Sequence):
                computation(item, reader)
            elif isinstance(item, Mapping):
                _step(item, reader)


def _fields(op: Op, span: Span, argument: Node | None, reader: Reader) -> dict[str, Argument]:
    """The fields of an op that are written and could be read."""
    fields = {field.name: field for field in op.fields}
    written: dict[str, Node] = {}
    if isinstance(argument, Mapping):
        written = {entry.name: entry.value for entry in argument if entry.name in fields}
    elif argument is not None and op.principal is not None:
        written = {op.principal: argument}
    elif argument is not None:
        reader.malformed(argument, f"{op.name} takes its fields by name" if fields else f"{op.name} has no fields")
        return {}
    given = op.instead if op.source in written and not is_null(written[op.source]) else ()
    missing = [f.name for f in op.fields if f.required and f.name not in written and f.name not in given]
    if argument is None and missing:
        shortest = f"{{{op.name}: …}}" if missing == [op.principal] else example(op.name, missing)
        listed = " and ".join(f"'{name}'" for name in missing)
        reader.problems.add("E021", span, f"{op.name} needs {listed}", hint=f"write `{shortest}`")
    read = {name: _argument(op.name, fields[name], node, reader) for name, node in written.items()}
    return {name: value for name, value in read.items() if value is not None}


def _argument(owner: str, field: Field, node: Node, reader: Reader) -> Argument | None:
    """The value of one field; None after a diagnostic."""
    match field.kind:
        case Kind.INT | Kind.NUMBER | Kind.BOOL:
            if field.each and isinstance(node, Sequence):
                return _sizes(owner, field, node, reader)
            return reader.number(node, owner, field)
        case Kind.SHAPE:
            if isinstance(node, Sequence):
                return _sizes(owner, field, node, reader)
        case Kind.CHOICE | Kind.WORD:
            if isinstance(node, Scalar) and (isinstance(node.value, str) or (node.value is None and field.nullable)):
                return Literal(node.value, node.span)
        case Kind.VARIANT:
            return choice(f"{owner}.{field.name}", field, node, reader)
        case Kind.COMPUTATION | Kind.VALUE:
            if isinstance(node, Scalar) and node.value is None and field.nullable:
                return Literal(None, node.span)
            return computation(node, reader)
        case Kind.BRANCHES:
            if isinstance(node, Sequence):
                return _branches(owner, node, reader)
    reader.malformed(node, f"{owner}.{field.name} must be a {field.kind.value}")
    return None


def choice(subject: str, field: Field, node: Node, reader: Reader) -> Choice | None:
    """One variant of a field, by its name or with options; None where the schema has refused it."""
    entry = node.entries[0] if isinstance(node, Mapping) and len(node.entries) == 1 else None
    name = entry.name if entry is not None else node.value if isinstance(node, Scalar) else None
    variant = field.variants.get(name) if isinstance(name, str) else None
    if variant is None:
        reader.malformed(node, f"{subject} must be one of {', '.join(field.variants)}")
        return None
    argument = None if entry is None else entry.value
    written = {variant.principal: argument} if variant.principal and argument is not None else {}
    if isinstance(argument, Mapping):
        written = {one.name: one.value for one in argument}
    fields = {one.name: one for one in variant.fields}
    read = {key: reader.number(value, variant.name, fields[key]) for key, value in written.items() if key in fields}
    if any(one.required and one.name not in read for one in variant.fields):
        return None  # the schema has said so
    return Choice(variant.name, {key: value for key, value in read.items() if value is not None}, node.span)


def _sizes(owner: str, field: Field, node: Sequence, reader: Reader) -> Sizes | None:
    items = [_one_size(owner, field, item, reader) for item in node.items]
    whole = tuple(item for item in items if item is not None)
    return Sizes(whole, node.span) if len(whole) == len(items) else None


def _one_size(owner: str, field: Field, node: Node, reader: Reader) -> Literal | None:
    if field.kind is Kind.SHAPE:
        if is_dimension(node):
            size = named_size(node, reader)
            return None if size is None else Literal(size, node.span)
        field = Field(field.name, Kind.INT, field.text, minimum=1)
    return reader.number(node, owner, field)


def _branches(owner: str, node: Sequence, reader: Reader) -> Branches:
    if len(node.items) < 2 and not covered(reader.problems, node.span):
        message = f"{owner} has two or more branches, found {shown(node)}"
        reader.problems.add("E026", node.span, message)
    return Branches(tuple(computation(item, reader) for item in node.items), node.span)
