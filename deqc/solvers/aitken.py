"""Aitken's delta-squared process for vectors."""

from dataclasses import replace

from deqc.solvers.base import Iteration
from deqc.solvers.picard import DAMPING

AITKEN = Iteration(
    "aitken",
    "z <- z + w (f(z) - z) with a factor w for each sample, which follows from its last two residuals: one evaluation "
    "of f a step, and no memory but one residual (Aitken 1926; for vectors Irons & Tuck 1969).",
    (
        replace(
            DAMPING,
            text="The factor of the first step, before two residuals are known.",
            examples=(1.0, 0.5),
        ),
    ),
    title="Aitken's method for vectors",
    remedy="a smaller damping, or anderson or newton",
    helpers=("_dot",),
    constants={"FACTORS": (1e-3, 1e3)},  # least and largest |w|: at 0 it would stay there
)
