"""The numerical methods as data: one file describes one method, and one row of a table here offers it."""

from deqc.solvers.adams import VCAB3, VCABM3
from deqc.solvers.adjoint import (
    BACKSOLVE,
    DISCRETE,
    GAUSS,
    IMPLICIT,
    JFB,
    NONE,
    PHANTOM,
    REVERSIBLE_ADJOINT,
    SHINE,
    UNROLL,
)
from deqc.solvers.aitken import AITKEN
from deqc.solvers.anderson import ANDERSON
from deqc.solvers.auto import AUTO, AUTO_LINEAR
from deqc.solvers.base import Description, Iteration, Linear
from deqc.solvers.broyden import BROYDEN, LIMITED_MEMORY_BROYDEN
from deqc.solvers.cascade import CASCADE
from deqc.solvers.dfsane import DFSANE
from deqc.solvers.halley import HALLEY
from deqc.solvers.implicit import IMPLICIT_EULER, ROSENBROCK23, TRBDF2
from deqc.solvers.jacobian import FROBENIUS, SPECTRAL_RADIUS, TRACE
from deqc.solvers.klement import KLEMENT
from deqc.solvers.levenberg_marquardt import LEVENBERG_MARQUARDT
from deqc.solvers.linear import (
    BICGSTAB,
    CG,
    GMRES,
    INNER,
    LINEAR_ANDERSON,
    LINEAR_BROYDEN,
    LINEAR_LIMITED_MEMORY_BROYDEN,
    LINEAR_PICARD,
    LU,
    NEUMANN,
)
from deqc.solvers.newton import NEWTON
from deqc.solvers.newton_krylov import NEWTON_KRYLOV
from deqc.solvers.odeint_adjoint import ODEINT_ADJOINT
from deqc.solvers.picard import PICARD
from deqc.solvers.pseudo_transient import PSEUDO_TRANSIENT
from deqc.solvers.reversible import REVERSIBLE
from deqc.solvers.rock2 import ROCK2
from deqc.solvers.runge_kutta import BS3, DOPRI5, EULER, HEUN, RK4, TSIT5
from deqc.solvers.torchdiffeq import INTEGRATORS
from deqc.solvers.trust_region import TRUST_REGION

__all__ = ["ADJOINTS", "INNER_SOLVERS", "LINEAR_SOLVERS", "QUANTITIES", "SOLVERS", "Description", "Iteration", "Linear"]


def _table(*methods: Description) -> dict[str, Description]:
    return {method.name: method for method in methods}


SOLVERS = _table(
    AUTO,
    PICARD,
    ANDERSON,
    AITKEN,
    REVERSIBLE,
    BROYDEN,
    LIMITED_MEMORY_BROYDEN,
    KLEMENT,
    DFSANE,
    NEWTON,
    NEWTON_KRYLOV,
    TRUST_REGION,
    LEVENBERG_MARQUARDT,
    PSEUDO_TRANSIENT,
    HALLEY,
    CASCADE,
    EULER,
    HEUN,
    RK4,
    BS3,
    TSIT5,
    DOPRI5,
    VCAB3,
    VCABM3,
    ROCK2,
    IMPLICIT_EULER,
    TRBDF2,
    ROSENBROCK23,
    *INTEGRATORS,
)
ADJOINTS = _table(
    IMPLICIT, JFB, PHANTOM, SHINE, UNROLL, REVERSIBLE_ADJOINT, DISCRETE, GAUSS, BACKSOLVE, ODEINT_ADJOINT, NONE
)
LINEAR_SOLVERS = _table(
    AUTO_LINEAR,
    GMRES,
    BICGSTAB,
    CG,
    NEUMANN,
    LU,
    LINEAR_PICARD,
    LINEAR_ANDERSON,
    LINEAR_BROYDEN,
    LINEAR_LIMITED_MEMORY_BROYDEN,
)
INNER_SOLVERS = {one.name: one for one in INNER}
QUANTITIES = _table(FROBENIUS, TRACE, SPECTRAL_RADIUS)
