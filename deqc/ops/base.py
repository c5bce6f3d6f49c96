"""What an op is: one description from which schema, documentation, shape checks, code and derivatives derive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, Final, Protocol

from deqc.fields import Field
from deqc.ops.code import Code
from deqc.types import Type

Attributes = Mapping[str, Any]

MAIN, ENCODER, HEAD, INIT = "main", "encoder", "head", "init"  # sections; mapping and post-fuse layers count as MAIN
EVERYWHERE = frozenset({MAIN, ENCODER, HEAD, INIT})
OUTSIDE = frozenset({ENCODER, HEAD})

INCOMING: Final = ""  # among what an op takes: the value of the step before
WHOLE: Final = frozenset({"uint8", "int8", "int16", "int32", "int64"})  # dtypes of whole numbers
ANY: Final = MappingProxyType({INCOMING: frozenset({"bool", *WHOLE})})  # the value of the step before is of any dtype
GIVEN: Final = "given"  # the attribute that names what a use takes, where it may leave something out


class ShapeError(Exception):
    """A step can't take this shape; the message says why, `expected` what it takes, `hint` how to mend it."""

    def __init__(self, message: str, expected: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.expected, self.hint = expected, hint


@dataclass(frozen=True)
class Layer:
    """The torch module that holds an op's parameters: how it is made, and the parameters the op reads, in order."""

    constructor: str | None  # None: torch has none, the parameters stand alone
    parameters: tuple[tuple[str, tuple[int, ...]], ...]
    init: tuple[str, Mapping[str, Any]] | None = None  # without a constructor: how tensors start
    buffer: bool = False  # without a constructor: whether tensors are not learned


class Value(Protocol):
    """A node of the IR, as far as an op's rules need to see it."""

    @property
    def op(self) -> str:
        """The name of its op."""

    @property
    def type(self) -> Type:
        """Its type."""

    @property
    def operands(self) -> Sequence[Any]:
        """The nodes it reads."""

    @property
    def attributes(self) -> Attributes:
        """Its constants."""


class Make(Protocol):
    """Makes a node of the IR."""

    def __call__(self, op: str, /, *operands: Any, **attributes: Any) -> Any:
        """The node `op(operands…)`."""


class Op:
    """One operation of the IR; those with `step = True` are also steps of the language."""

    name: str
    summary: str
    step: ClassVar[bool] = True
    fields: ClassVar[tuple[Field, ...]] = ()
    principal: ClassVar[str | None] = None
    takes: ClassVar[tuple[str, ...]] = (INCOMING,)  # its operands in order: fields that hold computations, or INCOMING
    source: ClassVar[str] = ""  # the field that gives a weight from elsewhere, where there is one
    instead: ClassVar[tuple[str, ...]] = ()  # the fields that follow from it, and are not written beside it
    dtypes: ClassVar[Mapping[str, frozenset[str]]] = MappingProxyType(
        {}
    )  # that it reads besides float, by what it takes
    sparse: ClassVar[frozenset[str]] = frozenset()  # of what it takes, that may be a sparse matrix
    unbatched: ClassVar[bool] = False  # reads values without a batch; else they are repeated for every sample first
    where: ClassVar[frozenset[str]] = EVERYWHERE
    elementwise: ClassVar[bool] = False  # of one operand: commutes with slices and concatenation
    zero_preserving: ClassVar[bool] = False  # op(0) = 0
    pure: ClassVar[bool] = True  # equal operands give equal values: may be shared
    view: ClassVar[bool] = False  # its result may lie in the memory of its first operand
    rows: bool = True  # as part of a vjp, takes a row axis after the batch
    repeats: ClassVar[bool] = False  # its code writes an operand more than once: operands must be names
    function: str | None = None  # the module-level function that its code calls, if any
    whole: ClassVar[bool] = True  # outside f, its layer may be called instead of its code
    has_rule: ClassVar[bool] = True  # whether `adjoint` knows the derivative of every use
    companions: tuple[Op, ...] = ()  # ops that only its adjoint uses

    def layer(self, attributes: Attributes, *types: Type) -> Layer | None:
        """The layer with this op's parameters, or None."""
        return None

    def lowered(self, make: Make, attributes: Attributes, *operands: Any) -> Any:
        """What a use of the step is in the IR: one node, if the op does not say otherwise."""
        return make(self.name, *operands, **attributes)

    def infer(self, attributes: Attributes, *types: Type) -> Type:
        """The shape rule; raises ShapeError."""
        return types[0]

    def flops(self, attributes: Attributes, types: Sequence[Type], result: Type) -> int:
        """Multiplications and additions for one sample."""
        return result.size

    def meaning(self, torch: Any, attributes: Attributes, *tensors: Any) -> Any:
        """The reference: what the op computes, in plain torch."""
        raise NotImplementedError(self.name)

    def emit(self, attributes: Attributes, result: Type, *operands: Code) -> Code:
        """The code of generated modules."""
        raise NotImplementedError(self.name)

    def rule(self, node: Value) -> bool:
        """Whether `adjoint` knows the derivative of this use; else torch's autograd does it."""
        return self.has_rule

    def row_wise(self, node: Value) -> bool:
        """Whether this use, as part of a vjp, takes a row axis after the batch."""
        return self.rows

    def __repr__(self) -> str:
        return self.name

    def adjoint(self, make: Make, node: Value, g: Any) -> Sequence[Any]:
        """The cotangent of each operand, given that of the result; None where it is none."""
        raise NotImplementedError(self.name)


def spatial(attributes: Attributes, name: str, rank: int) -> tuple[int, ...]:
    """A field that is one number, or one for each spatial dimension."""
    value = attributes[name]
    return (value,) * rank if isinstance(value, int) else tuple(value)


def short(sizes: tuple[int, ...]) -> int | tuple[int, ...]:
    """The numbers as torch also takes them: one where all are equal."""
    return sizes[0] if len(set(sizes)) == 1 else sizes


def within(bound: float) -> tuple[str, Mapping[str, Any]]:
    """A start uniform between a number and its negative."""
    return "uniform", {"low": -bound, "high": bound}


def reduced(make: Make, g: Any, to: Type) -> Any:
    """The cotangent of an operand that was broadcast: g summed to the operand's type."""
    return g if g.type == to else make("sum_to", g, shape=to.shape, batched=to.batched)
