"""Ways through a typed computation: what is nested in a step, and which expressions it holds."""

from __future__ import annotations

from collections.abc import Iterator

from deqc.fields import IDENTITY
from deqc.ops import STEPS
from deqc.ops.base import INCOMING
from deqc.spec.expressions import Expression
from deqc.spec.model import Argument, Branches, Choice, Computation, Literal, Reference, Sizes, Step

BROKEN = "?"  # the name of a step that could not be read; it stands only where an error has been reported


def nested(step: Step) -> Iterator[Computation]:
    """The computations in the fields of a step, as written."""
    for argument in step.arguments.values():
        if isinstance(argument, Computation):
            yield argument
        elif isinstance(argument, Branches):
            yield from argument.items


def branching(step: Step) -> bool:
    """Whether the step reads the incoming value through computations alone, which may begin with `$` instead."""
    op = STEPS.get(step.name)
    if op is None or INCOMING in op.takes:
        return False
    return all(field.default != IDENTITY or field.name in step.arguments for field in op.fields)


def expressions(step: Step) -> Iterator[Expression]:
    """The expressions in the fields of a step itself, not in computations nested there."""
    for argument in step.arguments.values():
        yield from in_argument(argument)


def in_argument(argument: Argument) -> Iterator[Expression]:
    """The expressions of one argument."""
    if isinstance(argument, Literal):
        if isinstance(argument.value, Expression):
            yield argument.value
    elif isinstance(argument, Sizes):
        for item in argument.items:
            yield from in_argument(item)
    elif isinstance(argument, Choice):
        for option in argument.options.values():
            yield from in_argument(option)


def steps(computation: Computation) -> Iterator[Step]:
    """All steps of a computation, with those nested in it."""
    for step in computation.steps:
        if not isinstance(step, Reference):
            yield step
            for inner in nested(step):
                yield from steps(inner)


def references(computation: Computation) -> Iterator[Reference]:
    """All `$name` of a computation, with those nested in it."""
    for step in computation.steps:
        if isinstance(step, Reference):
            yield step
        else:
            for inner in nested(step):
                yield from references(inner)
