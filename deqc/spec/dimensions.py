"""The names of dimensions: sizes that are known at the call, bound by the shapes of the inputs."""

from __future__ import annotations

import re
from typing import Final, TypeGuard

from deqc.diagnostics import Span
from deqc.spec.names import check_dimension_name, did_you_mean
from deqc.spec.reader import Reader
from deqc.spec.schema.leaves import DIMENSION
from deqc.spec.tree import Mapping, Node, Scalar, Sequence
from deqc.types import dimension

LEFT_OUT: Final = "shapes leave out the batch: remove it"


def dimensions(section: Node | None, reader: Reader) -> frozenset[str]:
    """The names of dimensions in the shapes of inputs, which the sizes of what is handed over bind."""
    found: dict[str, Span] = {}
    inputs = [entry.name for entry in section] if isinstance(section, Mapping) else []
    for entry in section if isinstance(section, Mapping) else ():
        node = entry.value.get("shape") if isinstance(entry.value, Mapping) else entry.value
        for item in node.items if isinstance(node, Sequence) else ():
            if is_dimension(item) and str(item.value) not in found:
                found[str(item.value)] = item.span
    for name, span in found.items():
        if name == "None":
            reader.problems.add("E022", span, "a size is a number or a name, found 'None'", hint=LEFT_OUT)
        elif name in reader.constants:
            reader.problems.add("E044", span, f"'{name}' is a constant", hint=f'write "${{{name}}}", in quotes')
        elif name in inputs:
            message = f"'{name}' names an input already and cannot name a dimension"
            reader.problems.add("E044", span, message)
        else:
            check_dimension_name(name, span, reader.problems)
    return frozenset(found)


def is_dimension(node: Node) -> TypeGuard[Scalar]:
    """Whether a size is written as the name of a dimension."""
    return isinstance(node, Scalar) and isinstance(node.value, str) and re.match(DIMENSION, node.value) is not None


def named_size(node: Scalar, reader: Reader) -> int | None:
    """The size that a name stands for; None after a diagnostic."""
    name = str(node.value)
    if name in reader.dimensions:
        return dimension(name)
    if name in reader.constants:
        reader.problems.add("E044", node.span, f"'{name}' is a constant", hint=f'write "${{{name}}}", in quotes')
        return None
    near = did_you_mean(name, reader.dimensions)
    known = ", ".join(sorted(reader.dimensions))
    hint = f"did you mean '{near}'?" if near else f"inputs name {known}" if known else None
    hint = hint or f"write it in the shape of an input, such as `x: [{name}, 4]`, or write a number"
    reader.problems.add("E072", node.span, f"the dimension {name} stands in no input", hint=hint)
    return None
