"""Nonlinear test problems F(x) = 0 with their standard starts, batched: F maps (B, D) to (B, D).

The first 23 are the collection of J. Burkardt's test_nonlin, as NonlinearProblemLibrary.jl (SciML) has it; its first 14
are the systems of MINPACK (Moré, Garbow & Hillstrom, "Testing unconstrained optimization software", ACM TOMS 7, 1981,
and algorithm 566). The others are those of that paper with as many equations as unknowns which the collection leaves
out, or has in another form.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from tests.solvers.residuals import (
    boggs,
    box,
    brown_almost_linear,
    broyden_banded,
    broyden_tridiagonal,
    chandrasekhar,
    chebyquad,
    dennis_schnabel,
    discrete_boundary_value,
    discrete_integral_equation,
    extended_powell_singular,
    extended_rosenbrock,
    freudenstein_roth,
    generalized_rosenbrock,
    helical_valley,
    linear_full_rank,
    matrix_square_root,
    powell_badly_scaled,
    powell_singular,
    sample_18,
    sample_19,
    scalar,
    trigonometric,
    variably_dimensioned,
    watson,
    watson_of_sciml,
    wood,
)

Residual = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Problem:
    """F, where to start, and a root where one is known."""

    name: str
    residual: Residual
    start: tuple[float, ...]
    root: tuple[float, ...] | None = None

    @property
    def size(self) -> int:
        """D."""
        return len(self.start)

    def from_start(self, factor: float = 1.0) -> Tensor:
        """The standard start times that factor, (D,); one that is zero becomes all `factor`, as MINPACK's tests do."""
        start = torch.tensor(self.start, dtype=torch.float64)
        return start * factor if factor == 1 or bool(start.any()) else torch.full_like(start, factor)

    def map(self, sign: int | Tensor = -1) -> Residual:
        """The map z + sign F(z), whose fixed points are the roots of F.

        With -1 the residual z - f(z), which quasi-Newton methods work on, is F itself, as in the collection; and
        z' = f(z) - z = -F(z) comes to rest where F is monotone, so that methods that follow it have a chance.
        """
        return lambda z: z + sign * self.residual(z)


def _ramp(n: int) -> list[float]:
    """The points i / (n + 1)."""
    return [i / (n + 1) for i in range(1, n + 1)]


def _both(*nodes: float) -> tuple[float, ...]:
    """The nodes, zero, and their mirror images."""
    return (*(-node for node in reversed(nodes)), 0.0, *nodes)


PROBLEMS = (
    Problem("generalized_rosenbrock", generalized_rosenbrock, (-1.2,) + (1.0,) * 9, (1.0,) * 10),
    Problem("powell_singular", powell_singular, (3.0, -1.0, 0.0, 1.0), (0.0,) * 4),
    Problem("powell_badly_scaled", powell_badly_scaled, (0.0, 1.0), (1.0981593296997896e-05, 9.106146739866755)),
    Problem("wood", wood, (-3.0, -1.0, -3.0, -1.0), (1.0,) * 4),
    Problem("helical_valley", helical_valley, (-1.0, 0.0, 0.0), (1.0, 0.0, 0.0)),
    Problem("watson_of_sciml", watson_of_sciml, (0.0, 0.0)),
    Problem("chebyquad", chebyquad, (0.0, 2 / 3), (-math.sqrt(1 / 3), math.sqrt(1 / 3))),
    Problem("brown_almost_linear", brown_almost_linear, (0.5,) * 10, (1.0,) * 10),
    Problem("discrete_boundary_value", discrete_boundary_value, tuple(t * (t - 1) for t in _ramp(10))),
    Problem("discrete_integral_equation", discrete_integral_equation, tuple(t * (t - 1) for t in _ramp(10))),
    Problem("trigonometric", trigonometric, (0.1,) * 10, (0.0,) * 10),
    Problem("variably_dimensioned", variably_dimensioned, tuple(1 - i / 10 for i in range(1, 11)), (1.0,) * 10),
    Problem("broyden_tridiagonal", broyden_tridiagonal, (-1.0,) * 10),
    Problem("broyden_banded", broyden_banded, (-1.0,) * 10),
    Problem("square_root_2x2", matrix_square_root, (1.0, 0.0, 0.0, 1.0), (0.01, 50.0, 0.0, 0.01)),
    Problem(
        "square_root_3x3",
        matrix_square_root,
        (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0),
        (0.01, 50.0, 0.0, 0.0, 0.01, 0.0, 0.0, 0.0, 0.01),
    ),
    Problem("dennis_schnabel", dennis_schnabel, (1.0, 5.0), (0.0, 3.0)),
    Problem("sample_18", sample_18, (2.0, 2.0), (0.0, 0.0)),
    Problem("sample_19", sample_19, (3.0, 3.0), (0.0, 0.0)),
    Problem("scalar", scalar, (1.0,), (5.0,)),
    Problem("freudenstein_roth", freudenstein_roth, (0.5, -2.0), (5.0, 4.0)),
    Problem("boggs", boggs, (1.0, 0.0), (0.0, 1.0)),
    Problem("chandrasekhar", chandrasekhar, (1.0,) * 10),
    Problem("watson", watson, (0.0,) * 6),
    Problem(
        "chebyquad_5", chebyquad, tuple(2 * t - 1 for t in _ramp(5)), _both(0.37454140955358106, 0.8324974870009819)
    ),
    Problem(
        "chebyquad_9",
        chebyquad,
        tuple(2 * t - 1 for t in _ramp(9)),
        _both(0.167906184214804, 0.52876178305788, 0.6010186553802381, 0.9115893077284345),
    ),
    Problem("extended_rosenbrock", extended_rosenbrock, (-1.2, 1.0) * 5, (1.0,) * 10),
    Problem("extended_powell_singular", extended_powell_singular, (3.0, -1.0, 0.0, 1.0) * 3, (0.0,) * 12),
    Problem("box", box, (0.0, 10.0, 20.0), (1.0, 10.0, 1.0)),
    Problem("linear_full_rank", linear_full_rank, (1.0,) * 10, (-1.0,) * 10),
)
COLLECTION = PROBLEMS[:23]
