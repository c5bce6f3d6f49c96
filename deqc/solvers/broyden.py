"""Broyden's methods: the inverse of I - df/dz, dense or as a sum of few products, learnt from the steps."""

from dataclasses import replace

from deqc.fields import Field, Kind
from deqc.solvers.anderson import HISTORY
from deqc.solvers.base import Iteration

ALPHA = Field(
    "alpha",
    Kind.NUMBER,
    "The first approximation of I - df/dz: this number times the identity. 1 begins with a plain step to f(z), a "
    "larger value with a shorter one.",
    default=1.0,
    exclusive_minimum=0,
    examples=(1.0, 4.0),
)

RESETS = Field(
    "resets",
    Kind.INT,
    "How often a sample may forget what it has learnt, because three steps in a row led to residuals twice as large "
    "or not finite. After that it ends as stalled.",
    default=10,
    minimum=0,
    examples=(10, 3),
)

UPDATE = Field(
    "update",
    Kind.CHOICE,
    "What a step changes least: the approximation of I - df/dz (good), or its inverse (bad).",
    default="good",
    choices=("good", "bad"),
)

STEPS = {
    "GROWTH": 2.0,  # a step is refused where it makes the residual larger by more than this
    "PATIENCE": 3,  # steps refused one after the other, after which what was learnt is forgotten
    "SHORTER": 0.25,  # times the refused step, the longest next one
    "LONGER": 2.0,  # times the longest step, after one was taken
    "REGULAR": 0.1,  # how near to 0 a step may bring the determinant, times what it was
}

BROYDEN = Iteration(
    "broyden",
    "Steps to z + H (f(z) - z), with a dense matrix H for each sample that stands for (I - df/dz)^-1 and learns from "
    "every step: one evaluation of f a step and no derivatives, for small states (Broyden 1965; kept regular as in "
    "Moré & Trangenstein 1976).",
    (ALPHA, RESETS, UPDATE),
    title="Broyden's method with a dense inverse",
    remedy="a larger alpha, or newton",
    note="A sample that has used up its RESETS, or whose step moves nothing, ends as stalled.",
    ends=True,
    refuses=True,
    helpers=("_dot", "_times", "_judged", "_share"),
    constants=STEPS,
)

LIMITED_MEMORY_BROYDEN = Iteration(
    "limited_memory_broyden",
    "Broyden's method with H as a sum of at most `history` products, begun anew when they are used up: one evaluation "
    "of f a step, for large states (Ziani & Guyomarc'h 2008; Kelley 1995, chapter 7).",
    (
        replace(
            HISTORY,
            text="How many steps are kept, two vectors each. After that many, all are forgotten.",
            default=10,
            maximum=256,
            examples=(10, 27),
        ),
        ALPHA,
        RESETS,
    ),
    title="Broyden's method with limited memory",
    remedy="a larger alpha or history, or anderson",
    note="A sample that has used up its RESETS, or whose step moves nothing, ends as stalled.",
    ends=True,
    refuses=True,
    helpers=("_dot", "_dots", "_judged", "_share"),
    constants=STEPS,
)
