"""Anderson acceleration."""

from deqc.fields import Field, Kind
from deqc.solvers.base import Brought, Iteration

HISTORY = Field(
    "history",
    Kind.INT,
    "How many of the last steps are combined, two vectors each. More converges in fewer steps and costs memory and a "
    "larger small system.",
    default=5,
    minimum=1,
    maximum=32,
    examples=(5, 8),
)

RIDGE = Field(
    "ridge",
    Kind.NUMBER,
    "Added to the diagonal of the small system, in units of that diagonal. Keeps it solvable where steps become "
    "parallel.",
    default=1e-4,
    exclusive_minimum=0,
    examples=(1e-4, 1e-8),
)

MIXING = Field(
    "damping",
    Kind.NUMBER,
    "The mixing parameter beta: how much of the combined residual is added to the combined iterate. 1 takes the "
    "combination of the images f(z_i) itself.",
    default=1.0,
    exclusive_minimum=0,
    exclusive_maximum=2,
    examples=(1.0, 0.8),
)

TYPE = Field(
    "type",
    Kind.CHOICE,
    "Whether the combined residual is the least (ii), or orthogonal to the combined steps (i): multisecant versions of "
    "Broyden's second and first method.",
    default="ii",
    choices=("ii", "i"),
)

SAFEGUARD = Field(
    "safeguard",
    Kind.BOOL,
    "Whether a combination that more than doubles the residual is refused and a plain step taken in its place.",
    default=True,
)

ANDERSON = Iteration(
    "anderson",
    "Combines the last steps so that the residual of the combination is least, for each sample: one evaluation of f a "
    "step (Anderson 1965; Walker & Ni 2011; safeguarded as by Zhang, O'Donoghue & Boyd 2020).",
    (HISTORY, RIDGE, MIXING, TYPE, SAFEGUARD),
    title="Anderson acceleration",
    remedy="a smaller damping, or newton",
    helpers=("_dense_solve", "_times"),
    chosen={"safeguard": {"True": Brought({"GROWTH": 2.0}, ("_dot",), refuses=True)}},
)
