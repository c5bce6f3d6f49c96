"""Writes the reference from deqc's own tables: between `<!-- table: steps -->` and `<!-- end -->` stands `steps()`.

`make schema` writes the pages again after a change of an op, a setting, a code or a command; a test compares them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import yaml

from deqc import settings, solvers
from deqc.codes import CODES
from deqc.fields import Field, Kind, Variant
from deqc.ops import STEPS
from deqc.ops.base import ENCODER, EVERYWHERE, INIT, OUTSIDE, Op
from deqc.ops.structure import Structure
from deqc.ops.weights import CONSTRAINTS, INITS, PARAMETRIZATIONS
from deqc.pages import page
from deqc.spec.bounds import forms

DOCS = Path(__file__).resolve().parent
EXAMPLES = DOCS.parent / "examples" / "specs"

_TERMINAL = 90  # columns of a help text, as many as a page shows
_MARKS = re.compile(r"(`[^`]*`)|([\[\]*<_])")
_PLACE = re.compile(r"^(<!-- table: (\w+) -->)$.*?^(<!-- end -->)$", re.MULTILINE | re.DOTALL)
_SHOWN = "<!-- not run: tests/test_pages.py holds it against deqc -->"
# What no field requires by itself, and the op all the same.
_NEEDS: dict[str, dict[str, object]] = {"clamp": {"min": 0, "max": 1}, "matmul": {"left": "$x"}}
_WHERE = {
    EVERYWHERE: "everywhere",
    OUTSIDE: "in `encoder` and `head`",
    frozenset({INIT}): "in `init`",
    frozenset({ENCODER}): "in `encoder`",
}


def steps() -> str:
    """Every step: what it computes, its shape rule, what torch calls it, and its fields."""
    return "\n".join(_step(op) for op in sorted(STEPS.values(), key=lambda op: op.name))


def _step(op: Op) -> str:
    facts = [
        ("Example", f"`{flow(example(op))}`"),
        ("Shape", _shape(op)),
        ("Torch", torch_name(op)),
        ("Allowed", _WHERE[op.where]),
        ("Derivative", "" if isinstance(op, Structure) or op.has_rule else "by torch's autograd"),
    ]
    lines = [f"## `{op.name}`", "", _prose(op.summary), ""]
    lines += [f"- {name}: {text}" for name, text in facts if text]
    if op.fields:
        lines += ["", f"Principal field: {f'`{op.principal}`' if op.principal else 'none'}.", "", fields(op.fields)]
    return "\n".join([*lines, ""])


def example(op: Op) -> object:
    """The shortest use of the step: what it requires, by the first of its examples."""
    values = {one.name: _example(one) for one in op.fields if one.required}
    if not values and op.name not in _NEEDS:
        return op.name
    values |= _NEEDS.get(op.name, {})
    alone = op.principal is not None and list(values) == [op.principal]
    return {op.name: values[op.principal or ""] if alone else values}


def _example(one: Field) -> object:
    if one.examples:
        return one.examples[0]
    match one.kind:
        case Kind.COMPUTATION:
            return {"linear": 8}
        case Kind.BRANCHES:
            return [{"linear": 8}, {"linear": 8}]
        case Kind.INT:
            return max(int(one.minimum or 1), 1)
        case _:
            return 0.5


def _shape(op: Op) -> str:
    """The shape rule; nothing of a step that is written out in others and does not say."""
    if own := _own(op, "infer"):
        return own
    if isinstance(op, Structure) or type(op).lowered is not Op.lowered:
        lowered = _own(op, "lowered")
        return lowered if "→" in lowered else ""
    return "Unchanged"


def _own(op: Op, rule: str) -> str:
    """What the op's own rule says of itself; nothing where it inherits the rule of all ops."""
    own = getattr(type(op), rule)
    return "" if own is getattr(Op, rule) else _prose(_sentence(own.__doc__))


def torch_name(op: Op) -> str:
    """What torch calls the op: a function, a layer, or the code that is generated."""
    if name := getattr(op, "torch_name", None):
        return f"`{name}`" if "." in name else f"`F.{name}`"
    if layer := re.search(r"\bnn\.\w+", op.summary):
        return f"`{layer[0]}`"
    text = _own(op, "layer") or _own(op, "emit")
    return "" if text.startswith("`_") else text  # a function that the module brings along


def _sentence(text: str | None) -> str:
    return " ".join((text or "").split()).rstrip(".").replace("->", "→")


def fields(described: Iterable[Field]) -> str:
    """A table of fields: name, type, default, text."""
    return _table(
        ("field", "holds", "default", ""),
        ((f"`{one.name}`", _holds(one), _default(one), _prose(one.text)) for one in described),
    )


def _holds(one: Field) -> str:
    match one.kind:
        case Kind.INT | Kind.NUMBER | Kind.BOOL:
            text = " or ".join(forms(one))
        case Kind.CHOICE:
            text = ", ".join(f"`{choice}`" for choice in one.choices)
        case Kind.BRANCHES:
            text = "a list of two or more computations"
        case Kind.SHAPE:
            text = "a list of sizes"
        case Kind.WORD:
            text = "a name"
        case Kind.COMPUTATION:
            text = "a computation"
        case _:
            text = one.kind.value
    return f"{text} or `null`" if one.nullable else text


def _default(one: Field) -> str:
    if one.required:
        return "required"
    return "" if one.default is None else f"`{flow(one.default)}`"


def flow(value: object, nested: bool = False) -> str:
    """A value as a spec holds it, in flow style."""
    match value:
        case bool() | None:
            return json.dumps(value)
        case str():
            return json.dumps(value) if nested and "{" in value else value
        case float() if value == float(short := f"{value:.0e}") and value < 0.01:
            return short.replace("e-0", "e-").replace("0e+00", "0.0")
        case dict():
            return "{" + ", ".join(f"{name}: {flow(one, True)}" for name, one in value.items()) + "}"
        case list() | tuple():
            return "[" + ", ".join(flow(one, True) for one in value) + "]"
        case _:
            return str(value)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _prose(text: str) -> str:
    """A text as Markdown that says just that: outside of code, no character has a meaning."""
    return _MARKS.sub(lambda found: found[1] or f"\\{found[2]}", text)


def sections() -> str:
    """The keys of a spec, in their order."""
    rows = (
        (
            f"`{one.name}`",
            _prose(one.text),
            "required" if one.required else f"`{flow(one.default)}`" if one.default else "",
        )
        for one in settings.SECTIONS
    )
    return _table(("key", "", "default"), rows)


def solver_settings() -> str:
    """The settings that every solver takes."""
    return fields(settings.SOLVER)


def termination() -> str:
    """The stop test."""
    return fields(settings.TERMINATION)


def linear_settings() -> str:
    """The settings that every linear solver takes."""
    return fields(settings.LINEAR)


def inner_settings() -> str:
    """The settings that every linear solver of a solver's steps takes."""
    return fields(settings.INNER)


def inner_methods() -> str:
    """Every linear solver of a solver's steps with its own options."""
    return _methods(solvers.INNER_SOLVERS)


def solver_methods() -> str:
    """Every solver with its own options."""
    return _methods(solvers.SOLVERS)


def adjoint_methods() -> str:
    """Every adjoint method with its own options."""
    return _methods(solvers.ADJOINTS)


def linear_methods() -> str:
    """Every linear solver with its own options."""
    return _methods(solvers.LINEAR_SOLVERS)


def _methods(table: Mapping[str, solvers.Description]) -> str:
    parts = []
    for one in table.values():
        steps = "" if one.max_steps is None else f" `max_steps` is {one.max_steps} unless given."
        parts += [
            f"### `{one.name}`",
            "",
            _prose(one.summary) + steps,
            "",
            *([fields(one.fields), ""] if one.fields else []),
        ]
    return "\n".join(parts)


def compiled() -> str:
    """What torch.compile makes of every method."""
    rows = []
    for section, table in (
        ("solver", solvers.SOLVERS),
        ("adjoint", solvers.ADJOINTS),
        ("linear_solver", solvers.LINEAR_SOLVERS),
    ):
        for one in table.values():
            if one.name != "auto":
                note = one.eager or one.eager_back or (f"written out `{one.unrolled}` times" if one.unrolled else "")
                forward = "" if section == "linear_solver" else "no" if one.eager else "yes"
                backward = "" if one.name == "none" else "no" if one.eager or one.eager_back else "yes"
                rows.append((f"`{section}`", f"`{one.name}`", forward, backward, note))
    return _table(("section", "method", "forward", "backward", ""), rows)


def inits() -> str:
    """How weights start."""
    return _variants(INITS)


def parametrizations() -> str:
    """What weights are made of."""
    return _variants(PARAMETRIZATIONS)


def constraints() -> str:
    """Where a projection keeps weights."""
    return _variants(CONSTRAINTS)


def _variants(table: Mapping[str, Variant]) -> str:
    def options(one: Variant) -> str:
        own = (f.name if f.required else f"{f.name} = {f.default}" for f in one.fields)
        return ", ".join(f"`{option}`" for option in own)

    rows = ((f"`{one.name}`", options(one), _prose(one.summary)) for one in table.values())
    return _table(("name", "options", ""), rows)


def jacobian_settings() -> str:
    """The settings that the Jacobian loss takes whatever its quantity."""
    return fields(settings.JACOBIAN)


def jacobian_quantities() -> str:
    """Every quantity with its own options."""
    return _methods(solvers.QUANTITIES)


def planned() -> str:
    """The names of the language that this version refuses."""
    rows = ((place, ", ".join(f"`{name}`" for name in sorted(names))) for place, names in settings.PLANNED.items())
    return _table(("place", "not yet"), (row for row in rows if row[1]))


def codes() -> str:
    """Every code of a diagnostic."""
    parts = [_table(("code", "means"), ((f"`{code}`", _prose(text)) for code, text in CODES.items()))]
    for code, text in CODES.items():
        shown = page(code)
        parts += [f"## {code}: {_prose(text)}", "", shown.text, ""]
        if shown.wrong is not None:
            parts += ["Wrong:", "", _SHOWN, "```yaml", shown.wrong.rstrip(), "```", ""]
        if shown.right is not None:
            parts += ["Right:", "", _SHOWN, "```yaml", shown.right.rstrip(), "```", ""]
    return "\n".join(parts)


def commands() -> str:
    """The command line: every command with its help."""
    import click

    from deqc.cli.main import deqc

    context = click.Context(deqc, info_name="deqc", terminal_width=_TERMINAL, **deqc.context_settings)
    parts = ["```text", deqc.get_help(context), "```", ""]
    for name in deqc.list_commands(context):
        command = deqc.get_command(context, name)
        assert command is not None
        if not command.hidden:
            help_ = command.get_help(click.Context(command, parent=context, info_name=name, terminal_width=_TERMINAL))
            parts += [f"## `deqc {name}`", "", "```text", help_, "```", ""]
    return "\n".join(parts)


def examples() -> str:
    """Every spec of examples/specs, under its description."""
    parts = []
    for path in sorted(EXAMPLES.glob("*.yaml")):
        text = path.read_text(encoding="utf-8")
        known = yaml.safe_load(text)
        parts += [
            f"## {known['name']}",
            "",
            _prose(known.get("description", "")),
            "",
            f"`examples/specs/{path.name}`",
            "",
        ]
        parts += ["```yaml", text.rstrip("\n"), "```", ""]
    return "\n".join(parts)


TABLES: dict[str, Callable[[], str]] = {
    table.__name__: table
    for table in (
        steps,
        sections,
        solver_settings,
        termination,
        inner_settings,
        inner_methods,
        linear_settings,
        solver_methods,
        adjoint_methods,
        linear_methods,
        jacobian_settings,
        jacobian_quantities,
        compiled,
        planned,
        inits,
        parametrizations,
        constraints,
        codes,
        commands,
        examples,
    )
}


def filled(text: str) -> str:
    """A page with its tables as they are to be."""
    return _PLACE.sub(lambda place: f"{place[1]}\n\n{TABLES[place[2]]().strip()}\n\n{place[3]}", text)


def pages() -> list[Path]:
    """The pages that hold tables."""
    found = sorted(path for path in DOCS.rglob("*.md") if "_build" not in path.parts)
    return [path for path in found if _PLACE.search(path.read_text(encoding="utf-8"))]


if __name__ == "__main__":
    for page_ in pages():
        page_.write_text(filled(page_.read_text(encoding="utf-8")), encoding="utf-8")
