"""The sections of settings in the schema, from the tables of methods and the fields they share.

The options of all methods stand side by side; that an option belongs to the chosen method is checked by
`deqc.spec.methods`. An editor offers those of the chosen method alone.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from deqc.fields import Field, Kind
from deqc.settings import IN_EVALUATION, INNER, JACOBIAN, LINEAR, MOST_RECORDED, SOLVER, TERMINATION, WATCH
from deqc.solvers import ADJOINTS, INNER_SOLVERS, LINEAR_SOLVERS, QUANTITIES, SOLVERS, Description, Iteration
from deqc.spec.schema.leaves import Schema, by_type, described, field, leaf, listed

LISTED: Final = 8  # methods at most, that a message names one by one
NOTHING: Final[Mapping[str, Schema]] = MappingProxyType({})


def solver(text: str) -> Schema:
    """The section `solver`."""
    linear = described(
        _linear("solver", INNER, INNER_SOLVERS, "gmres"),
        "How the linear systems of the method's steps are solved: the name of a method, or its settings.",
        "gmres",
        ("bicgstab", {"method": "gmres", "rtol": 1e-2, "max_steps": 40}),
    )
    fields = {
        "method": _method("solver", SOLVERS, "auto"),
        **_fields("solver", _with_max_steps(SOLVER, SOLVERS)),
        "termination": _termination(),
        "eval": _evaluation(),
        "mask": described(
            leaf("solver.mask", "an input, such as '$mask'", type="string", pattern=r"^\$[A-Za-z]\w*$"),
            "An input of truth values that says which positions the stop test looks at: those where it is false, such "
            "as padding, count neither there nor in the residual norms of the record. Its sizes are the first of the "
            "state's, or 1.",
            examples=("$mask",),
        ),
        "record": described(
            leaf(
                "solver.record",
                "a list of numbers of steps, such as [6, 12]",
                type="array",
                items=leaf("a number of steps", "a whole number ≥ 1", type="integer", minimum=1),
                minItems=1,
                maxItems=MOST_RECORDED,
            ),
            "Numbers of steps, in ascending order: `solve` returns the states after so many, with derivatives of their "
            "own, and what the model makes of them, for a loss on the way to the solution too (Bai et al. 2022).",
            examples=([6, 12],),
        ),
        "linear_solver": linear,
        **_options("solver", SOLVERS),
    }
    offered = _offered("solver", SOLVERS)
    for name, one in SOLVERS.items():
        if isinstance(one, Iteration) and one.linear:
            offered[name] = {**offered[name], "linear_solver": linear}
    section = _section(fields, offered)
    return described(section, text, "auto", ("anderson", {"method": "newton", "atol": 1e-6}))


def adjoint(text: str) -> Schema:
    """The section `adjoint`."""
    fields = {
        "method": _method("adjoint", ADJOINTS, "implicit"),
        "linear_solver": described(
            _linear("adjoint", LINEAR, LINEAR_SOLVERS, "auto"),
            "How the linear system of the implicit adjoint is solved: the name of a method, or its settings.",
            "auto",
            ("lu", {"method": "gmres", "max_steps": 10}),
        ),
        **_options("adjoint", ADJOINTS),
    }
    offered = _offered("adjoint", ADJOINTS)
    offered["implicit"] = {**offered.get("implicit", {}), "linear_solver": fields["linear_solver"]}
    section = _section(fields, offered, default="implicit")
    return described(section, text, "implicit", ("implicit", {"method": "phantom", "steps": 3}))


def _linear(section: str, shared: Iterable[Field], table: Mapping[str, Description], default: str) -> Schema:
    """A linear solver of a section."""
    owner = f"{section}.linear_solver"
    fields = {
        "method": _method(owner, table, default),
        **_fields(owner, _with_max_steps(shared, table)),
        **_options(owner, table),
    }
    return _section(fields, _offered(owner, table))


def jacobian_regularization(text: str, examples: tuple[object, ...]) -> Schema:
    """The section `jacobian_regularization`."""
    owner = "jacobian_regularization"
    fields = {
        "quantity": _method(owner, QUANTITIES, "frobenius", "quantity"),
        **_fields(owner, JACOBIAN),
        **_options(owner, QUANTITIES),
    }
    return described(_section(fields, _offered(owner, QUANTITIES), default="frobenius"), text, examples=examples)


def _section(fields: Schema, offered: Mapping[str, Schema] = NOTHING, default: str | None = None) -> Schema:
    """Settings by name, or the principal one, the method; `offered` are those that not every method has.

    All are allowed here; the keyword `doNotSuggest` of the YAML language server, and the condition that offers them
    again, are for the editor alone.
    """
    apart = {name for options in offered.values() for name in options}
    properties = {name: {**one, "doNotSuggest": True} if name in apart else one for name, one in fields.items()}
    settings: Schema = {"properties": properties, "additionalProperties": False}
    principal = next(iter(fields))
    return by_type("object", {**settings, **_conditions(principal, offered, default)}, fields[principal])


def _conditions(principal: str, offered: Mapping[str, Schema], default: str | None) -> Schema:
    """For all methods with the same options: if one of them is chosen these are offered, else the next are asked."""
    alike: list[tuple[list[str], Schema]] = []
    for method, options in offered.items():
        shown = {name: _described_only(one) for name, one in options.items()}
        mates = next((names for names, others in alike if others == shown and default not in (method, *names)), None)
        if mates is not None:
            mates.append(method)
        elif shown:
            alike.append(([method], shown))
    chain: Schema = {}
    for methods, shown in reversed(alike):
        written = {} if default in methods else {"required": [principal]}
        chosen = {"const": methods[0]} if len(methods) == 1 else {"enum": methods}
        chain = {
            "if": {"properties": {principal: chosen}, **written},
            "then": {"properties": shown},
            **({"else": chain} if chain else {}),
        }
    return chain


def _described_only(one: Schema) -> Schema:
    """What an editor shows of a property, without its rules: they are told of once."""
    return {key: one[key] for key in ("description", "default") if key in one}


def _offered(owner: str, table: Mapping[str, Description]) -> dict[str, Schema]:
    """The options of each method, by its name."""
    return {name: _fields(owner, one.fields) for name, one in table.items()}


def _method(owner: str, table: Mapping[str, Description], default: str, principal: str = "method") -> Schema:
    text = f"The {principal}. " + " ".join(f"`{one.name}`: {one.summary}" for one in table.values())
    expected = listed(table) if len(table) <= LISTED else f"the name of a method, such as '{default}'"
    return described(leaf(f"{owner}.{principal}", expected, enum=list(table)), text, default, tuple(table))


def _termination() -> Schema:
    fields = _fields("solver.termination", (*TERMINATION, *WATCH))
    text = "When a sample has converged: a mode, or mode and norm."
    return described(
        _section(fields), text, {"mode": "abs_norm", "norm": "max"}, ("rel_norm", {"mode": "abs_norm", "norm": "l2"})
    )


def _evaluation() -> Schema:
    """The settings that may have other values in eval mode: numbers, and what happens on failure."""
    shared = [one for one in _with_max_steps(SOLVER, SOLVERS) if one.name in IN_EVALUATION]
    numbers = (Kind.INT, Kind.NUMBER)
    every = {**_fields("solver.eval", shared), **_options("solver.eval", SOLVERS, numbers)}
    owner = "solver.eval.linear_solver"
    inner = {**_fields(owner, _with_max_steps(INNER, INNER_SOLVERS)), **_options(owner, INNER_SOLVERS, numbers)}
    every["linear_solver"] = described(
        leaf(owner, "a mapping of settings", **_overlaid(inner)),
        "Numbers of the linear solver that have another value in eval mode.",
        examples=({"rtol": 1e-6, "max_steps": 40},),
    )
    text = (
        "Settings that have another value in eval mode: tolerances, max_steps, on_failure, and the method's own "
        "numbers. The adjoint keeps those of training."
    )
    examples = ({"max_steps": 60}, {"atol": 1e-6, "max_steps": 100})
    return described(leaf("solver.eval", "a mapping of settings", **_overlaid(every)), text, examples=examples)


def _overlaid(fields: Schema) -> Schema:
    """Some of the settings, one at least; what is left out is as in training."""
    settings = {name: {key: value for key, value in one.items() if key != "default"} for name, one in fields.items()}
    return {"type": "object", "properties": settings, "additionalProperties": False, "minProperties": 1}


def _fields(owner: str, fields: Iterable[Field]) -> Schema:
    return {one.name: field(owner, one, computed=False) for one in fields}


def _with_max_steps(fields: Iterable[Field], table: Mapping[str, Description]) -> list[Field]:
    """The fields, `max_steps` with the methods' defaults in its text."""
    defaults = sorted({f"{one.max_steps} for {one.name}" for one in table.values() if one.max_steps is not None})
    shared = {one.max_steps for one in table.values() if one.max_steps is not None}
    told = f"({shared.pop()})" if len(shared) == 1 else f"({', '.join(defaults)})"
    return [replace(one, text=f"{one.text[:-1]} {told}.") if one.name == "max_steps" else one for one in fields]


def _options(owner: str, table: Mapping[str, Description], kinds: Container[Kind] = tuple(Kind)) -> Schema:
    """The methods' own options of these kinds; where several have one, each says its default and checks its bounds."""
    found: dict[str, list[tuple[Description, Field]]] = {}
    for description in table.values():
        for one in (own for own in description.fields if own.kind in kinds):
            found.setdefault(one.name, []).append((description, one))
    merged = [_merged(uses) for uses in found.values()]
    return {one.name: field(owner, one, computed=False) for one in merged}


def _merged(uses: list[tuple[Description, Field]]) -> Field:
    """The field with the loosest bounds and the choices of all, and the texts of all."""
    fields = [one for _, one in uses]
    first = fields[0]
    if any(one.kind is not first.kind for one in fields):
        raise ValueError(f"the methods disagree about the kind of {first.name!r}")
    agreed = all(one.default == first.default for one in fields)
    texts: dict[str, list[str]] = {}
    for method, one in uses:
        told = "" if agreed else f" Default {one.default}."
        texts.setdefault(one.text + told, []).append(method.name)
    choices = tuple(dict.fromkeys(choice for one in fields for choice in one.choices))
    return replace(
        first,
        text=" ".join(f"{', '.join(names)}: {text}" for text, names in texts.items()),
        default=first.default if agreed else None,
        nullable=any(one.nullable for one in fields),
        choices=choices,
        minimum=_loosest([one.minimum for one in fields], min),
        exclusive_minimum=_loosest([one.exclusive_minimum for one in fields], min),
        maximum=_loosest([one.maximum for one in fields], max),
        exclusive_maximum=_loosest([one.exclusive_maximum for one in fields], max),
        examples=tuple(dict.fromkeys(example for one in fields for example in one.examples)),
    )


def _loosest(bounds: list[float | None], choose: Callable[[Iterable[float]], float]) -> float | None:
    """The bound that all values of all methods obey; None where a method has none."""
    known = [bound for bound in bounds if bound is not None]
    return choose(known) if len(known) == len(bounds) else None
