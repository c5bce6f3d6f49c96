"""Newton's method."""

from deqc.solvers.base import Iteration

NEWTON = Iteration(
    "newton",
    "Solves (J - I) d = z - f(z) with the dense Jacobian J of each sample and steps to z + d: few steps for small "
    "states (Nocedal & Wright 2006, algorithm 11.1).",
    title="Newton's method with a dense Jacobian",
    remedy="another start z0, or anderson",
    note="A sample whose I - df/dz is singular ends as stalled.",
    reads="jacobian",
    ends=True,
    counts=True,
    helpers=("_dense_solve",),
)
