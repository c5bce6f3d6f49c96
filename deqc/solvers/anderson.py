"""Anderson acceleration."""

from deqc.fields import Field, Kind
from deqc.solvers.base import Iteration

HISTORY = Field(
    "history",
    Kind.INT,
    "How many of the last iterates are combined. More converges in fewer steps and costs memory and a larger small "
    "system.",
    default=5,
    minimum=1,
    maximum=32,
    examples=(5, 8),
)

RIDGE = Field(
    "ridge",
    Kind.NUMBER,
    "Added to the diagonal of the Gram matrix of the residuals, in units of its largest diagonal entry. Keeps the "
    "small system solvable where residuals become parallel.",
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

ANDERSON = Iteration(
    "anderson",
    "Combines the last iterates so that the residual of the combination is least, for each sample: one evaluation of "
    "f a step (Anderson 1965; type II of Walker & Ni 2011).",
    (HISTORY, RIDGE, MIXING),
    title="Anderson acceleration",
    remedy="a smaller damping, or newton",
    helpers=("_dense_solve",),
)
