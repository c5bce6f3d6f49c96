"""Newton's method with a Krylov solver of its linear systems."""

from deqc.fields import Field, Kind
from deqc.solvers.adjoint import ASSUME
from deqc.solvers.base import Brought, Iteration
from deqc.solvers.newton import LINE_SEARCH

FORCING = Field(
    "forcing",
    Kind.CHOICE,
    "How exact each linear solve is: always to the rtol of `linear_solver` (fixed), or as exact as the last step has "
    "earned, and never more than that (eisenstat_walker, 1996): fewer products with df/dz, and more steps far from the "
    "solution.",
    default="fixed",
    choices=("fixed", "eisenstat_walker"),
)

NEWTON_KRYLOV = Iteration(
    "newton_krylov",
    "Newton's method that builds no Jacobian: `linear_solver` solves its linear systems with products (df/dz) v, for "
    "states of any size, also where f is no contraction (Dembo, Eisenstat & Steihaug 1982; Knoll & Keyes 2004).",
    (FORCING, ASSUME, LINE_SEARCH),
    title="Newton's method",
    remedy="more steps of the linear solver, another start z0, or anderson",
    note="A sample that a step does not move ends as stalled: its I - df/dz is singular.",
    reads="jvp",
    ends=True,
    counts=True,
    linear=True,
    chosen={
        "forcing": {
            "eisenstat_walker": Brought(
                {"FIRST_FORCING": 0.5, "MOST_FORCING": 0.9, "FORCING_FACTOR": 0.9, "FORCING_GUARD": 0.1}
            )
        },
        "line_search": {"backtracking": Brought(helpers=("_backtracked", "_dot"))},
    },
)
