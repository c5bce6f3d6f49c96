"""The derivative-free spectral residual method."""

from dataclasses import replace

from deqc.solvers.anderson import HISTORY
from deqc.solvers.base import Iteration

DFSANE = Iteration(
    "dfsane",
    "Steps along the residual itself, forwards or backwards, whose length follows from the step before, with a line "
    "search that lets the residual rise at times: one evaluation of f a step, no derivatives and little memory, for "
    "large states (La Cruz, Martínez & Raydan 2006).",
    (
        replace(
            HISTORY,
            text="Of how many of the last residuals the largest is the one that a step has to lower.",
            default=10,
            maximum=100,
            examples=(10, 1),
        ),
    ),
    title="the derivative-free spectral residual method",
    remedy="limited_memory_broyden or newton",
    note="A step of the record is one try of the line search. A sample whose step moves nothing ends as stalled.",
    ends=True,
    refuses=True,
    helpers=("_dot",),
    constants={
        "DECREASE": 1e-4,  # of |f(z) - z|^2, times the square of the factor of a step
        "SHRINKAGE": (0.1, 0.5),  # least and largest factor from a refused step to the next one of its sign
        "LENGTHS": (1e-10, 1e10),  # between which the length of a step is trusted
    },
)
