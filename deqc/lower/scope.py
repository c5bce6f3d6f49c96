"""What a step can see: values by `$name`, numbers by `${name}`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from deqc.ir.graph import Node
from deqc.spec.expressions import Number

Numbers = Mapping[str, Number | Mapping[str, Number]]


@dataclass(frozen=True)
class Scope:
    """The names in force where a computation stands."""

    section: str  # main | encoder | head | init
    values: Mapping[str, Node | None]  # inputs, encoder values, `as` names; None: a value with an error of its own
    numbers: Numbers  # constants, scales, scale, from, to, k, block parameters
    state: Node | None = None  # this scale's value, `$z`
    states: tuple[Node, ...] = ()  # all scales, `$z.k`
    arguments: Mapping[str, Node | None] = field(default_factory=dict)  # a block's parameters of type value

    def naming(self, name: str, value: Node | None) -> Scope:
        """The scope in which `$name` reads the value."""
        return replace(self, values={**self.values, name: value})

    def counting(self, **numbers: Number | Mapping[str, Number]) -> Scope:
        """The scope in which more numbers are known."""
        return replace(self, numbers={**self.numbers, **numbers})
