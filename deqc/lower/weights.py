"""The tensors of layers as leaves of the program, with all that a spec says of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any

from deqc.diagnostics import Problems, Span
from deqc.fields import Variant
from deqc.ir.builder import Builder
from deqc.ir.graph import Node, Setup
from deqc.lower.arguments import InvalidArgumentError, number
from deqc.lower.scope import Scope
from deqc.ops.base import ShapeError
from deqc.ops.code import Text
from deqc.ops.weights import CONSTRAINTS, INITS, PARAMETRIZATIONS, initial, is_zero, made
from deqc.spec.model import Choice
from deqc.types import Type, dims, show

NUMBERS_AT_MOST = 2**34  # 64 GiB in float32: no parameter of a model anyone trains


@dataclass(frozen=True)
class Said:
    """What a spec says of one tensor; each a variant with all its options."""

    init: tuple[str, Mapping[str, Any]] | None = None
    parametrize: tuple[str, Mapping[str, Any]] | None = None
    constraint: tuple[str, Mapping[str, Any]] | None = None


@dataclass
class Tensors:
    """Makes the tensors of one layer; collects what is done to them when the layer is made."""

    builder: Builder
    path: str
    span: Span
    buffer: bool = False
    setups: list[Setup] = field(default_factory=list)

    def make(self, name: str, shape: tuple[int, ...], said: Said, what: str) -> Node:
        """The tensor's value: a leaf, or what a parametrisation makes of its parts.

        Raises:
            ShapeError: a start, a parametrisation or a constraint does not fit the shape.
        """
        if unknown := next(dims(shape), None):
            raise ShapeError(
                f"{what} would have the shape {show(shape)}, where {unknown} is known at the call only",
                "a number of features on the axis that it works on",
            )
        if prod(shape) > NUMBERS_AT_MOST:
            raise ShapeError(f"{what} would have the shape {show(shape)}", f"at most {NUMBERS_AT_MOST:,} numbers")
        if said.init is not None:
            initial(*said.init, shape, Text("w"))  # raises where it does not fit
            self._set("init", said.init, name, shape)
        if said.constraint is not None:
            if len(shape) < 2 and said.constraint[0] != "nonneg":
                raise ShapeError(f"{said.constraint[0]} needs a matrix, {what} has the shape {show(shape)}")
            self._set("constraint", said.constraint, name, shape)
        if said.parametrize is None:
            return self._leaf(name, shape, self.buffer)
        self._fits(said.parametrize, shape, what)
        self._set("parametrize", said.parametrize, name, shape)
        kind, options = said.parametrize
        table = PARAMETRIZATIONS[kind]
        raw = [
            self._leaf(f"{name}_{suffix}", of(shape, options), self.buffer or suffix in table.buffers, part_of=name)
            for suffix, of in table.parts.items()
        ]
        whole: Node = made(self.builder.make, kind, options, raw)
        return whole

    def _leaf(self, name: str, shape: tuple[int, ...], buffer: bool, **more: Any) -> Node:
        kind = Type(shape, batched=False)
        more |= {"buffer": True} if buffer else {}
        return self.builder.leaf("parameter", kind, layer=self.path, name=name, span=self.span, **more)

    def _set(self, kind: str, variant: tuple[str, Mapping[str, Any]], name: str, shape: tuple[int, ...]) -> None:
        self.setups.append(Setup(kind, variant[0], name, shape, variant[1]))

    def _fits(self, variant: tuple[str, Mapping[str, Any]], shape: tuple[int, ...], what: str) -> None:
        name, options = variant
        if PARAMETRIZATIONS[name].square and (len(shape) != 2 or shape[0] != shape[1]):
            raise ShapeError(f"{name} makes square matrices, {what} has the shape {show(shape)}")
        if name in ("weight_norm", "spectral_norm") and len(shape) < 2:
            raise ShapeError(f"{name} needs two or more axes, {what} has the shape {show(shape)}")
        if name == "weight_norm" and not -len(shape) <= options["dim"] < len(shape):
            raise ShapeError(
                f"weight_norm has no dim {options['dim']} on a weight of shape {show(shape)}", f"0 to {len(shape) - 1}"
            )


def said(choices: Mapping[str, Choice], tensor: str, x: Type | None, scope: Scope, problems: Problems) -> Said:
    """What is written of `weight` or `bias` among the fields of a step; expressions are computed.

    Raises:
        InvalidArgumentError: an option is wrong, which has been noted.
    """
    init = _variant(choices.get(f"{tensor}_init"), INITS, x, scope, problems)
    if init is not None and init[0] == "uniform" and init[1]["low"] > init[1]["high"]:
        low, high = init[1]["low"], init[1]["high"]
        message = f"uniform from {low} to {high}: low is above high"
        problems.add("E023", choices[f"{tensor}_init"].span, message, hint=f"write `{{low: {high}, high: {low}}}`")
        raise InvalidArgumentError
    if tensor != "weight":
        return Said(init)
    parametrize = _variant(choices.get("parametrize"), PARAMETRIZATIONS, x, scope, problems)
    constraint = _variant(choices.get("constraint"), CONSTRAINTS, x, scope, problems)
    if parametrize is not None and init is not None and PARAMETRIZATIONS[parametrize[0]].divides and is_zero(*init):
        problems.add(
            "E023",
            choices["parametrize"].span,
            f"{parametrize[0]} divides by the norm of the weight, which starts at zero",
            hint="start the weight elsewhere, such as `{normal: 0.01}`",
        )
        raise InvalidArgumentError
    if parametrize is not None and constraint is not None:
        problems.add(
            "E022",
            choices["constraint"].span,
            "a weight is parametrised or constrained, not both",
            hint="keep the one that does what you want: `parametrize` is differentiable, `constraint` projects",
        )
        raise InvalidArgumentError
    return Said(init, parametrize, constraint)


def _variant(
    choice: Choice | None, table: Mapping[str, Variant], x: Type | None, scope: Scope, problems: Problems
) -> tuple[str, Mapping[str, Any]] | None:
    """A variant with all its options."""
    if choice is None:
        return None
    variant = table[choice.name]
    options: dict[str, Any] = {one.name: one.default for one in variant.fields}
    for one in variant.fields:
        if one.name in choice.options:
            options[one.name] = number(choice.options[one.name], one, choice.name, x, scope, problems)
    return choice.name, options
