"""Newton's method with a Krylov solver of its linear systems."""

from deqc.fields import Field, Kind
from deqc.solvers.base import Brought, Iteration
from deqc.solvers.newton import LINE_SEARCH

LINEAR_RTOL = Field(
    "linear_rtol",
    Kind.NUMBER,
    "A linear solve ends where its residual is at most this times that of the step it solves for.",
    default=1e-3,
    minimum=0,
    exclusive_maximum=1,
    examples=(1e-3, 1e-6),
)

LINEAR_STEPS = Field(
    "linear_steps",
    Kind.INT,
    "The most steps of a linear solve, each one product with df/dz.",
    default=20,
    minimum=1,
    examples=(20, 60),
)

MEMORY = Field(
    "memory",
    Kind.INT,
    "The most vectors that a Krylov space keeps, for each sample; after as many steps it is begun anew.",
    default=20,
    minimum=1,
    maximum=128,
    examples=(20, 10),
)

FORCING = Field(
    "forcing",
    Kind.CHOICE,
    "How exact each linear solve is: always to linear_rtol (fixed), or as exact as the last step has earned, and never "
    "more than linear_rtol (eisenstat_walker, 1996): fewer products with df/dz, and more steps far from the solution.",
    default="fixed",
    choices=("fixed", "eisenstat_walker"),
)

NEWTON_KRYLOV = Iteration(
    "newton_krylov",
    "Newton's method that builds no Jacobian: its linear systems are solved by GMRES with products (df/dz) v, for "
    "states of any size, also where f is no contraction (Dembo, Eisenstat & Steihaug 1982; Knoll & Keyes 2004).",
    (FORCING, LINEAR_RTOL, LINEAR_STEPS, MEMORY, LINE_SEARCH),
    title="Newton's method with GMRES",
    remedy="more linear_steps, another start z0, or anderson",
    note="A sample that a step does not move ends as stalled: its I - df/dz is singular.",
    reads="jvp",
    ends=True,
    counts=True,
    unrolled="linear_steps",
    helpers=("_gmres", "_restarted_gmres"),
    chosen={
        "forcing": {
            "eisenstat_walker": Brought(
                {"FIRST_FORCING": 0.5, "MOST_FORCING": 0.9, "FORCING_FACTOR": 0.9, "FORCING_GUARD": 0.1}
            )
        },
        "line_search": {"backtracking": Brought(helpers=("_backtracked", "_dot"))},
    },
)
