"""SciPy's solvers as judges: of roots, and of where z' = f(z) - z comes to rest."""

from __future__ import annotations

import numpy
import pytest
import scipy.integrate
import scipy.optimize
import torch
from torch import Tensor

from tests.solvers.linear import linear
from tests.solvers.problems import PROBLEMS, Problem
from tests.solvers.rows import FLOWS, ROWS, Row
from tests.solvers.solved import SOLVED, STARTS, written

# One regular root, whatever the start.
SINGLE = {
    "discrete_boundary_value",
    "discrete_integral_equation",
    "helical_valley",
    "linear_full_rank",
    "variably_dimensioned",
}
AT_REST = [row for row in ROWS if set(FLOWS.split()) <= set(row.linear.split())]
each = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)


def of_scipy(problem: Problem) -> Tensor:
    """Powell's hybrid method of MINPACK, from the standard start."""

    def residual(x: numpy.ndarray) -> numpy.ndarray:
        return problem.residual(torch.from_numpy(x).unsqueeze(0)).squeeze(0).numpy()

    found = scipy.optimize.root(residual, problem.from_start().numpy(), method="hybr", tol=1e-13)
    assert numpy.abs(found.fun).max() < 1e-10
    return torch.from_numpy(found.x)


@each
def test_roots(row: Row) -> None:
    """Each root that the solver finds of a problem with one only is that of SciPy."""
    marks = dict(zip((problem.name for problem in PROBLEMS), written(STARTS[0])[row.name], strict=True))
    for problem in PROBLEMS:
        if problem.name in SINGLE and marks[problem.name] == SOLVED:
            z, _ = row.module().fixed_point(problem.map(), problem.from_start().unsqueeze(0))
            torch.testing.assert_close(z.squeeze(0), of_scipy(problem), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("row", AT_REST, ids=lambda row: row.name)
def test_rest(row: Row) -> None:
    """Where z' = f(z) - z comes to rest, f(z) = A tanh(z) + b with A stiff, after SciPy's implicit integrator."""
    system = linear("stiff", batch=3)

    def f(z: Tensor) -> Tensor:
        return system(torch.tanh(z))

    z, record = row.module().fixed_point(f, torch.zeros_like(system.b))
    assert record.status.tolist() == [0, 0, 0]

    def slope(_t: float, flat: numpy.ndarray) -> numpy.ndarray:
        at = torch.from_numpy(flat).view_as(z)
        return (f(at) - at).flatten().numpy()

    flow = scipy.integrate.solve_ivp(slope, (0, 200), numpy.zeros(z.numel()), method="BDF", rtol=1e-9, atol=1e-11)
    rest = torch.from_numpy(flow.y[:, -1]).view_as(z)
    assert float((f(rest) - rest).abs().max()) < 1e-7
    torch.testing.assert_close(z, rest, rtol=0, atol=1e-6)
