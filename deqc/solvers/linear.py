"""Linear solvers of the implicit adjoint: each solves (I - J)^T u = g for each sample, without knowing the loss.

The tolerances and `max_steps` that all of them share are in `deqc.settings`.
"""

from dataclasses import dataclass, replace

from deqc.solvers.anderson import ANDERSON
from deqc.solvers.base import Description
from deqc.solvers.broyden import BROYDEN, LIMITED_MEMORY_BROYDEN
from deqc.solvers.picard import PICARD


@dataclass(frozen=True)
class Linear(Description):
    """A linear solver with a function of its own, `_<name>(product, b, goal, most) -> (x, residual norms, steps)`.

    It is in `templates/linear_solvers/<name>.py.jinja`.
    """

    products: int = 1  # with the Jacobian, a step
    symmetric: bool = False  # whether it takes symmetric Jacobians alone
    exact: bool = True  # whether it gets to any tolerance, given the steps


GMRES = Linear(
    "gmres",
    "Minimal residual over a growing Krylov space, without restart: one product with J^T a step, and `max_steps` is "
    "also the size of the space (Saad & Schultz 1986).",
    unrolled="max_steps",
)

BICGSTAB = Linear(
    "bicgstab",
    "Stabilised biconjugate gradients for each sample: two products with J^T a step, and memory for a handful of "
    "vectors, however many the steps are (van der Vorst 1992).",
    unrolled="max_steps",
    products=2,
)

CG = Linear(
    "cg",
    "Conjugate gradients for each sample: one product with J^T a step and three vectors, for a J that is symmetric "
    "with eigenvalues below 1, as of a gradient; it has to be said: `assume: symmetric` (Hestenes & Stiefel 1952).",
    unrolled="max_steps",
    symmetric=True,
)

NEUMANN = Linear(
    "neumann",
    "The first `max_steps` terms of u = g + J^T g + (J^T)^2 g + ...: approximate by choice, and better with more terms "
    "where f is a contraction (Lorraine, Vicol & Duvenaud 2020).",
    max_steps=5,
    unrolled="max_steps",
    exact=False,
)

LU = Description(
    "lu",
    "Builds I - J^T of each sample and factorises it: exact, for small states (Golub & Van Loan 2013, section 3.4).",
    max_steps=None,
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
