"""The test problems are what they are said to be."""

from __future__ import annotations

import math

import numpy
import pytest
import torch
from torch import Tensor

from tests.solvers.problems import COLLECTION, PROBLEMS, Problem

BY_NAME = {problem.name: problem for problem in PROBLEMS}
each = pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.name)


def near_start(problem: Problem) -> Tensor:
    """Three points with no zeros among their entries, where a slip in one term shows."""
    generator = torch.Generator().manual_seed(1)
    return problem.from_start() + 0.1 + 0.3 * torch.rand(3, problem.size, generator=generator, dtype=torch.float64)


def jacobian(problem: Problem, x: Tensor) -> Tensor:
    """dF/dx at one point with torch."""
    rows: Tensor = torch.func.jacrev(lambda v: problem.residual(v.unsqueeze(0)).squeeze(0))(x)
    return rows


def root(problem: Problem) -> Tensor:
    """A root by Newton's method of NumPy, from the standard start."""
    x = problem.from_start()
    for _ in range(100):
        step = numpy.linalg.solve(jacobian(problem, x).numpy(), problem.residual(x.unsqueeze(0)).squeeze(0).numpy())
        x = x - torch.from_numpy(step)
    assert float(problem.residual(x.unsqueeze(0)).abs().max()) < 1e-12
    return x


def test_the_collection_has_23_problems_and_the_names_are_distinct() -> None:
    assert len(COLLECTION) == 23
    assert len(BY_NAME) == len(PROBLEMS)


@pytest.mark.parametrize("problem", [p for p in PROBLEMS if p.root], ids=lambda problem: problem.name)
def test_known_roots(problem: Problem) -> None:
    residual = problem.residual(torch.tensor([problem.root], dtype=torch.float64))
    assert float(residual.abs().max()) < 1e-12


@each
def test_jacobians(problem: Problem) -> None:
    """Torch's derivative is that of central differences."""
    for x in near_start(problem):
        h = 1e-6 * torch.eye(problem.size, dtype=torch.float64)
        differences = (problem.residual(x + h) - problem.residual(x - h)).t() / 2e-6
        scale = float(differences.abs().max())
        torch.testing.assert_close(jacobian(problem, x), differences, rtol=1e-6, atol=1e-7 * max(scale, 1))


@each
def test_samples_are_by_themselves(problem: Problem) -> None:
    x = near_start(problem)
    alone = torch.cat([problem.residual(one.unsqueeze(0)) for one in x])
    torch.testing.assert_close(problem.residual(x), alone, rtol=1e-13, atol=1e-13)


@each
def test_starts(problem: Problem) -> None:
    assert bool(problem.residual(problem.from_start().unsqueeze(0)).isfinite().all())
    far = problem.from_start(10)
    assert torch.equal(far, 10 * problem.from_start()) or far.tolist() == [10] * problem.size


@pytest.mark.parametrize("sign", [1, -1])
def test_fixed_points_are_roots(sign: int) -> None:
    problem = BY_NAME["boggs"]
    x = near_start(problem)
    torch.testing.assert_close(problem.map(sign)(x) - x, sign * problem.residual(x))


def test_values_by_hand() -> None:
    """F at the standard start, worked out on paper."""
    expected = {
        "generalized_rosenbrock": [2.2, -4.4] + [0] * 8,
        "powell_singular": [-7, -math.sqrt(5), 1, 4 * math.sqrt(10)],
        "powell_badly_scaled": [-1, 1 + math.exp(-1) - 1.0001],
        "wood": [-6004, -2080, -5404, -1880],
        "helical_valley": [-50, 0, 0],
        "watson_of_sciml": [-29 * sum(1 / i for i in range(1, 30)), -59],
        "watson": [0, -30] + [-sum((i / 29) ** (k - 1) * k for i in range(1, 30)) for k in range(2, 6)],
        "chebyquad": [1 / 3, -5 / 9 + 1 / 3],
        "brown_almost_linear": [-5.5] * 9 + [0.5**10 - 1],
        "variably_dimensioned": [-0.1 * i - i * 38.5 * (1 + 2 * 38.5**2) for i in range(1, 11)],
        "broyden_tridiagonal": [-2] + [-1] * 8 + [-3],
        "broyden_banded": [-6] * 10,
        "square_root_2x2": [1 - 1e-4, -1, 0, 1 - 1e-4],
        "dennis_schnabel": [3, 17],
        "sample_18": [2 * (1 - math.exp(-4)), 1 - math.exp(-4)],
        "sample_19": [54, 54],
        "scalar": [16],
        "freudenstein_roth": [0.5 + 8 + 20 + 4 - 13, 0.5 - 8 + 4 + 28 - 29],
        "boggs": [2, 0],
        "linear_full_rank": [-2] * 10,
        "extended_rosenbrock": [-4.4, 2.2] * 5,
    }
    for name, values in expected.items():
        residual = BY_NAME[name].residual(BY_NAME[name].from_start().unsqueeze(0))
        wanted = torch.tensor([values], dtype=torch.float64)
        assert (name, float((residual - wanted).abs().max() / wanted.abs().max())) <= (name, 1e-12)


def test_the_boundary_value_problems_approximate_their_solution() -> None:
    """u'' = (u + t + 1)³ / 2 is solved by u = 2 / (2 - t) - t - 1; both discretisations are of second order."""
    t = torch.arange(1, 11, dtype=torch.float64) / 11
    exact = 2 / (2 - t) - t - 1
    for name in ("discrete_boundary_value", "discrete_integral_equation"):
        assert float((root(BY_NAME[name]) - exact).abs().max()) < 1e-3


def test_the_mean_of_the_chandrasekhar_function() -> None:
    """Summing the equations gives m = 1 + 0.9 m² / 4 for the mean, since the kernel and its transpose add to 1."""
    m = 2 / 0.9 * (1 - math.sqrt(1 - 0.9))
    assert float(root(BY_NAME["chandrasekhar"]).mean()) == pytest.approx(m, abs=1e-12)


def test_the_root_of_watson() -> None:
    """The minimum that Moré, Garbow & Hillstrom give for six unknowns, to their digits."""
    digits = [-0.015725, 1.012435, -0.232992, 1.260430, -1.513729, 0.992996]
    assert root(BY_NAME["watson"]).tolist() == pytest.approx(digits, abs=1e-6)


def test_the_root_of_watson_in_the_collection() -> None:
    """It is a regular one."""
    assert abs(float(torch.linalg.det(jacobian(BY_NAME["watson_of_sciml"], root(BY_NAME["watson_of_sciml"]))))) > 1


@pytest.mark.parametrize(
    ("name", "chain"), [("broyden_tridiagonal", -1 / math.sqrt(2)), ("broyden_banded", (1 - math.sqrt(5)) / 2)]
)
def test_the_roots_of_broydens_functions(name: str, chain: float) -> None:
    """Away from the ends the entries are near those of the infinite chain, whose entries are all the same."""
    assert float(root(BY_NAME[name])[5]) == pytest.approx(chain, abs=0.01)


@pytest.mark.parametrize("size", [5, 9])
def test_the_roots_of_chebyquad(size: int) -> None:
    """The nodes of Chebyshev's quadrature with equal weights are exact for polynomials of that degree."""
    x = torch.tensor(BY_NAME[f"chebyquad_{size}"].root, dtype=torch.float64)
    for power in range(2, size, 2):
        assert float((x**power).mean()) == pytest.approx(1 / (power + 1), abs=1e-12)
