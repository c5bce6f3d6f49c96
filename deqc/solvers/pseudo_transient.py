"""Pseudo-transient continuation."""

from deqc.fields import Field, Kind
from deqc.solvers.base import Iteration

PSEUDO_TRANSIENT = Iteration(
    "pseudo_transient",
    "Implicit Euler steps on z' = f(z) - z, with a dense Jacobian, that grow as the residual falls: slow and sure at "
    "first, Newton's method at the end (Kelley & Keyes 1998).",
    (
        Field(
            "step_size",
            Kind.NUMBER,
            "The first step in time. A large one begins close to Newton's method.",
            default=1.0,
            exclusive_minimum=0,
            examples=(1.0, 0.1),
        ),
    ),
    max_steps=100,
    title="pseudo-transient continuation with a dense Jacobian",
    remedy="a smaller step_size, or trust_region",
    note="A sample whose step is singular ends as stalled.",
    reads="jacobian",
    ends=True,
    counts=True,
    helpers=("_dense_solve", "_size"),
)
