"""The settings of a spec as data: sections, and the fields that all solvers, and all linear solvers, share.

Schema, documentation, defaults and messages derive from these descriptions; what belongs to one method is in
`deqc.solvers`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from deqc.fields import Field, Kind
from deqc.types import FLOAT

LANGUAGE: Final = 1  # the version of the language, the value of `deqc:`
MOST_SCALES: Final = 64  # the matrix of mapping layers has the square of it

NORMS: Final = ("max", "l2", "rms")
MODES: Final = (
    *("abs_norm", "rel_norm", "norm", "abs", "rel"),
    *("abs_norm_safe", "rel_norm_safe", "abs_norm_safe_best", "rel_norm_safe_best"),
)
EQUILIBRIUM: Final = "deq"
NEURAL_ODE: Final = "neural_ode"
KINDS: Final = (EQUILIBRIUM, NEURAL_ODE)

SOLVER: Final = (
    Field(
        "atol",
        Kind.NUMBER,
        "Absolute tolerance: a sample has converged where the norm of f(z) - z is at most this (mode abs_norm).",
        default=1e-3,
        minimum=0,
        examples=(1e-3, 1e-6),
    ),
    Field(
        "rtol",
        Kind.NUMBER,
        "Relative tolerance: measured against f(z) by the modes rel, norm and rel_norm; also the default tolerance of "
        "the adjoint's linear solver.",
        default=1e-3,
        minimum=0,
        examples=(1e-3, 1e-6),
    ),
    Field(
        "max_steps",
        Kind.INT,
        "The most steps that the solver takes for one sample. The default is the method's own.",
        default=None,
        minimum=1,
        examples=(32, 100),
    ),
    Field(
        "coupling",
        Kind.CHOICE,
        "Whether each sample is solved for itself (sample), or the whole batch stops together by one norm over all of "
        "it (batch).",
        default="sample",
        choices=("sample", "batch"),
    ),
    Field(
        "on_failure",
        Kind.CHOICE,
        "What happens in eager mode when a sample has not converged: nothing, a warning or an exception. The "
        "solution's record tells it in any case.",
        default="warn",
        choices=("ignore", "warn", "raise"),
    ),
    Field(
        "trace",
        Kind.BOOL,
        "Whether the record keeps the norm of the residual at the start and after every step, nan behind a sample's "
        "last.",
        default=False,
    ),
    Field(
        "compaction",
        Kind.BOOL,
        "Whether samples that have ended leave the batch, in eager mode, each time that half of it has: for an f that "
        "is dear, where some samples take far more steps than most.",
        default=False,
    ),
    Field(
        "precision",
        Kind.CHOICE,
        "What f runs in under autocast: the precision of the parameters (full), or the dtype of autocast until "
        "rounding hides the residual, then the precision of the parameters until the tolerance holds (mixed). All else "
        "keeps that precision in either case, and without autocast there is no difference.",
        default="full",
        choices=("full", "mixed"),
    ),
)

MOST_RECORDED: Final = 100  # states that are kept on the way

# Which of them may have other values in eval mode, beside the method's own numbers.
IN_EVALUATION: Final = ("atol", "rtol", "max_steps", "on_failure")

TERMINATION: Final = (
    Field(
        "mode",
        Kind.CHOICE,
        "When a sample has converged, with r = f(z) - z: abs_norm |r| <= atol; rel_norm |r| <= rtol |f(z)|; norm "
        "either of the two; abs and rel the same for each entry by itself. The safe modes also give up on a sample "
        "that stalls or diverges; the best ones return the iterate with the least residual, not the last.",
        default="abs_norm",
        choices=MODES,
    ),
    Field(
        "norm",
        Kind.CHOICE,
        "The norm over the state of one sample: the largest entry (max), Euclidean (l2) or root mean square (rms).",
        default="max",
        choices=NORMS,
    ),
)

# What the safe modes give up on; of the other modes none has them.
WATCH: Final = (
    Field(
        "divergence",
        Kind.NUMBER,
        "A sample diverges where its residual has grown by this factor since the start.",
        default=1e6,
        exclusive_minimum=1,
        examples=(1e6, 1e3),
    ),
    Field(
        "patience_steps",
        Kind.INT,
        "A sample stalls where its residual, close to the tolerance, has not moved over so many steps.",
        default=100,
        minimum=2,
        maximum=1000,
        examples=(100, 30),
    ),
    Field(
        "patience_factor",
        Kind.NUMBER,
        "How many tolerances are close.",
        default=3.0,
        minimum=1,
        examples=(3.0,),
    ),
    Field(
        "spread",
        Kind.NUMBER,
        "A residual has not moved where its largest value is below so many times its least.",
        default=1.3,
        exclusive_minimum=1,
        examples=(1.3,),
    ),
    Field(
        "stalled_steps",
        Kind.INT,
        "A sample stalls after so many steps in a row that are shorter than the tolerance (l2).",
        default=32,
        minimum=1,
        examples=(32,),
    ),
)

LINEAR: Final = (
    Field(
        "max_steps",
        Kind.INT,
        "The most steps that the linear solver takes for one sample. The default is the method's own.",
        default=None,
        minimum=1,
        examples=(32, 10),
    ),
    Field(
        "rtol",
        Kind.NUMBER,
        "A sample stops where the residual is at most rtol times the norm of the incoming gradient. The default is "
        "the rtol of `solver`.",
        default=None,
        minimum=0,
        examples=(1e-3, 1e-6),
    ),
    Field(
        "atol",
        Kind.NUMBER,
        "An absolute tolerance beside rtol. Anything but 0 makes the gradient depend on the scale of the loss.",
        default=0.0,
        minimum=0,
        examples=(0.0,),
    ),
)

# Of the linear solver that the steps of a solver use.
INNER: Final = (
    Field(
        "max_steps",
        Kind.INT,
        "The most steps that a linear solve takes for one sample. The default is the method's own.",
        default=None,
        minimum=1,
        examples=(20, 60),
    ),
    Field(
        "rtol",
        Kind.NUMBER,
        "A linear solve ends where its residual is at most this times that of the step it solves for.",
        default=1e-3,
        minimum=0,
        exclusive_maximum=1,
        examples=(1e-3, 1e-6),
    ),
)
TIME: Final = (
    Field("start", Kind.NUMBER, "The time at which z has its initial value.", default=0.0, examples=(0,)),
    Field("stop", Kind.NUMBER, "The time at which z is the result.", default=1.0, examples=(1, 10)),
    Field(
        "dynamics",
        Kind.CHOICE,
        "What f is to the rate of change: z' = f(z, x) - z (residual, as in the equilibrium models), or z' = f(z, x) "
        "(derivative).",
        default="residual",
        choices=("residual", "derivative"),
    ),
)
MOST_SAVED: Final = 1000  # times at which the state is kept

JACOBIAN: Final = (
    Field(
        "mode",
        Kind.CHOICE,
        "How products with J = df/dz at the solution are taken: J^T v by reverse mode (vjp), J v as the transpose of "
        "that (jvp), or J v as (f(z + h v) - f(z - h v)) / 2h with h = eps^(1/3) (1 + |z|) / |v| for each sample "
        "(finite_difference, as Knoll & Keyes 2004 choose h).",
        default="vjp",
        choices=("vjp", "jvp", "finite_difference"),
    ),
    Field(
        "samples",
        Kind.INT,
        "How many random v are drawn for each sample of the batch; the loss is the mean over them.",
        default=1,
        minimum=1,
        maximum=1000,
        examples=(1, 2),
    ),
    Field(
        "distribution",
        Kind.CHOICE,
        "How the entries of v are drawn: from a normal distribution of variance 1, or as signs with equal chances "
        "(rademacher), of which estimates have less variance.",
        default="normal",
        choices=("normal", "rademacher"),
    ),
    Field(
        "through_solution",
        Kind.BOOL,
        "Whether gradients of the loss also pass through the solution, by the adjoint; else the solution is a constant "
        "to it.",
        default=True,
    ),
    Field(
        "seed",
        Kind.INT,
        "Which sequence of v is drawn: another v for every solve in training, the same one in eval mode. The random "
        "numbers of torch stay as they are.",
        default=0,
        minimum=0,
        maximum=2**31 - 1,
        examples=(0, 1),
    ),
)


@dataclass(frozen=True)
class Section:
    """One key of the document: the text a user reads in the editor, and examples of its value."""

    name: str
    text: str
    examples: tuple[object, ...] = ()
    default: object = None
    required: bool = False


SECTIONS: Final = (
    Section("deqc", "The version of the spec language.", (1,), required=True),
    Section("name", "The name of the model, and of the class that is generated.", ("MyModel",), required=True),
    Section(
        "description",
        "What the model is, for people: at most 2,000 printable characters. Has no influence on what the model "
        "computes.",
        ("z = tanh(W z + U x + b)",),
    ),
    Section(
        "kind",
        "The kind of model: an equilibrium z = f(z, x) (deq), or where z' = f(z, x) - z has led after some time "
        "(neural_ode).",
        ("deq", "neural_ode"),
        "deq",
    ),
    Section(
        "constants",
        'Named numbers, read in expressions: with `constants: {width: 64}`, "${width}" is 64.',
        ({"width": 64, "dropout": 0.1},),
        {},
    ),
    Section(
        "input",
        "The arguments of `forward` in order: each name with the shape of one sample; the batch dimension is implied. "
        "Read as `$name`. A name in a shape stands for a size that is known at the call. In full {shape, dtype, batch, "
        "layout}.",
        ({"x": [4]}, {"image": [1, 28, 28]}, {"tokens": {"shape": ["L"], "dtype": "int64"}}),
        required=True,
    ),
    Section(
        "parameters",
        "Parameters of the model itself, read as `$name` everywhere, also by several layers: each name with its shape, "
        "or in full {shape, init, parametrize, constraint, trainable}. `[]` is a learned number.",
        ({"W": [64, 64]}, {"step": {"shape": [], "init": {"constant": 0.1}}}),
        {},
    ),
    Section(
        "modules",
        "Modules of your own, handed to the generated class in this order and called like steps: each name with the "
        "shape of what it returns for one sample, `same` for that of its first argument, or in full "
        "{out, deterministic}.",
        ({"denoiser": "same"}, {"cell": {"out": [64], "deterministic": True}}),
        {},
    ),
    Section(
        "blocks",
        "Named computations with parameters, used like steps. Each use has its own weights.",
        ({"dense": {"params": {"out": None}, "body": [{"linear": "${out}"}, "tanh"]}},),
        {},
    ),
    Section(
        "encoder",
        "Values computed once from the inputs, in order, outside the equilibrium. Read as `$name`.",
        ({"inject": ["$x", {"linear": 64}]},),
        {},
    ),
    Section("scale", "The shape of the state, for a model of one scale. Write this or `scales`.", ([64], [16, 8, 8])),
    Section(
        "scales",
        "The shapes of the state's scales z_0, z_1, ... Write this or `scale`.",
        ([[4], [3], [2], [1]], [[16, 8, 8], [32, 4, 4]]),
    ),
    Section(
        "init",
        "Where the solve starts: `zeros`, `step` (one application of f at zero), or a computation from the inputs: "
        "one with `scale`, a list of one a scale with `scales` (null is zeros).",
        ("zeros", "step", ["$x", {"linear": 64}]),
        "zeros",
    ),
    Section(
        "main_layers",
        "The layers h_i = main_i(z_i, inputs). With `scale` one computation, with `scales` a list of one a scale, or "
        "`{each: computation}`.",
        ([{"sum": [{"linear": 64}, ["$x", {"linear": 64}]]}, "tanh"],),
        required=True,
    ),
    Section(
        "mapping_layers",
        "How scales feed each other, y_to = sum of mapping[from][to](h_from): a list of rows, one a source, with one "
        "entry a target (null is no connection), or a rule `{same, down, up}`. Absent: each scale feeds itself alone.",
        ([["identity", {"linear": 3}], [{"linear": 4}, "identity"]],),
    ),
    Section(
        "post_fuse_layers",
        "A computation for each scale on the sum of its mappings, f_i = post_i(y_i) (null is identity), or `{each: "
        "computation}`. Absent: f_i = y_i.",
        ([None, "tanh"], {"each": ["tanh"]}),
    ),
    Section(
        "head",
        "The output computed from the solution z*: a computation, or a mapping of names to several. With one scale it "
        "starts from z*, with several it begins with `$z.0` or the like. Absent: the output is z* itself.",
        ([{"linear": 10}], {"logits": [{"linear": 10}], "state": "identity"}),
    ),
    Section(
        "time",
        "Of a neural ODE: from when to when z changes, how f says its rate of change, and at which times `solve` "
        "returns it.",
        ({"stop": 2}, {"stop": 1, "saveat": [0.25, 0.5, 1]}),
        {},
    ),
    Section(
        "solver",
        "How z = f(z) is solved, or z' = f(z) - z: the name of a method, or its settings.",
        ("anderson", {"method": "newton"}),
        "auto",
    ),
    Section(
        "adjoint",
        "How derivatives pass through the solution: the name of a method, or its settings. The default is implicit, "
        "of a neural ODE discrete.",
        ("implicit", {"method": "implicit", "linear_solver": "lu"}),
        "implicit",
    ),
    Section(
        "jacobian_regularization",
        "What `jacobian_loss` of `solve` holds, a loss that keeps f contractive: a quantity of df/dz at the solution, "
        "or its settings. Absent: None. The weight of the loss is the training loop's.",
        ("frobenius", {"quantity": "frobenius", "samples": 2}),
    ),
)


# What the entries of an input may be; float is the dtype of the parameters, whichever that is.
DTYPES: Final = (FLOAT, "bool", "uint8", "int8", "int16", "int32", "int64")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Names that the language defines and this version does not offer yet, by the place where they may be written.
PLANNED: Final[dict[str, frozenset[str]]] = {
    "section": _words("loss"),
    "kind": _words(""),
    "solver": _words(
        """
        forward_backward peaceman_rachford
        """
    ),
    "solver.option": _words(""),
    "termination": _words(""),
    "adjoint": _words(""),
    "adjoint.option": _words(""),
    "linear_solver": _words("forward_backward peaceman_rachford"),
    "step": _words(""),
    "step.option": _words(""),
    "parametrization": _words("monotone lben"),
}


def planned(place: str, name: str) -> bool:
    """Whether the language defines this name at this place, though deqc does not offer it yet."""
    return name in PLANNED[place]
