"""The scope of every position in which a spec holds a computation."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping as Map
from dataclasses import dataclass, replace

from deqc.diagnostics import Related, Span
from deqc.ops.base import ENCODER, HEAD, INIT, MAIN
from deqc.spec.model import Block, Computation, Initial
from deqc.spec.scopes import Checker, Scope

_OUTSIDE = "a block does not see what is outside it: make it a parameter, `params: {{{name}: {{type: value}}}}`"


@dataclass(frozen=True)
class Positions:
    """Checks the names of a spec, section by section."""

    checker: Checker
    numbers: frozenset[str]  # constants
    inputs: Map[str, Span]
    weights: Map[str, Span]  # parameters of the model itself
    encoded: Map[str, Span]  # values of the encoder
    count: int  # scales
    batched: int  # inputs of which each sample has its own: a computation starts from the only one

    def blocks(self, declared: Map[str, Block]) -> None:
        """Bodies and defaults: a block sees its own parameters."""
        hidden = {name: _OUTSIDE.format(name=name) for name in (*self.inputs, *self.encoded)}
        for block in declared.values():
            values = {one.name: one.span for one in block.parameters if one.type == "value"}
            others = frozenset(one.name for one in block.parameters if one.type != "value")
            for one in block.parameters:
                if one.name in self.weights:
                    self._shadowed(one.name, one.span)
            scope = Scope("block", {**self.weights, **values}, self.numbers | others, hidden=hidden)
            self.checker.check(block.body, scope, starts=True)
            for parameter in block.parameters:
                if isinstance(parameter.default, Computation):
                    self.checker.check(
                        parameter.default, replace(scope, values=dict(self.weights), numbers=self.numbers), starts=True
                    )

    def encoder(self, encoder: Iterable[tuple[str, Computation]]) -> None:
        """Each value sees the inputs and the values before it."""
        later = {name: f"the encoder computes '{name}' later: move it before" for name in self.encoded}
        scope = Scope(ENCODER, {**self.inputs, **self.weights}, self.numbers, hidden=later)
        for name, computation in encoder:
            hidden = {**later, name: f"it stands inside what computes '{name}'"}
            self.checker.check(computation, replace(scope, hidden=hidden), starts=self.batched <= 1)
            scope = scope.with_values({name: self.encoded[name]})

    def initial(self, initial: Initial) -> None:
        """The start sees inputs and encoder."""
        scope = replace(self._outer(INIT), shapes=frozenset({"in", "scale"}))
        for computation in initial.chains:
            if computation is not None:
                self.checker.check(computation, scope, starts=self.batched <= 1)

    def main_layers(self, layers: Iterable[Computation]) -> None:
        """A main layer sees the whole state, `$z` being its own scale."""
        scope = replace(self._outer(MAIN), shapes=frozenset({"in", "scale"}), states=self.count, one_state=True)
        self._each(layers, scope)

    def mapping_layers(self, matrix: Iterable[Iterable[Computation | None]]) -> None:
        """A mapping layer knows where it leads from and to."""
        scope = replace(self._outer(MAIN), shapes=frozenset({"in", "from", "to"}))
        self._each((one for row in matrix for one in row), scope)

    def post_fuse_layers(self, layers: Iterable[Computation | None]) -> None:
        """A post-fuse layer knows its scale."""
        self._each(layers, replace(self._outer(MAIN), shapes=frozenset({"in", "scale"})))

    def head(self, head: Computation) -> None:
        """The head sees the state; it starts from it where there is one scale."""
        single = self.count == 1
        self.checker.check(head, replace(self._outer(HEAD), states=self.count, one_state=single), starts=single)

    def _outer(self, section: str) -> Scope:
        return Scope(section, {**self.inputs, **self.encoded, **self.weights}, self.numbers)

    def _shadowed(self, name: str, span: Span) -> None:
        related = [Related(self.weights[name], "the parameter of the model")]
        message = f"'{name}' names a parameter of the model already and cannot name a parameter of a block"
        self.checker.problems.add("E044", span, message, related=related)

    def _each(self, computations: Iterable[Computation | None], scope: Scope) -> None:
        checked: set[int] = set()
        for one in computations:
            if one is not None and id(one) not in checked:  # a rule or `each` stands in many places
                checked.add(id(one))
                self.checker.check(one, scope, starts=True)
