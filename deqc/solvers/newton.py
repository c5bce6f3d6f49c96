"""Newton's method."""

from deqc.solvers.base import Description

NEWTON = Description(
    "newton",
    "Solves (J - I) d = z - f(z) with the dense Jacobian J of each sample and steps to z + d: few steps for small "
    "states (Nocedal & Wright 2006, algorithm 11.1).",
)
