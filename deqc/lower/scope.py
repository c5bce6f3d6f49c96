"""What a step can see: values by `$name`, numbers by `${name}`."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, replace

from deqc.ir.graph import Node
from deqc.spec.expressions import Number


class Absent(enum.Enum):
    """A parameter of type value that the use of a block left null."""

    ABSENT = enum.auto()


ABSENT = Absent.ABSENT
Numbers = Mapping[str, Number | Mapping[str, Number]]


@dataclass(frozen=True)
class Scope:
    """The names in force where a computation stands."""

    section: str  # main | encoder | head | init
    values: Mapping[str, Node | Absent | None]  # inputs, encoder values, `as` names; None: has an error of its own
    numbers: Numbers  # constants, scales, scale, from, to, k, block parameters
    state: Node | None = None  # this scale's value, `$z`
    states: tuple[Node, ...] = ()  # all scales, `$z.k`
    shape: tuple[int, ...] = ()  # of the scale, where a start is computed for it

    def naming(self, name: str, value: Node | None) -> Scope:
        """The scope in which `$name` reads the value."""
        return replace(self, values={**self.values, name: value})

    def counting(self, **numbers: Number | Mapping[str, Number]) -> Scope:
        """The scope in which more numbers are known."""
        return replace(self, numbers={**self.numbers, **numbers})
