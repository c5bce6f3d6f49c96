"""Names inside computations, as far as they need no shapes: what may be read where, and where a chain begins.

`$name` reads a value, `${name}` a number: two kinds of names that never mix. The place of a computation decides which
of them it sees and whether it starts from a value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping as Map
from dataclasses import dataclass, field, replace

from deqc.diagnostics import Problems, Related, Severity, Span
from deqc.ops import STEPS
from deqc.ops.base import HEAD
from deqc.ops.weights import NAME
from deqc.spec.aliases import meant
from deqc.spec.expressions import DIMENSION_HINT, FIELDS
from deqc.spec.expressions.tree import names
from deqc.spec.model import Computation, Literal, Reference, Step
from deqc.spec.names import check_name, did_you_mean
from deqc.spec.placement import Placement
from deqc.spec.walk import BROKEN, expressions, nested

_INSTEAD = {
    "scale": "`scale.…` is readable in `main_layers`, `post_fuse_layers` and `init` only",
    "from": "`from.…` is readable in `mapping_layers` only",
    "to": "`to.…` is readable in `mapping_layers` only",
    "z": "the sizes of a scale are read as `scale.…`, those of what a step is given as `in.…`",
    "True": "write `true`",
    "False": "write `false`",
}
_STATE_HINT = "the state is read in `main_layers` and `head`"


@dataclass(frozen=True)
class Scope:
    """What a computation sees, and where it stands."""

    section: str  # one of the sections of `deqc.ops.base`, or "block"
    values: Map[str, Span]  # read by `$`
    numbers: frozenset[str]  # constants, parameters of blocks, indices
    shapes: frozenset[str] = frozenset({"in"})  # `in`, and `scale` or `from` and `to`
    states: int = 0  # scales that `$z.k` reads
    one_state: bool = False  # whether `$z` alone means one of them
    hidden: Map[str, str] = field(default_factory=dict)  # names declared elsewhere, with why they are not seen here
    uncounted: bool = False  # whether it stands in a `repeat` without an index

    def with_values(self, values: Map[str, Span]) -> Scope:
        """The same with more values."""
        return replace(self, values={**self.values, **values})


def _states(scope: Scope) -> list[str]:
    """What reads the state, without `$`."""
    alone = ["z"] if scope.one_state else []
    return alone + ([f"z.{index}" for index in range(min(scope.states, 4))] if scope.states > 1 else [])


def _result(previous: Step | Reference | None) -> tuple[str, Related]:
    """What a step that is not the first drops, in words and by its place."""
    assert previous is not None, "the first step drops nothing"
    result = "the value of $" if isinstance(previous, Reference) else "the result of "
    result = "what is before it" if previous.name == BROKEN else result + previous.name
    span = previous.span if isinstance(previous, Reference) else previous.whole
    return result, Related(span, "this result")


def _counted(scope: Scope) -> str:
    last = scope.states - 1
    return f"scales count from 0: {'only `$z.0`' if last == 0 else f'`$z.0` to `$z.{last}`'}"


def _fields_of(name: str) -> tuple[str, ...]:
    """The fields that `in`, `scale`, `from`, `to` or `scales` may have."""
    if name == "scales":
        return ("count",)
    return tuple(one for one in FIELDS if one != "count" and (one != "index" or name != "in"))


def _named(computation: Computation) -> list[str]:
    """The names that `as` gives in the chain itself."""
    given = [one.arguments.get("name") for one in computation.steps if isinstance(one, Step) and one.name == "as"]
    return [str(one.value) for one in given if isinstance(one, Literal)]


@dataclass(frozen=True)
class Checker:
    """Checks every computation of a spec against its scope."""

    placement: Placement
    problems: Problems
    dimensions: frozenset[str] = frozenset()
    unavailable: frozenset[str] = frozenset()  # values from sections that deqc does not offer yet
    unread: bool = False  # whether the names of values are not known, their section being wrong

    def check(self, computation: Computation, scope: Scope, starts: bool) -> None:
        """Reports what is wrong with the names in it; `starts` says whether there is a value to start from."""
        value, previous = starts, None
        later = {
            name: f"'{name}' is named further on in this chain: read it behind `as`" for name in _named(computation)
        }
        mark = replace(scope, hidden={**scope.hidden, **later})
        for index, step in enumerate(computation.steps):
            if isinstance(step, Reference):
                self._reference(step, mark)
                if index and not (isinstance(previous, Step) and previous.name == "as"):
                    self._dropped(step, previous)
                value = True
            else:
                if not value and not self.placement.begins(step):
                    self._no_value(step, mark)
                if index and not (isinstance(previous, Step) and previous.name in ("as", BROKEN)):
                    self._replaced(step, previous)
                self._step(step, mark, value)
                mark = self._named(step, mark)
                value = True
            previous = step

    def _step(self, step: Step, scope: Scope, value: bool) -> None:
        if scope.section != "block":
            self.placement.check(step, scope.section)
        for expression in expressions(step):
            for name in names(expression.tree):
                self._number(name.name, name.member, name.span, scope)
        pinned = step.arguments.get(NAME.name) if step.name in STEPS and NAME in STEPS[step.name].fields else None
        if isinstance(pinned, Literal) and isinstance(pinned.value, str):
            check_name(pinned.value, pinned.span, "a layer", self.problems, path=True)
        branching = self.placement.branches(step)
        inner = self._with_index(step, scope) if step.name == "repeat" else scope
        for computation in nested(step):
            # Only branches start without a value; elsewhere a missing one has been told of at the step itself.
            self.check(computation, inner, value if branching else True)

    def _no_value(self, step: Step, scope: Scope) -> None:
        if scope.section == HEAD:
            hint = "with several scales a head begins with one of them: `$z.0`"
        else:
            hint = f"with several inputs a computation begins with one of them: `${next(iter(scope.values), 'x')}`"
        self.problems.add("E046", step.span, f"'{step.name}' has no value to start from", hint=hint)

    def _replaced(self, step: Step, previous: Step | Reference | None) -> None:
        """Warns of a step that drops what is before it without beginning with `$`, as `{sum: [$x, $y]}` does."""
        if self.problems.errors or not self.placement.restarts(step):  # what is wrong may be what reads it
            return
        result, related = _result(previous)
        read = ", or read it there as `identity`" if any(nested(step)) else ""
        message = f"'{step.name}' does not read the value before it: {result} is dropped"
        hint = f"remove what is before it{read}"
        self.problems.add("N112", step.span, message, hint=hint, related=[related], severity=Severity.WARNING)

    def _dropped(self, reference: Reference, previous: Step | Reference | None) -> None:
        result, related = _result(previous)
        both = f"{{sum: [identity, ${reference.name}]}}"
        hint = f"`${reference.name}` replaces the value before it; to combine both, write `{both}`"
        self.problems.add("E049", reference.span, f"{result} is dropped", hint=hint, related=[related])

    def _reference(self, reference: Reference, scope: Scope) -> None:
        name, index, span = reference.name, reference.index, reference.span
        if name == "z":
            self._state(reference, scope)
        elif name in self.unavailable or (self.unread and name not in scope.values and name not in scope.hidden):
            return
        elif name not in scope.values:
            hidden = scope.hidden.get(name) or self._step_or_number(name, scope)
            near = did_you_mean(name, scope.values) or meant(name, _states(scope))
            scale = re.fullmatch(r"z_?([0-9]+)", name)
            if scale is not None and scope.states:
                near = f"z.{int(scale[1])}"
                hidden = None if int(scale[1]) < scope.states else _counted(scope)
            readable = ", ".join(f"${one}" for one in (*scope.values, *_states(scope)))
            hint = hidden or (
                f"did you mean '${near}'?" if near else f"readable here: {readable}" if readable else None
            )
            self.problems.add("E043", span, f"there is no value '${name}' here", hint=hint)
        elif index is not None:
            self.problems.add("E043", span, f"'${name}' has no scales", hint=f"write `${name}`; only `$z` has scales")

    def _step_or_number(self, name: str, scope: Scope) -> str | None:
        """What a name is that names no value."""
        if name in scope.numbers:
            return f"'{name}' is a number: read it as `${{{name}}}`"
        if name in self.placement.blocks or name in self.placement.names:
            what = "block" if name in self.placement.blocks else "module"
            return f"'{name}' is a {what}, a step: write `{name}` without `$`"
        return None

    def _state(self, reference: Reference, scope: Scope) -> None:
        span, index = reference.span, reference.index
        if scope.states == 0:
            hint = "pass it as a parameter" if scope.section == "block" else _STATE_HINT
            self.problems.add("E043", span, "there is no value '$z' here", hint=hint)
        elif index is None and not scope.one_state:
            message = f"'$z' is one of {scope.states} scales here"
            self.problems.add("E043", span, message, hint=f"write `$z.0` to `$z.{scope.states - 1}`")
        elif index is not None and index >= scope.states:
            self.problems.add("E043", span, f"there is no scale {index}", hint=_counted(scope))

    def _number(self, name: str, member: str | None, span: Span, scope: Scope) -> None:
        """A name in an expression, in the words of the evaluator, which sees only what is used."""
        readable = scope.numbers | scope.shapes | {"scales"}
        if name not in readable:
            elsewhere = _INSTEAD.get(name)
            if member in readable and member not in scope.shapes:
                elsewhere = f"write `{member}`, by its name alone"
            near = None if elsewhere or name in scope.values else did_you_mean(name, readable)
            guess = f"; did you mean '{near}'?" if near else ""
            hint = elsewhere or f"readable here: {', '.join(sorted(readable))}"
            if scope.uncounted and near is None and elsewhere is None:
                hint = f"a `repeat` counts under a name that is given to it: `index: {name}` beside `times`"
            if name in self.dimensions:
                hint = f"{name} is a dimension, known at the call only: {DIMENSION_HINT}"
            elif name in scope.values:
                hint = f"`${name}` reads the value; the sizes of what a step is given are read as `in.…`"
            self.problems.add("E052", span, f"unknown name '{name}' in an expression{guess}", hint=hint)
        elif name in scope.numbers and member is not None:
            self.problems.add("E053", span, f"'{name}' is a number and has no field '{member}'")
        elif name not in scope.numbers and member is None:
            self.problems.add("E053", span, f"'{name}' is not a number", hint=f"write `{name}.…`")
        elif name not in scope.numbers and member not in FIELDS:
            fields = _fields_of(name)
            near = did_you_mean(str(member), fields)
            guess = f"; did you mean '{name}.{near}'?" if near else ""
            choice = None if near else f"the fields are {', '.join(f'{name}.{one}' for one in fields)}"
            self.problems.add("E053", span, f"'{name}' has no field '{member}'{guess}", hint=choice)

    def _named(self, step: Step, scope: Scope) -> Scope:
        """The scope after the step: `as` adds a name."""
        given = step.arguments.get("name") if step.name in ("as", BROKEN) else None
        if not isinstance(given, Literal) or not isinstance(given.value, str):
            return scope
        if step.name == BROKEN:  # what may be a misspelt `as` may name what is read further on
            return scope if given.value in scope.values else scope.with_values({given.value: given.span})
        if not check_name(given.value, given.span, "a value", self.problems):
            return scope
        taken = scope.values.get(given.value)
        if taken is not None:
            related = [Related(taken, "it is given here")]
            self.problems.add("E044", given.span, f"'{given.value}' names a value already", related=related)
        elif given.value in scope.numbers:
            self.problems.add("E044", given.span, f"'{given.value}' names a number already")
        return scope.with_values({given.value: given.span})

    def _with_index(self, step: Step, scope: Scope) -> Scope:
        given = step.arguments.get("index")
        if not isinstance(given, Literal) or not isinstance(given.value, str):
            return replace(scope, uncounted=True)
        if check_name(given.value, given.span, "an index", self.problems) and given.value in scope.numbers:
            self.problems.add("E044", given.span, f"'{given.value}' names a number already")
        return replace(scope, numbers=scope.numbers | {given.value})
