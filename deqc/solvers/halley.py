"""Halley's method."""

from deqc.solvers.base import Iteration

HALLEY = Iteration(
    "halley",
    "Newton's method corrected by the second derivative along its step, entry by entry: converges cubically, for small "
    "states (Halley 1694; in several dimensions Cuyt & Rall 1985).",
    title="Halley's method with a dense Jacobian",
    remedy="another start z0, or trust_region",
    note="A sample whose I - df/dz is singular ends as stalled.",
    reads="jacobian",
    ends=True,
    counts=True,
    helpers=("_dense_solve", "_jvp"),
)
