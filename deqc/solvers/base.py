"""What a numerical method tells the schema, the documentation and the compiler about itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from deqc.fields import Field, Kind


def camel_case(name: str) -> str:
    """`trust_region` -> `TrustRegion`."""
    return "".join(word.capitalize() for word in name.split("_"))


@dataclass(frozen=True)
class Description:
    """A solver, an adjoint method or a linear solver: its name, what it does with the source, and its own options.

    `max_steps` is the method's default for the setting of that name; None where the method takes no such setting.
    `unrolled` names the number by which its graph grows under torch.compile; without one it is a loop there. `eager`
    says why torch.compile cannot take it at all, `eager_back` why not with gradients; empty where it can. `solvers` are
    those that an adjoint works with; empty where it works with all.
    """

    name: str
    summary: str
    fields: tuple[Field, ...] = ()
    max_steps: int | None = 32
    unrolled: str = ""
    eager: str = ""
    eager_back: str = ""
    kinds: tuple[str, ...] = ("deq",)  # of models that it is for
    solvers: tuple[str, ...] = ()

    @property
    def defaults(self) -> dict[str, object]:
        """The default of each of its own options."""
        return {field.name: field.default for field in self.fields}


@dataclass(frozen=True)
class Linear(Description):
    """A linear solver with a function of its own, `_<name>(product, b, goal, most) -> (x, residual norms, steps)`.

    It is in `templates/linear_solvers/<name>.py.jinja`; one that is `dense` takes the matrix instead of the product.
    """

    title: str = ""  # in docstrings: "… by GMRES"
    products: int = 1  # with the Jacobian, a step
    symmetric: bool = False  # whether it takes symmetric Jacobians alone
    exact: bool = True  # whether it gets to any tolerance, given the steps
    dense: bool = False  # whether it reads the Jacobian of each sample


@dataclass(frozen=True)
class Brought:
    """What a choice of an option brings into a module."""

    constants: Mapping[str, object] = field(default_factory=dict)
    helpers: tuple[str, ...] = ()
    refuses: bool = False  # whether some step may be refused: the sample stays where it is


@dataclass(frozen=True)
class Part:
    """A class of a generated module: its template, its name, and the options that it is written for."""

    template: str
    class_name: str
    options: Mapping[str, str]


@dataclass(frozen=True)
class Iteration(Description):
    """A method that goes from iterate to iterate, in the one loop that all of them run in.

    Its class in generated modules is in `templates/solvers/<template>.py.jinja`; it is made from the derivative that
    it reads, then from its options in order, those that are no numbers left out: they are known when the template is
    filled.
    """

    title: str = ""  # in docstrings: "Solves z = f(z) by …"
    remedy: str = ""  # what else to try where it fails
    note: str = ""  # a further sentence of the docstring
    reads: Literal["", "jacobian", "jvp"] = ""  # derivative of f
    ends: bool = False  # whether it can tell that it gets no further
    counts: bool = False  # whether its steps say what they cost; else each is one evaluation of f
    refuses: bool = False  # whether some step may be refused: the sample stays where it is
    helpers: tuple[str, ...] = ()  # functions of generated modules that its class calls
    constants: Mapping[str, object] = field(default_factory=dict)  # coefficients, written into the module
    tables: tuple[str, ...] = ()  # of these, those that its class takes as tensors, behind its options
    chosen: Mapping[str, Mapping[str, Brought]] = field(default_factory=dict)  # by option and its choice
    template: str = ""  # of its class, where that is not called like the method
    shortens: bool = False  # whether a step may be shorter than was planned
    integrator: str = ""  # of torchdiffeq, where its class calls one
    unrounded: str = ""  # why f may not run in low precision at first, where it reads f alone; empty where it may
    linear: bool = False  # whether its steps solve linear systems with df/dz, by a linear solver that is chosen

    @property
    def class_name(self) -> str:
        """Its class in generated modules."""
        return f"_{camel_case(self.template or self.name)}"

    @property
    def rounded(self) -> bool:
        """Whether f may run in low precision at first."""
        return not (self.unrounded or self.reads)

    @property
    def constant_names(self) -> tuple[str, ...]:
        """All coefficients that it may bring."""
        brought = (one for choices in self.chosen.values() for one in choices.values())
        return (*self.constants, *(name for one in brought for name in one.constants))

    def by(self, linear: Linear, functions: tuple[str, ...]) -> Iteration:
        """The method as it is where that one solves its linear systems, by these functions of generated modules."""
        reads: Literal["jacobian", "jvp"] = "jacobian" if linear.dense else "jvp"
        return replace(
            self, title=f"{self.title} with {linear.title}", reads=reads, helpers=(*self.helpers, *functions)
        )

    def parts(self, options: Mapping[str, str]) -> tuple[Part, ...]:
        """The classes that a module with these options holds."""
        return (Part(self.template or self.name, self.class_name, options),)

    def brought(self, options: Mapping[str, str]) -> Brought:
        """All that goes into a module where the options are these."""
        constants, helpers, refuses = dict(self.constants), self.helpers, self.refuses
        for option, choices in self.chosen.items():
            more = choices.get(options[option], Brought())
            constants |= more.constants
            helpers += more.helpers
            refuses = refuses or more.refuses
        return Brought(constants, helpers, refuses)

    def settled(self, options: Mapping[str, object], atol: float, rtol: float) -> Mapping[str, object]:
        """The options, where some follow from others and from the solver's tolerances."""
        return options

    @property
    def numbers(self) -> tuple[str, ...]:
        """The options that are arguments of its class, in order."""
        return tuple(one.name for one in self.fields if one.kind in (Kind.INT, Kind.NUMBER))

    def choices(self, options: Mapping[str, str]) -> dict[str, str]:
        """The other options, for which its class is written."""
        return {one.name: options[one.name] for one in self.fields if one.name not in self.numbers}
