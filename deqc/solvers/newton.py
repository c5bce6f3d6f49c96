"""Newton's method."""

from deqc.fields import Field, Kind
from deqc.solvers.base import Brought, Iteration

LINE_SEARCH = Field(
    "line_search",
    Kind.CHOICE,
    "Whether a step is shortened until it lowers |f(z) - z| enough (backtracking): further evaluations of f where the "
    "start is far from the solution.",
    default="none",
    choices=("none", "backtracking"),
)

NEWTON = Iteration(
    "newton",
    "Solves (J - I) d = z - f(z) with the dense Jacobian J of each sample and steps to z + d: few steps for small "
    "states (Nocedal & Wright 2006, algorithm 11.1).",
    (LINE_SEARCH,),
    title="Newton's method with a dense Jacobian",
    remedy="another start z0, or anderson",
    note="A sample whose I - df/dz is singular ends as stalled.",
    reads="jacobian",
    ends=True,
    counts=True,
    helpers=("_dense_solve",),
    chosen={"line_search": {"backtracking": Brought(helpers=("_backtracked", "_dot"))}},
)
