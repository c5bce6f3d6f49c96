"""How an op, a solver or a setting describes its fields; schema, documentation and checks all derive from it."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final


class Kind(enum.Enum):
    """What a field holds. `INT`, `NUMBER` and `BOOL` of a step also take an expression `${…}`."""

    INT = "int"
    NUMBER = "number"
    BOOL = "bool"
    CHOICE = "choice"  # one word of `choices`
    WORD = "word"  # a new name
    SHAPE = "shape"  # a list of sizes
    COMPUTATION = "computation"
    BRANCHES = "branches"  # a list of two or more computations
    VARIANT = "variant"  # one of `variants`: its name, or its name with options
    VALUE = "value"  # int, number, bool or computation: the argument of a block


@dataclass(frozen=True)
class Variant:
    """One way of several: its name, the text a user reads in the editor, and its options."""

    name: str
    summary: str
    fields: tuple[Field, ...]
    principal: str | None  # the option that is meant by `{name: value}`


class Required:
    """The default of a field that must be written."""

    def __repr__(self) -> str:
        return "REQUIRED"


REQUIRED: Final = Required()
IDENTITY: Final = "identity"  # the default of a computation that is the incoming value itself


@dataclass(frozen=True)
class Field:
    """One field: its name, what it holds, the text a user reads in the editor, and its default."""

    name: str
    kind: Kind
    text: str
    default: object = REQUIRED
    minimum: float | None = None
    exclusive_minimum: float | None = None
    maximum: float | None = None
    exclusive_maximum: float | None = None
    choices: tuple[str, ...] = ()
    nullable: bool = False
    each: bool = False  # an int or a list of ints, one per spatial dimension
    entries: int | None = 2  # of such a list; None: one or more
    branches: int | None = None  # computations in a list of them; None: two or more
    examples: tuple[object, ...] = ()
    variants: Mapping[str, Variant] = field(default_factory=dict)

    @property
    def required(self) -> bool:
        """Whether the field must be written."""
        return self.default is REQUIRED
