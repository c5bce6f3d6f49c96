"""The flat description of a module that the templates print: names, texts and finished statements, nothing to compute.

`deqc.emit.planner` makes a plan from the optimised program; `deqc.emit.render` fills the templates with it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from deqc.solvers import Iteration

Lines = tuple[str, ...]


@dataclass(frozen=True)
class Member:
    """A field of a generated NamedTuple: `name: Tensor  # comment`."""

    name: str
    comment: str  # the shape, and what the value is where its name does not say it


@dataclass(frozen=True)
class Argument:
    """An input of the model, an argument of `forward`."""

    name: str
    shape: str  # "(B, 4)"
    sizes: tuple[str, ...]  # of one sample
    described: str = ""  # its dtype or layout and its shape, as a call checks them: '"float", ("B", "N", 50)'


@dataclass(frozen=True)
class ScalePlan:
    """One scale of the packed state."""

    shape: tuple[int, ...]  # of one sample
    start: int  # in the packed state
    stop: int


@dataclass(frozen=True)
class SectionPlan:
    """An attribute of the module that holds layers, e.g. `main_layers`, as laid-out statements of `__init__`."""

    name: str
    lines: Lines


@dataclass(frozen=True)
class Locals:
    """The names that the methods' common text gives its local values, kept clear of the names of inputs."""

    weights: str  # "w"
    start: str  # "u0"
    encoded: str  # "e"
    record: str = "record"
    modules: str = "m"
    solution: str = "z_star"
    mask: str = "mask"
    states: str = "states"
    trajectory: str = "trajectory"
    kept: str = "kept"
    outputs: str = "outputs"
    low: str = "low"


@dataclass(frozen=True)
class Derivatives:
    """Generated first-order derivatives of f; bodies are statements that end in `return …`."""

    members: tuple[Member, ...]  # of Linearization; empty where f is linear in z
    linearize: Lines  # body of linearize(z, w) -> Linearization
    vjp: Lines  # body of vjp(u, at, w): (df/dz)^T u; works on u of shape (B, D), and (B, R, D) where `rows`
    pullback: Lines  # body of pullback(u, z, w, needed) -> Weights
    rows: bool  # whether vjp takes a row axis, so that the Jacobian is vjp of the identity
    jvp: Lines = ()  # body of jvp(u, at, w): (df/dz) u; empty where nothing reads it, or an op has no rule
    overlap: bool = False  # whether a member may lie in the memory of another one, or of a weight


@dataclass(frozen=True)
class Operator:
    """What f applies that torch.func shall not see as a tensor: a module of the user's, or a sparse matrix."""

    name: str
    type: str  # nn.Module | Tensor
    code: str  # in a method
    comment: str = ""


@dataclass(frozen=True)
class Setting:
    """A setting whose value depends on the mode that the module is in; values are Python literals as text."""

    name: str
    type: str  # int | float | str
    training: str
    evaluation: str


@dataclass(frozen=True)
class LinearPlan:
    """The linear solver of a solver's steps, or one of the adjoint that is not an iteration."""

    name: str
    title: str  # in docstrings: "… by GMRES"
    products: int  # with df/dz, a step
    restarted: bool  # whether its Krylov space is begun anew
    dense: bool  # whether it reads the Jacobian of each sample
    preconditioner: str = "none"  # none | diagonal | broyden

    @property
    def function(self) -> str:
        """The function of the module that solves: `_restarted_gmres`."""
        return "_dense_solve" if self.dense else f"_restarted_{self.name}" if self.restarted else f"_{self.name}"

    @property
    def functions(self) -> tuple[str, ...]:
        """That one, and those that it calls."""
        right = ("_right",) if self.preconditioner == "diagonal" else ()
        own = (f"_{self.name}", self.function) if self.restarted else (self.function,)
        return (*right, *own) if self.dense else (*right, *own, "_while")

    @property
    def drifts(self) -> bool:
        """Whether the residual norms that it tells come of a recurrence, from which rounding may part the residuals."""
        return not self.dense and self.name != "neumann"

    @property
    def weighed(self) -> bool:
        """Whether the function takes the scale of the unknowns, for products of vectors that it weighs."""
        return self.name == "cg" and self.preconditioner != "none"

    @property
    def numbers(self) -> dict[str, str]:
        """What the class of a solver holds for it, by name, and the type."""
        if self.dense:
            return {}
        memory = {"linear_memory": "int"} if self.restarted else {}
        return {"linear_rtol": "float", "linear_steps": "int", **memory}

    @property
    def limits(self) -> list[str]:
        """What the function takes behind the goal, in a method of that class."""
        return [f"self.{name}" for name, kind in self.numbers.items() if kind == "int"]

    @property
    def counted(self) -> str:
        """What the function counts."""
        return "products" if self.products == 1 else "steps"

    @property
    def spent(self) -> str:
        """The products with df/dz that it took, beside those of the preconditioner."""
        return "products" if self.products == 1 else f"{self.products} * steps"


@dataclass(frozen=True)
class TimePlan:
    """When a neural ODE begins and ends, and at which times steps end, as literals."""

    start: str
    stop: str
    stops: tuple[str, ...]  # behind the start, the last one is the end
    saveat: tuple[str, ...]  # the times at which the state is returned, often none

    @property
    def begins(self) -> bool:
        """Whether the state at the start is returned too."""
        return self.saveat[:1] == (self.start,)

    @property
    def ends(self) -> bool:
        """Whether that at the end is."""
        return self.saveat[-1:] == (self.stop,)


@dataclass(frozen=True)
class SolverPlan:
    """The forward solve. Every number is a Python literal as text."""

    method: str
    atol: str
    rtol: str
    max_steps: str
    mode: str  # abs_norm | rel_norm | norm | abs | rel
    norm: str  # max | l2 | rms
    coupling: str  # sample | batch
    on_failure: str  # ignore | warn | raise
    options: dict[str, str]  # of the method; choices as they are written
    iteration: Iteration
    linear: LinearPlan | None = None  # of its steps
    watch: dict[str, str] = field(default_factory=dict)  # what a safe mode gives up on
    best: bool = False  # whether the best iterate is returned, not the last
    trace: bool = False
    compaction: bool = False  # whether samples that have ended leave the batch
    mixed: bool = False  # whether f runs in the dtype of autocast at first
    settings: tuple[Setting, ...] = ()  # those that are others in eval mode
    mask: str = ""  # the input that says where the stop test looks
    time: TimePlan | None = None  # of a neural ODE
    record: tuple[str, ...] = ()  # the numbers of steps after which the state is kept

    def at(self, name: str) -> str:
        """How the text of the solve reads a number: the module's constant, or a setting of the mode."""
        return f"settings.{name}" if any(one.name == name for one in self.settings) else name.upper()

    @property
    def numbers(self) -> list[str]:
        """The numbers that the class of the solver holds, those of its linear solver last."""
        return [*self.iteration.numbers, *(self.linear.numbers if self.linear else ())]

    @property
    def arguments(self) -> list[str]:
        """What the class of the solver is made with, behind the derivative that it reads."""
        return [self.at(name) for name in self.numbers]

    @property
    def tested(self) -> bool:
        """Whether the stop test depends on the mode."""
        return any(one.name in ("atol", "rtol") for one in self.settings)

    @property
    def evaluated(self) -> SolverPlan:
        """The solver as it is in eval mode."""
        now = {"atol": self.atol, "rtol": self.rtol, "max_steps": self.max_steps}
        now |= {one.name: one.evaluation for one in self.settings}
        return replace(self, atol=now["atol"], rtol=now["rtol"], max_steps=now["max_steps"], settings=())

    @property
    def failures(self) -> list[str]:
        """What happens on failure, in training and, where that is another, in eval mode."""
        return [self.on_failure, *(one.evaluation.strip('"') for one in self.settings if one.name == "on_failure")]


@dataclass(frozen=True)
class AdjointPlan:
    """How derivatives pass through the solution. Every number is a Python literal as text."""

    method: str  # of deqc.solvers.ADJOINTS
    options: dict[str, str]  # of the method
    linear_solver: str | None  # for implicit
    rtol: str
    atol: str
    max_steps: str
    linear_options: dict[str, str]
    iteration: Iteration | None = None  # where the linear system is solved like z = f(z)
    linear: LinearPlan | None = None  # where it is not
    exact: bool = True  # whether the linear solver is meant to reach its tolerance
    chosen: dict[str, str] = field(default_factory=dict)  # of the options those that are not the method's defaults

    @property
    def reads_memory(self) -> bool:
        """Whether the backward pass reads what the solver remembers after its last step."""
        return self.method in ("shine", "reversible") or self.shares or self.reuses

    @property
    def shares(self) -> bool:
        """Whether what the solver has learnt of (I - df/dz)^-1 preconditions the backward solve."""
        return self.linear is not None and self.linear.preconditioner == "broyden"

    @property
    def reuses(self) -> bool:
        """Whether the factors of the solver's last step serve the backward solve."""
        return self.linear_options.get("factors") == "last_step"

    @property
    def checkpoint(self) -> str:
        """Of how many steps one state is kept; empty where all is."""
        every = self.options.get("checkpoint", "0")
        return "" if every == "0" else "max(1, math.isqrt(max_steps))" if every == "sqrt" else every

    @property
    def refines(self) -> bool:
        """Whether steps on the linear system follow an estimate of its solution."""
        return self.method == "shine" and self.options["refine"] != "0"


@dataclass(frozen=True)
class JacobianPlan:
    """The loss that holds a quantity of df/dz down. Every number is a Python literal as text."""

    quantity: str  # frobenius | trace | spectral_radius
    options: dict[str, str]  # of the quantity: normalize | steps
    mode: str  # vjp | jvp | finite_difference
    samples: str
    distribution: str  # normal | rademacher
    through_solution: bool
    first_draw: str  # of the sequence that the seed chooses


@dataclass(frozen=True)
class Plan:
    """Everything that a generated module says."""

    deqc_version: str
    spec_name: str
    spec_sha256: str
    constants: str  # set for this compilation, `width=128`
    class_name: str
    title: Lines  # docstring of the module after "Generated by …": equation, inputs, solver, adjoint, parameters
    class_doc: str
    inputs: tuple[Argument, ...]
    scales: tuple[ScalePlan, ...]
    single: bool  # one scale: states are one Tensor, else a tuple
    size: int  # D
    images: bool  # whether a scale has rank 3, packed channels last, through _image and _flat
    weights: tuple[Member, ...]
    f: Lines  # body of f(z, w)
    derivatives: Derivatives | None
    sections: tuple[SectionPlan, ...]
    starts: Lines  # statements of __init__ behind the sections: how tensors start, which are taken apart
    project: Lines  # body of project_, where there are constraints
    turn: Lines  # statements at the start of weights in training mode: power iterations
    locals: Locals
    encoded: tuple[Member, ...]  # encoder values that the start or the output read besides f; often none
    encode: Lines  # body of encode(self, inputs…) -> Encoded, where there are any
    weights_body: Lines  # body of weights(self, inputs…) -> Weights, or of _weights(self, e, inputs…) where encoded
    start: str  # zeros | step | chains
    start_body: Lines  # for chains: body of _initial(self, [e,] inputs…) -> packed (B, D)
    head: Lines  # body of _head(self, z, [e,] [inputs…]) with z packed; empty without a head
    head_reads_inputs: bool
    outputs: tuple[Member, ...]  # of the head, with their shapes "(B, 10)"; the only one may have no name
    start_reads_inputs: bool
    modules: tuple[str, ...]  # of the user's, the arguments of __init__
    operators: tuple[Operator, ...]  # what f applies that is no weight
    functional: bool  # whether some body uses torch.nn.functional as F
    functions: tuple[str, ...]  # the module's own helper functions that some body calls
    autograd_rules: bool  # whether vjp or pullback leaves an op without a rule to torch
    solver: SolverPlan
    adjoint: AdjointPlan
    convolution_gradients: bool = False  # whether some body uses torch.nn.grad
    nested: bool = False  # whether some layer has layers of its own computations beside its parameters
    dimensions: tuple[str, ...] = ()  # names in the scales, sizes known at the call: arguments of pack and unpack
    sizes: Lines = ()  # statements that read them from the inputs
    like: str = ""  # an expression of a method that gives zeros their batch, device and dtype
    blank: bool = False  # whether some method calls `_blank`
    plain: bool = True  # whether all inputs have a batch, real numbers, and sizes that are known
    real: bool = True  # whether all inputs are of real numbers
    masks: Lines = ()  # by scale, expressions of a method: where the stop test looks
    sampled: tuple[str, ...] = ()  # weights of which every sample has its own
    jacobian_loss: JacobianPlan | None = None
    fixed: int = 0  # weights without a gradient, the last ones

    @property
    def learnt(self) -> tuple[str, ...]:
        """The tensors that serve the backward solve, made of the solver's memory."""
        if self.adjoint.reuses:
            return ("factors", "pivots")
        if not self.adjoint.shares:
            return ()
        return ("left", "right") if self.solver.method == "limited_memory_broyden" else ("inverse",)

    @property
    def learnt_typed(self) -> list[str]:
        """The same as arguments of a function."""
        return [f"{name}: Tensor" for name in self.learnt]

    @property
    def compacts(self) -> bool:
        """Whether samples leave the batch.

        Not where they end together or share their steps, nor where autograd goes through these.
        """
        together = self.solver.coupling == "batch" or bool(self.solver.iteration.integrator)
        return self.solver.compaction and not together and self.adjoint.method != "unroll"
