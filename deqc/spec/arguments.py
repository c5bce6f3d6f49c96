"""The arguments with which a block is used, matched with its parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from deqc.diagnostics import Related, Span
from deqc.fields import Field, Kind
from deqc.ops import STEPS
from deqc.spec.model import Argument, Computation, Literal, Parameter
from deqc.spec.names import did_you_mean
from deqc.spec.reader import Reader, is_scalar_expression
from deqc.spec.tree import Mapping, Node, Scalar, Sequence

Read = Callable[[Node, Reader], Computation]

KINDS = {"int": Kind.INT, "number": Kind.NUMBER, "bool": Kind.BOOL}


def block_arguments(block: str, span: Span, argument: Node | None, reader: Reader, read: Read) -> dict[str, Argument]:
    """The arguments that are written and could be read, by parameter."""
    parameters = {parameter.name: parameter for parameter in reader.signatures[block]}
    written: dict[str, Node] = {}
    missing = {name for name, one in parameters.items() if one.required}
    if isinstance(argument, Mapping):
        written = {entry.name: entry.value for entry in argument if entry.name in parameters}
        for entry in argument:
            if entry.name not in parameters:
                missing.discard(_unknown(block, entry.name, entry.key.span, list(parameters), reader) or "")
    elif isinstance(argument, Sequence) and (row := _in_a_row(argument, parameters)):
        message = f"the block {block} takes its parameters by name"
        reader.malformed(argument, message, hint=f"write `{{{block}: {{{row}}}}}`")
        return {}
    elif parameters and argument is not None:
        written = {next(iter(parameters)): argument}
    elif argument is not None:
        reader.malformed(argument, f"the block {block} has no parameters", "E020", f"write `{block}`")
    lacking = [name for name in parameters if name in missing - written.keys()]
    if lacking:
        names = " and ".join(f"'{name}'" for name in lacking)
        related = [Related(parameters[lacking[0]].span, f"'{lacking[0]}' is declared here, without a default")]
        shown = [_shown(name, written.get(name)) for name in parameters if name in lacking or name in written]
        hint = f"write `{{{block}: {{{', '.join(shown)}}}}}`"
        reader.problems.add("E021", span, f"the block {block} needs {names}", hint=hint, related=related)
    values = {name: value(block, parameters[name], node, reader, read) for name, node in written.items()}
    return {name: found for name, found in values.items() if found is not None}


def _in_a_row(argument: Sequence, parameters: Iterable[str]) -> str:
    """Numbers one after the other, as Python takes arguments, under the parameters' names; empty if it is none."""
    texts = [one.text for one in argument.items if isinstance(one, Scalar) and isinstance(one.value, (int, float))]
    names = list(parameters)
    fit = len(names) > 1 and len(texts) == len(argument.items) <= len(names)
    return ", ".join(f"{name}: {text}" for name, text in zip(names, texts, strict=False)) if fit else ""


def _shown(name: str, node: Node | None) -> str:
    """An argument as it is written, if that is short."""
    return f"{name}: {node.text if isinstance(node, Scalar) and len(node.text) < 20 else '…'}"


def value(block: str, parameter: Parameter, node: Node, reader: Reader, read: Read) -> Argument | None:
    """One argument, as the parameter's type or its default asks; None after a diagnostic."""
    kind = kind_of(parameter)
    numeric = isinstance(node, Scalar) and isinstance(node.value, (int, float))
    if kind is not None:
        return _number(block, parameter, kind, node, reader)
    if parameter.type == "value":
        if isinstance(node, Scalar) and node.value is None and not parameter.required:
            return Literal(None, node.span)
        if numeric or is_scalar_expression(node):
            reader.malformed(node, f"{block}.{parameter.name} must be a computation, such as `$x`")
            return None
        return read(node, reader)
    if numeric and isinstance(node, Scalar):
        return Literal(node.value, node.span)
    if is_scalar_expression(node) and isinstance(node, Scalar):
        computed = reader.expression(node)
        return None if computed is None else Literal(computed, node.span)
    return read(node, reader)


def _number(block: str, parameter: Parameter, kind: Kind, node: Node, reader: Reader) -> Literal | None:
    """A number as it is written: the field that it ends up in says what it takes."""
    read = reader.number(node, block, Field(parameter.name, kind, ""))
    plain = isinstance(node, Scalar) and isinstance(node.value, (int, float))
    return Literal(node.value, node.span) if read is not None and plain and isinstance(node, Scalar) else read


def kind_of(parameter: Parameter) -> Kind | None:
    """The kind of number that a parameter takes; None for a value, and where its uses decide."""
    if parameter.type is not None:
        return KINDS.get(parameter.type)
    default = parameter.default.value if isinstance(parameter.default, Literal) else None
    if isinstance(default, bool):
        return Kind.BOOL
    return Kind.NUMBER if isinstance(default, (int, float)) else None


def _unknown(block: str, name: str, span: Span, parameters: list[str], reader: Reader) -> str | None:
    """Reports a parameter that the block has not; returns the one that was probably meant."""
    near = did_you_mean(name, parameters)
    hint = f"did you mean '{near}'?" if near else None
    if near is None and parameters and (name in STEPS or name in reader.signatures):
        near = parameters[0]
        hint = f"a computation for '{near}' is written as a list: `[{{{name}: …}}]`"
    expected = None if near else f"one of {', '.join(parameters)}" if parameters else "no parameters"
    message = f"the block {block} has no parameter '{name}'"
    reader.problems.add("E020", span, message, expected=expected, hint=hint)
    return near
