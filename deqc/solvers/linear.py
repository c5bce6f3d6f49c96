"""Linear solvers: of the implicit adjoint, (I - J)^T u = g, and of the steps of Newton's method and its like.

Each solves for each sample by itself. The tolerances and `max_steps` that all of them share are in `deqc.settings`.
"""

from dataclasses import replace

from deqc.fields import Field, Kind
from deqc.solvers.anderson import ANDERSON
from deqc.solvers.base import Linear
from deqc.solvers.broyden import BROYDEN, LIMITED_MEMORY_BROYDEN
from deqc.solvers.picard import PICARD

MEMORY = Field(
    "memory",
    Kind.INT,
    "The most vectors that a Krylov space keeps, for each sample; after as many steps it is begun anew from what is "
    "left, which takes a product more. By default as many as there are steps.",
    default=None,
    minimum=1,
    examples=(20, 10),
)

PROBES = 4  # products with sign vectors, from which the diagonal of J is estimated

PRECONDITIONER = Field(
    "preconditioner",
    Kind.CHOICE,
    "What the unknowns are multiplied by, so that fewer steps are needed: nothing, or the inverse of the diagonal of "
    f"I - J as {PROBES} products with sign vectors show it, taken for each linear system (Bekas, Kokiopoulou & Saad "
    "2007): for a J whose diagonal is large, and has entries of different sizes. The residual that is tested stays "
    "that of the system.",
    default="none",
    choices=("none", "diagonal"),
)

LEARNT = replace(
    PRECONDITIONER,
    text=f"{PRECONDITIONER.text} Or, where the solver is `broyden` or `limited_memory_broyden`, what it has learnt of "
    "the inverse of I - J in the solve, which takes no products.",
    choices=("none", "diagonal", "broyden"),
)
SHARING = ("limited_memory_broyden", "broyden")  # the solvers that learn it

GMRES = Linear(
    "gmres",
    "Minimal residual over a growing Krylov space: one product with J or J^T a step, and a vector of memory, up to "
    "`memory` of them (Saad & Schultz 1986).",
    (MEMORY, LEARNT),
    unrolled="max_steps / memory",
    title="GMRES",
)

BICGSTAB = Linear(
    "bicgstab",
    "Stabilised biconjugate gradients for each sample: two products with J or J^T a step, and memory for a handful of "
    "vectors, however many the steps are (van der Vorst 1992).",
    (LEARNT,),
    title="BiCGSTAB",
    products=2,
)

CG = Linear(
    "cg",
    "Conjugate gradients for each sample: one product with J a step and three vectors, for a J that is symmetric with "
    "eigenvalues below 1, as of a gradient: f has the form W^T g(W z), or `assume: symmetric` says that J is (Hestenes "
    "& Stiefel 1952).",
    (PRECONDITIONER,),
    title="conjugate gradients",
    symmetric=True,
)

NEUMANN = Linear(
    "neumann",
    "The first `max_steps` terms of u = g + J g + J^2 g + ..., or of that with J^T: approximate by choice, and better "
    "with more terms where f is a contraction (Lorraine, Vicol & Duvenaud 2020).",
    (PRECONDITIONER,),
    max_steps=5,
    title="a Neumann series",
    exact=False,
)

FACTORS = Field(
    "factors",
    Kind.CHOICE,
    "Of which matrix: of I - J at the solution; or of the one that the last step of each sample has factorised, where "
    "the solver is `newton` or `halley`. These are kept for the backward pass, D^2 numbers a sample, and what they "
    "give is refined, a product each time, to `rtol` (Golub & Van Loan 2013, section 3.5.3); a sample for which that "
    "does not do is solved by the factors at the solution.",
    default="solution",
    choices=("solution", "last_step"),
)
FACTORISING = ("newton", "halley")  # the solvers whose last step leaves factors of I - J
REFINES = 0.1  # the most of the residual that a refinement may leave, else there is none after it

LU = Linear(
    "lu",
    "Builds I - J of each sample and factorises it: exact, for small states (Golub & Van Loan 2013, section 3.4).",
    (FACTORS,),
    max_steps=None,
    title="LU factors",
    dense=True,
)

# Those of the steps of a solver, which need no exact solution: they end early.
INNER = (
    replace(GMRES, fields=(MEMORY, PRECONDITIONER), max_steps=20),
    replace(BICGSTAB, fields=(PRECONDITIONER,), max_steps=20),
    replace(CG, max_steps=20),
    NEUMANN,
    replace(LU, fields=()),
)

LINEAR_PICARD = replace(
    PICARD,
    summary="u <- u + damping (J^T u + g - u), the Neumann series: one product with J^T a step. Converges where the "
    "forward iteration does, and as slowly.",
)

LINEAR_ANDERSON = replace(
    ANDERSON,
    summary="Anderson acceleration of u = J^T u + g, for each sample: one product with J^T a step (Walker & Ni 2011; "
    "on a linear system as fast as GMRES while the history is not full).",
)

LINEAR_BROYDEN = replace(
    BROYDEN,
    summary="Broyden's method on u = J^T u + g, with a dense matrix for each sample: one product with J^T a step, at "
    "most twice as many as the state has numbers where none is refused (Gay 1979).",
)

LINEAR_LIMITED_MEMORY_BROYDEN = replace(
    LIMITED_MEMORY_BROYDEN,
    summary="Broyden's method on u = J^T u + g, with a matrix that is a sum of at most `history` products: one product "
    "with J^T a step (Kelley 1995, chapter 7).",
)
