"""The typed spec: what a program says, with every short form expanded and every piece's place kept.

Sizes are not known yet: an expression such as `${in.channels}` is evaluated in `deqc.lower`, where shapes are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from deqc.diagnostics import Span
from deqc.solvers.flow import OF_REST
from deqc.spec.expressions import Expression
from deqc.types import FLOAT

Number: TypeAlias = "int | float | bool"


@dataclass(frozen=True)
class Reference:
    """`$name`, `$z` or `$z.k`: reads a value in place of the current one."""

    name: str
    index: int | None
    span: Span


@dataclass(frozen=True)
class Literal:
    """A number, a word or an expression written as the value of a field."""

    value: Number | str | Expression | None
    span: Span


@dataclass(frozen=True)
class Sizes:
    """A list of sizes (a shape, or one number per spatial dimension)."""

    items: tuple[Literal, ...]
    span: Span


@dataclass(frozen=True)
class Choice:
    """One variant of a field with the options that were written, such as `{normal: {std: 0.01}}`."""

    name: str
    options: Mapping[str, Literal]
    span: Span


@dataclass(frozen=True)
class Branches:
    """The computations of `sum`, `mul` or `concat`."""

    items: tuple[Computation, ...]
    span: Span


@dataclass(frozen=True)
class Computation:
    """A chain of steps; each works on the value of the one before."""

    steps: tuple[Step | Reference, ...]
    span: Span


Argument: TypeAlias = "Literal | Sizes | Choice | Branches | Computation"


@dataclass(frozen=True)
class Step:
    """The use of an op or a block: its name and the fields that were written."""

    name: str
    arguments: Mapping[str, Argument]
    span: Span  # of the name
    whole: Span  # of the step with its fields


@dataclass(frozen=True)
class Parameter:
    """A parameter of a block; `type` is int, number, bool or value."""

    name: str
    type: str | None  # None: what the default or the argument is
    required: bool
    default: Literal | Computation | None  # None for a required one and for `type: value` with default null
    description: str | None
    span: Span


@dataclass(frozen=True)
class Block:
    """A named computation with parameters; every use has weights of its own."""

    name: str
    parameters: tuple[Parameter, ...]
    body: Computation
    span: Span


@dataclass(frozen=True)
class Shape:
    """The shape of one sample; a size is a `Dim` where a dimension name stands for it."""

    sizes: tuple[int, ...]
    span: Span


@dataclass(frozen=True)
class Input:
    """One argument of `forward`."""

    name: str
    shape: Shape
    span: Span
    dtype: str = FLOAT
    batched: bool = True
    sparse: bool = False


@dataclass(frozen=True)
class Weight:
    """A parameter of the model itself, read as `$name`; a buffer where it is not trainable."""

    name: str
    shape: Shape
    said: Mapping[str, Choice]  # init, parametrize, constraint, as far as they are written
    trainable: bool
    span: Span


@dataclass(frozen=True)
class Module:
    """A module of the user's, an argument of the generated class; `shape` None is that of its first argument."""

    name: str
    shape: Shape | None
    deterministic: bool
    span: Span


@dataclass(frozen=True)
class Initial:
    """How z_0 is made: `zeros`, `step` (f at zero), or `chains` (one computation a scale; None is zeros)."""

    kind: str
    chains: tuple[Computation | None, ...]
    span: Span | None


@dataclass(frozen=True)
class Output:
    """One output of the head; the only one has no name where the head is a computation."""

    name: str | None
    computation: Computation


@dataclass(frozen=True)
class Method:
    """A solver, an adjoint or a linear solver by name, with all its options, defaults filled in."""

    name: str
    options: Mapping[str, Number | str | None]
    span: Span | None
    written: frozenset[str] = frozenset()  # the options the spec sets itself
    spans: Mapping[str, Span] = field(default_factory=dict)  # of those options


@dataclass(frozen=True)
class Time:
    """When a neural ODE begins and ends, what f is to its rate, and at which times the state is returned."""

    start: float
    stop: float
    dynamics: str  # residual: z' = f(z) - z | derivative: z' = f(z)
    saveat: tuple[float, ...]

    @property
    def stops(self) -> tuple[float, ...]:
        """The times behind the start at which steps end: those that are saved, and the end."""
        inside = (one for one in self.saveat if self.start < one < self.stop)
        return (*inside, self.stop)


@dataclass(frozen=True)
class Solver:
    """The forward solve: method, tolerances and limits."""

    method: Method  # name 'auto' until `deqc.compiler` resolves it
    atol: float
    rtol: float
    max_steps: int
    mode: str
    norm: str
    coupling: str
    on_failure: str
    trace: bool
    compaction: bool  # whether samples that have ended leave the batch
    precision: str  # full | mixed: f in the dtype of autocast at first
    watch: Mapping[str, Number]  # what the safe modes give up on; empty for the others
    mask: str | None = None  # the input that says where the stop test looks
    time: Time | None = None  # of a neural ODE, which has no stop test
    evaluation: Mapping[str, Number | str | None] = field(default_factory=dict)  # what has another value in eval mode
    linear_solver: Method | None = None  # of the method's steps, where they solve linear systems
    linear_evaluation: Mapping[str, Number | str | None] = field(default_factory=dict)  # and its values in eval mode
    record: tuple[int, ...] = ()  # the numbers of steps after which the state is kept

    @property
    def told(self) -> Method:
        """The method with the options that may be written: a neural ODE has no use for some."""
        if self.time is None:
            return self.method
        options = {name: value for name, value in self.method.options.items() if name not in OF_REST}
        return replace(self.method, options=options)

    @property
    def safe(self) -> bool:
        """Whether samples that stall or diverge are given up."""
        return "_safe" in self.mode

    @property
    def best(self) -> bool:
        """Whether the best iterate is returned, not the last."""
        return self.mode.endswith("_best")

    @property
    def test(self) -> str:
        """The mode's stop test."""
        return self.mode.partition("_safe")[0]

    @property
    def untested(self) -> tuple[str, ...]:
        """The tolerances that the stop test does not read."""
        if self.time is not None:
            return ("atol", "rtol")
        return {"abs_norm": ("rtol",), "abs": ("rtol",), "rel_norm": ("atol",), "rel": ("atol",)}.get(self.test, ())


@dataclass(frozen=True)
class Adjoint:
    """How derivatives pass through the solution; `linear_solver` only where the method solves a linear system."""

    method: Method
    linear_solver: Method | None  # name 'auto' until `deqc.compiler` resolves it


@dataclass(frozen=True)
class JacobianRegularization:
    """The quantity of df/dz at the solution that `jacobian_loss` estimates, and how."""

    quantity: Method
    mode: str
    samples: int
    distribution: str
    through_solution: bool
    seed: int


@dataclass(frozen=True)
class Spec:
    """A whole program."""

    name: str
    description: str | None
    kind: str
    constants: Mapping[str, Number]
    inputs: tuple[Input, ...]
    weights: tuple[Weight, ...]
    modules: Mapping[str, Module]
    blocks: Mapping[str, Block]
    encoder: tuple[tuple[str, Computation], ...]
    scales: tuple[Shape, ...]
    single: bool  # written as `scale:`
    initial: Initial
    main_layers: tuple[Computation, ...]
    mapping_layers: tuple[tuple[Computation | None, ...], ...]  # [source][target]; a rule is written out
    post_fuse_layers: tuple[Computation | None, ...] | None
    head: tuple[Output, ...]  # empty where the output is the state
    solver: Solver
    adjoint: Adjoint
    jacobian_regularization: JacobianRegularization | None
    sections: Mapping[str, Span]  # the key of every section written
    encoder_spans: Mapping[str, Span]  # the name of every encoder value
    unread_constants: Mapping[str, Span]  # those that no expression reads
