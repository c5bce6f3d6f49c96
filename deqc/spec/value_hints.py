"""What to write instead of a value that the schema refuses, where what was meant can be told."""

from __future__ import annotations

import re
from itertools import zip_longest
from typing import Final

from deqc.fields import Field, Kind
from deqc.ops import STEPS
from deqc.settings import LANGUAGE
from deqc.solvers import ADJOINTS, LINEAR_SOLVERS, SOLVERS
from deqc.solvers.torchdiffeq import INTEGRATORS, PREFIX, RELEASE
from deqc.spec import intended
from deqc.spec.dimensions import LEFT_OUT
from deqc.spec.names import did_you_mean
from deqc.spec.places import Path, example, node_at
from deqc.spec.step_hints import step_hint
from deqc.spec.tree import Mapping, Node, Scalar, Sequence

# Truth values of YAML 1.1.
_TRUTH: Final = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}
_WRITTEN: Final = {"true": "true", "false": "false", "none": "false"}
_REFERENCE: Final = re.compile(r"\$([A-Za-z][A-Za-z0-9_]*)\Z")
_NUMBER: Final = re.compile(r"-?[0-9]+(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?\Z")
_SIZES: Final = 'sizes are read as `in.…`, such as "${in.features}"'


def value_hint(root: Mapping, path: Path, node: Node, message: str, choices: list[str]) -> str | None:
    """The hint for the value at this path; `choices` are the words that may stand there."""
    if path == ("input",):
        return f"write a mapping of names to shapes: `{_inputs(node)}`"
    if path in (("solver",), ("solver", "method")) and isinstance(node, Scalar) and node.text.startswith(PREFIX):
        return _integrator(node.text)
    if path in (("adjoint",), ("adjoint", "method")) and _is_linear_solver(node):
        return _linear_solver(root, node)
    if path == ("encoder",) and not isinstance(node, Mapping):
        return "name what it computes, and read it as `$inject`: `{inject: […]}`"
    if "a mapping of names to" in message and not isinstance(node, Mapping):
        return f"write `{_NAMED[str(path[-1])]}`"
    if isinstance(node, Scalar):
        return _scalar(root, path, node, message, choices)
    if "for each scale" in message:
        return _PER_SCALE
    if path[-1] in ("parametrize", "constraint") and isinstance(node, Sequence):
        return "a weight has one"
    if isinstance(node, Mapping) and "computations" in message:
        return "write a list: `[…, …]`"
    if choices and isinstance(node, Sequence) and len(node.items) == 1 and isinstance(node.items[0], Scalar):
        return f"write it without brackets: `{node.items[0].text}`"
    if "a list of sizes" in message and isinstance(node, Mapping) and isinstance(inner := node.get("shape"), Sequence):
        return f"write `[{_sizes(inner) or '…'}]`"
    if path[:1] == ("scale",) and len(path) == 2 and isinstance(node, Sequence):
        return f"one list of sizes is the shape: write `scale: [{_sizes(node) or '…'}]`, or `scales:` for several"
    if isinstance(node, Sequence) and path:
        return _fields_in_a_list(root, path, node) or _positional(str(path[-1]), node)
    return None


_PER_SCALE: Final = "with `scales:` a list has one entry for each scale"
# How sections and fields are written that give names to something.
_NAMED: Final = {
    "constants": "{width: 64}",
    "parameters": "{W: [64, 64]}",
    "modules": "{cell: same}",
    "blocks": "{dense: [{linear: 64}, tanh]}",
    "params": "{out: null, bias: true}",
}


def _integrator(name: str) -> str:
    """Of a method that torchdiffeq is said to have: deqc's own of that name, and those that it has."""
    own, known = name.removeprefix(PREFIX), [one.name for one in INTEGRATORS]
    near = did_you_mean(name, known)
    there = f"torchdiffeq {RELEASE} has {', '.join(one.removeprefix(PREFIX) for one in known)}"
    if own in SOLVERS:
        return f"write `{own}`, which is deqc's own; {there}"
    return f"did you mean '{near}'? {there}" if near else there


def of_linear_solver(root: Mapping, path: Path) -> bool:
    """Whether the options there are those of a linear solver, written in the place of the adjoint's method."""
    method = node_at(root, ("adjoint",)) if path == ("adjoint",) else None
    return isinstance(method, Mapping) and _is_linear_solver(method.get("method"))


def _is_linear_solver(node: Node | None) -> bool:
    return isinstance(node, Scalar) and node.value in LINEAR_SOLVERS.keys() - ADJOINTS.keys() - {"auto"}


def _scalar(root: Mapping, path: Path, node: Scalar, message: str, choices: list[str]) -> str | None:
    value = node.value
    if path == ("deqc",):
        return f"write {LANGUAGE}"
    if "a step must be" in message:
        return step_hint(root, path, node)
    if path == ("mapping_layers",):
        return (
            "write a row for each scale, or a rule: `{down: …, up: …}`; without any, each scale leads to itself alone"
        )
    if path == ("scales",):
        return "write a list of shapes, one for each scale: `[[64], [32]]`"
    if path == ("init",) and not did_you_mean(node.text, choices):
        return f"{_PER_SCALE}; `{{each: {node.text}}}` gives one to all"
    if path[0] == "modules":
        near = isinstance(value, str) and did_you_mean(value, ("same",))
        return (
            "did you mean 'same'?"
            if near
            else "write the shape of what it returns; the module itself is an argument of the class"
        )
    if "such as '$" in message and isinstance(value, str) and value.isidentifier():
        return f"write `${value}`"
    if path == ("solver", "record") and type(value) is int:
        return f"write `[{value}]`"
    if value == -1 and "reshape" in message:
        return "sizes are not inferred: write the size; `flatten` makes one axis of all"
    if str(path[-1]).endswith("init") and type(value) in (int, float):
        return f"write `{{constant: {node.text}}}`, or `{{normal: {node.text}}}`"
    if "a list of sizes" in message and path[0] != "scales" and (read := intended.sizes(node.text)):
        return f"write `{read}`"
    if "a size of" in message and (value in (None, -1)) and path[-1] == 0 and path[0] in ("input", "scale", "scales"):
        return LEFT_OUT
    if "a size of" in message and isinstance(value, str) and (read := intended.sizes(value)) and "," in read:
        return f"write `{read[1:-1]}`, with commas"
    if "true" in message and node.text.strip(intended.QUOTES).lower() in _WRITTEN:
        return f"write `{_WRITTEN[node.text.strip(intended.QUOTES).lower()]}`"
    if (
        isinstance(value, str)
        and value
        and value[0] in intended.QUOTES
        and value.strip(intended.QUOTES).startswith("${")
    ):
        return f'write "{value.strip(intended.QUOTES)}", in straight quotes'
    if isinstance(value, str) and (computed := intended.expression(value)):
        if "expression ${" in message:
            return f'write "{computed}"' if computed != value else None
        if path[0] in ("solver", "adjoint", "constants"):
            return "write the number: expressions stand in the fields of steps and in shapes"
    if isinstance(value, str):
        near = did_you_mean(value, choices)
        if near is not None:
            return f"did you mean '{near}'?"
        if "true" in message and "false" in message and value.lower() in _TRUTH:
            return f"write `{_TRUTH[value.lower()]}`: in YAML 1.2 `{value}` is a word"
        if not node.plain and "number" in message and _NUMBER.match(value):
            return f"remove the quotes: {value} is a number, '{value}' is text"
        if "number" in message and (node.plain or value[:1] in intended.QUOTES) and (read := intended.number(value)):
            return f"write {read}"
        if "expression ${" in message and (expression := _expression(root, value)):
            return expression
        reference = _REFERENCE.match(value)
        if reference is not None and "expression ${" in message:
            return _number(root, reference[1])
    if isinstance(value, float) and value.is_integer() and "a whole number" in message:
        return f"write {int(value)}, without a point or an exponent"
    if path[:1] == ("scales",) and len(path) == 2 and type(value) is int:
        sizes = _sizes(node_at(root, ("scales",))) or node.text
        return f"a shape is a list: `scales: [[{value}], …]`, or for a single one `scale: [{sizes}]`"
    if "for each scale" in message:
        return _PER_SCALE
    return _step(str(path[-1]), node) if path else None


def _fields_in_a_list(root: Mapping, path: Path, node: Sequence) -> str | None:
    """Fields of a step that are written as entries of a list, or a computation where several fields are wanted."""
    step = next((str(one) for one in reversed(path) if one in STEPS), None)
    if step is None:
        return None
    fields = STEPS[step].fields
    names = [one.entries[0].name for one in node.items if isinstance(one, Mapping) and len(one.entries) == 1]
    if names and len(names) == len(node.items) and all(name in [one.name for one in fields] for name in names):
        return f"fields are written without dashes and brackets: `{example(step, names)}`"
    whole = [one.name for one in fields if one.kind is Kind.COMPUTATION and one.required]
    if path[-1] == step and len(whole) == 1:
        return f"write `{example(step, [one.name for one in fields if one.required])}`"
    return None


def _expression(root: Mapping, text: str) -> str | None:
    """A computation, or the name of a constant, that is written without `${…}`."""
    constants = root.get("constants")
    named = isinstance(constants, Mapping) and constants.entry(text) is not None
    computed = re.fullmatch(r"[\w.()\s]+(?:[-+*/%][\w.()\s*/]+)+", text) is not None
    return f'write "${{{text}}}", in quotes' if named or computed else None


def _positional(name: str, node: Sequence) -> str | None:
    """Sizes in a row, as torch takes them, where a step takes its fields by name and infers what it is given."""
    op = STEPS.get(name)
    sizes = [one.text for one in node.items if isinstance(one, Scalar) and type(one.value) is int]
    if op is None or len(sizes) != len(node.items) or not sizes:
        return None
    if op.principal is not None:
        return f"the size of what it is given follows: write `{{{name}: {sizes[-1]}}}`"
    required = [one.name for one in op.fields if one.required]
    fields = ", ".join(
        f"{one}: {size}" for one, size in zip_longest(required, sizes[1:][: len(required)], fillvalue="…")
    )
    return f"the size of what it is given follows: write `{{{name}: {{{fields}}}}}`"


def _number(root: Mapping, name: str) -> str:
    """A `$name` where a number is expected."""
    sections = (root.get("input"), root.get("encoder"))
    if name == "z" or any(isinstance(one, Mapping) and one.entry(name) is not None for one in sections):
        return f"`${name}` is a value, and a number is wanted; {_SIZES}"
    return f'a number is read as "${{{name}}}", in quotes'


def _step(name: str, node: Scalar) -> str | None:
    """A value as the only argument of a step that does not take one so."""
    op = STEPS.get(name)
    number = type(node.value) in (int, float)
    if op is None:
        return None
    bare = next((one for one in op.fields if one.name == op.principal), None)
    if bare is not None:  # it takes numbers or words, but not this one
        optional = not any(one.required for one in op.fields)
        follows = number and optional and bare.kind is Kind.BOOL
        return f"its sizes follow from the value: write `{name}`" if follows else None
    taken = (one.name for one in op.fields if _takes(one, node))
    given = next(taken, None)
    if given is None:
        return None
    written = [one.name for one in op.fields if one.required or one.name == given]
    fields = ", ".join(f"{one}: {node.text if one == given else '…'}" for one in written)
    return f"write `{{{name}: {{{fields}}}}}`"


def _takes(field: Field, node: Scalar) -> bool:
    """Whether the value may have been meant for this field."""
    if isinstance(node.value, str):
        computation = field.kind is Kind.COMPUTATION and node.value.startswith("$")
        return computation or node.value in field.choices
    return type(node.value) in (int, float) and field.kind in (Kind.INT, Kind.NUMBER)


def _inputs(node: Node) -> str:
    if isinstance(node, Scalar) and isinstance(node.value, str) and node.value.isidentifier():
        return f"{{{node.value}: [4]}}"
    return f"{{x: [{_sizes(node) or '4'}]}}"


def _sizes(node: Node) -> str | None:
    """The sizes of a shape as they are written; None if it is something else, or too long to be shown."""
    items = node.items if isinstance(node, Sequence) else ()
    sizes = [one.text for one in items if isinstance(one, Scalar) and type(one.value) is int]
    return ", ".join(sizes) if len(sizes) == len(items) and 0 < len(sizes) <= 4 else None


def _linear_solver(root: Mapping, method: Node) -> str:
    """The method of a linear system, written as that of the adjoint."""
    section = root.get("adjoint")
    entries = section.entries if isinstance(section, Mapping) else ()
    options = [f"{one.name}: {one.value.text}" for one in entries if isinstance(one.value, Scalar)]
    name = method.text if isinstance(method, Scalar) else "…"
    written = name if len(options) < 2 else f"{{{', '.join(options)}}}"
    return f"{name} solves the linear system of `implicit`: write `adjoint: {{linear_solver: {written}}}`"
