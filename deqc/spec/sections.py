"""The sections that hold shapes and names: constants, inputs, the state's scales, the encoder."""

from __future__ import annotations

import math
from collections.abc import Mapping as Map

from deqc.diagnostics import Problems, Related, Span
from deqc.fields import Field, Kind
from deqc.ops.weights import WEIGHT_FIELDS
from deqc.spec.bounds import conform
from deqc.spec.computations import choice, computation
from deqc.spec.dimensions import is_dimension, named_size
from deqc.spec.expressions import Expression, evaluate
from deqc.spec.model import Choice, Computation, Input, Module, Number, Shape, Weight
from deqc.spec.names import check_module_name, check_name, did_you_mean
from deqc.spec.reader import Reader, is_scalar_expression
from deqc.spec.scalars import MAX_INT
from deqc.spec.tree import Entry, Mapping, Node, Scalar, Sequence, is_null
from deqc.types import FLOAT

_SIZE = Field("size", Kind.INT, "", minimum=1, maximum=2**31 - 1)


def constants(root: Mapping, given: Map[str, Number], problems: Problems) -> dict[str, Number]:
    """The named numbers, with those that are given in place of the spec's; a refused name still counts as declared."""
    section = root.get("constants")
    found: dict[str, Number] = {}
    for entry in section if isinstance(section, Mapping) else ():
        check_name(entry.name, entry.key.span, "a constant", problems)
        if isinstance(entry.value, Scalar) and isinstance(entry.value.value, (bool, int, float)):
            value = entry.value.value
            found[entry.name] = _given(entry, value, given[entry.name], problems) if entry.name in given else value
    declared = root.entry("constants")
    for name in given:
        if name not in found:
            place = root.entries[0].key.span if declared is None else declared.key.span
            near = did_you_mean(name, found)
            choice = f"declared: {', '.join(found)}" if found else "the spec declares no constants"
            hint = f"did you mean '{near}'?" if near else choice
            problems.add("E032", place, f"there is no constant '{name}' to set", hint=hint)
    return found


def _given(entry: Entry, declared: Number, value: Number, problems: Problems) -> Number:
    """The value given for a constant; one of the declared type if it is wrong."""
    boolean, whole = isinstance(declared, bool), isinstance(declared, int)
    large = isinstance(value, int) and abs(value) > MAX_INT
    alike = isinstance(value, bool) is boolean and (isinstance(value, int) or not whole)
    if alike and not large and math.isfinite(value):
        return value if boolean or whole else float(value)
    expected = "true or false" if boolean else "a whole number" if whole else "a number"
    shown = "an integer beyond 2**53" if large else str(value).lower()
    message = f"the constant '{entry.name}' is {str(declared).lower()} here and was set to {shown}"
    problems.add("E033", entry.value.span, message, expected=expected)
    return declared


def inputs(section: Node | None, reader: Reader) -> tuple[Input, ...] | None:
    """The arguments of `forward` in order; None after a diagnostic."""
    found: list[Input | None] = []
    for entry in section if isinstance(section, Mapping) else ():
        check_name(entry.name, entry.key.span, "an input", reader.problems)
        found.append(_input(entry, reader))
    whole = tuple(one for one in found if one is not None)
    if whole and len(whole) == len(found) and not any(one.batched for one in whole):
        hint = "write `batch: true`, or leave it out, at one that each sample has for itself"
        reader.problems.add("E073", whole[0].span, "no input has a batch", hint=hint)
        return None
    return whole if len(whole) == len(found) else None


def _input(entry: Entry, reader: Reader) -> Input | None:
    full = entry.value if isinstance(entry.value, Mapping) else None
    node = entry.value if full is None else full.get("shape")
    read = None if node is None else shape(node, "an input's shape", reader)
    if read is None:
        return None
    dtype, batch, layout = (_word(full, name, default) for name, default in _KIND)
    sparse = layout == "sparse_csr"
    if sparse and (len(read.sizes) != 2 or batch is not False or dtype != FLOAT):
        message = "a sparse input is one matrix of float numbers for all samples"
        assert node is not None
        expected = "{shape: [rows, columns], batch: false, layout: sparse_csr}"
        reader.problems.add("E022", entry.key.span, message, expected=expected)
        return None
    return Input(entry.name, read, entry.key.span, str(dtype), batch is not False, sparse)


def is_batched(entry: Entry) -> bool:
    """Whether each sample has its own of the input."""
    return _word(entry.value if isinstance(entry.value, Mapping) else None, "batch", True) is not False


_KIND = (("dtype", FLOAT), ("batch", True), ("layout", "dense"))


def _word(full: Mapping | None, name: str, default: object) -> object:
    written = None if full is None else full.get(name)
    return written.value if isinstance(written, Scalar) else default


def weights(section: Node | None, reader: Reader) -> tuple[Weight, ...]:
    """The parameters of the model itself in order, those that could be read."""
    found: list[Weight] = []
    said = {one.name.removeprefix("weight_"): one for one in WEIGHT_FIELDS if one.name != "bias_init"}
    for entry in section if isinstance(section, Mapping) else ():
        check_name(entry.name, entry.key.span, "a parameter", reader.problems, path=True)
        full = entry.value if isinstance(entry.value, Mapping) else None
        node = entry.value if full is None else full.get("shape")
        read = None if node is None else shape(node, "a parameter's shape", reader)
        choices: dict[str, Choice] = {}
        for name, one in said.items():
            written = None if full is None else full.get(name)
            chosen = (
                None if written is None or is_null(written) else choice(f"{entry.name}.{name}", one, written, reader)
            )
            if chosen is not None:
                choices[name] = chosen
        trainable = None if full is None else full.get("trainable")
        learned = not (isinstance(trainable, Scalar) and trainable.value is False)
        if read is not None:
            found.append(Weight(entry.name, read, choices, learned, entry.key.span))
    return tuple(found)


def modules(section: Node | None, reader: Reader) -> dict[str, Module]:
    """The user's own modules in order, those that could be read."""
    found: dict[str, Module] = {}
    for entry in section if isinstance(section, Mapping) else ():
        check_module_name(entry.name, entry.key.span, reader.problems)
        full = entry.value if isinstance(entry.value, Mapping) else None
        out = entry.value if full is None else full.get("out")
        same = isinstance(out, Scalar) and out.value == "same"
        read = None if out is None or same else shape(out, "what a module returns", reader)
        exact = full.get("deterministic") if full is not None else None
        if same or read is not None:
            deterministic = not (isinstance(exact, Scalar) and exact.value is False)
            found[entry.name] = Module(entry.name, read, deterministic, entry.key.span)
    return found


def scales(root: Mapping, reader: Reader) -> tuple[Shape, ...] | None:
    """The shapes of the state's scales; None after a diagnostic."""
    node = root.get("scales")
    nodes = node.items if isinstance(node, Sequence) else ()
    if node is None:
        single = root.get("scale")
        nodes = () if single is None else (single,)
    found = [shape(one, "a scale", reader) for one in nodes]
    whole = tuple(one for one in found if one is not None)
    return whole if len(whole) == len(found) >= 1 else None


def shape(node: Node, owner: str, reader: Reader) -> Shape | None:
    """A list of sizes, each a whole number, an expression of constants or a dimension; None after a diagnostic."""
    if not isinstance(node, Sequence):
        reader.malformed(node, f"{owner} must be a list of sizes")
        return None
    sizes = [_size(item, owner, reader) for item in node.items]
    whole = tuple(size for size in sizes if size is not None)
    return Shape(whole, node.span) if len(whole) == len(sizes) else None


def _size(node: Node, owner: str, reader: Reader) -> int | None:
    if isinstance(node, Scalar) and is_scalar_expression(node):
        value = reader.expression(node)
        if isinstance(value, Expression):  # it reads more than constants: let the evaluator say what
            if named := sorted(value.free_names() & reader.dimensions):
                message = f"{named[0]} is a dimension, which is known at the call: no number is computed from it"
                reader.problems.add("E052", node.span, message, hint=f"a size may be the name alone: `{named[0]}`")
                return None
            scope = {**reader.constants, "scales": {"count": reader.scale_count}}
            value = evaluate(value, scope, reader.problems)
        if value is None:
            return None
    elif is_dimension(node):
        return named_size(node, reader)
    elif isinstance(node, Scalar) and type(node.value) is int:
        value = node.value
    else:
        reader.malformed(node, f"a size of {owner} must be a whole number ≥ 1 or an expression ${{…}}")
        return None
    if isinstance(node, Scalar) and type(node.value) is int and node.value < 1:
        return None  # the schema has said so
    conforming = conform(owner, _SIZE, value, node.span, reader.problems)
    return int(conforming) if conforming is not None else None


def encoder(section: Node | None, reader: Reader) -> tuple[tuple[str, Computation], ...]:
    """The values computed from the inputs, in order."""
    found: list[tuple[str, Computation]] = []
    for entry in section if isinstance(section, Mapping) else ():
        check_name(entry.name, entry.key.span, "an encoder value", reader.problems, path=True)
        found.append((entry.name, computation(entry.value, reader)))
    return tuple(found)


def distinct(entries: list[tuple[str, Entry]], problems: Problems) -> None:
    """Refuses two values of one name; each entry comes with what it is, say "an input"."""
    seen: dict[str, tuple[str, Span]] = {}
    for what, entry in entries:
        if entry.name in seen:
            other, span = seen[entry.name]
            message = f"'{entry.name}' names {other} already and cannot name {what}"
            problems.add("E044", entry.key.span, message, related=[Related(span, f"{other}")])
        else:
            seen[entry.name] = (what, entry.key.span)
