"""ROCK2: its coefficients by what they are for, and its choice of stages."""

from __future__ import annotations

import numpy
import pytest
import torch

from deqc.solvers.rock2 import FINISHES, derivatives, recurrence
from tests.solvers.linear import Linear
from tests.solvers.modules import module

DEGREES = range(1, len(FINISHES) + 1)


def factor(degree: int, z: numpy.ndarray) -> numpy.ndarray:
    """Of one step on z' = lambda z, at h lambda."""
    mu, kappa = recurrence(degree)
    old, now = numpy.ones_like(z), 1 + mu[0] * z
    for m, k in zip(mu[1:], kappa, strict=True):
        old, now = now, (m * z + 1 + k) * now - k * old
    sigma, tau = FINISHES[degree - 1]
    found: numpy.ndarray = (1 + 2 * sigma * z + sigma * (sigma + tau) * z * z) * now
    return found


@pytest.mark.parametrize("degree", DEGREES)
def test_steps_are_of_order_two(degree: int) -> None:
    sigma, tau = FINISHES[degree - 1]
    first, second = derivatives(*recurrence(degree))
    assert 2 * sigma + first == pytest.approx(1, abs=1e-14)
    assert sigma * (sigma + tau) + 2 * sigma * first + second / 2 == pytest.approx(0.5, abs=1e-14)
    z = numpy.array([1e-2, 5e-3])
    defect = abs(factor(degree, z) - numpy.exp(z))
    assert numpy.log2(defect[0] / defect[1]) == pytest.approx(3, abs=0.1)


@pytest.mark.parametrize("degree", DEGREES)
def test_steps_are_stable_and_damped_on_a_long_interval(degree: int) -> None:
    """As long as the choice of stages takes it to be, and all but as long as can be: |R| swings between ±0.95."""
    stages = degree + 2
    bound = 0.811 * stages**2 - 1.5
    inside = abs(factor(degree, numpy.linspace(-0.995 * bound, -1, 20000)))
    assert inside.max() < 0.965
    assert abs(factor(degree, numpy.array([-1.1 * bound])))[0] > 1
    assert numpy.sum(numpy.diff(numpy.sign(numpy.diff(inside))) < 0) >= degree - 1


@pytest.mark.parametrize("max_stages", [3, 7, 22])
def test_a_module_holds_the_degrees_that_it_may_use(max_stages: int) -> None:
    it = module("rock2", max_stages=max_stages)
    assert len(it.COEFFICIENTS) == max_stages - 2
    for degree, (*finish, row) in enumerate(((*row[:2], row[2:]) for row in it.COEFFICIENTS), 1):
        (mu, kappa), rest = recurrence(degree), [0.0] * (max_stages - 2 - degree)
        assert tuple(finish) == FINISHES[degree - 1]
        assert row == pytest.approx((*mu, *rest, 0.0, *kappa, *rest), abs=1e-14)


def stiff(*least: float) -> Linear:
    """Diagonal maps with eigenvalues from there to 0.5; solutions are 1."""
    a = torch.stack([torch.linspace(one, 0.5, 6, dtype=torch.float64).diag() for one in least])
    return Linear(a, 1 - a.sum(2))


def test_the_spectral_radius() -> None:
    f = stiff(-0.5, -30.0, -300.0)
    it = module("rock2")
    solver = it._Rock2(step_rtol=0.1, step_atol=0.0, max_stages=10, coefficients=f.b.new_tensor(it.COEFFICIENTS))
    z = torch.zeros_like(f.b)
    *_, v, radius = solver.init(f, z, f(z))
    for _ in range(20):
        v, radius = solver.power(f, z, f(z), v, radius)
    assert radius.tolist() == pytest.approx([1.5, 31, 301], rel=1e-2)


def test_each_sample_has_its_own_stages() -> None:
    """As many as its step needs for its eigenvalues; evaluations grow with the root of them."""
    f = stiff(-0.5, -30.0, -300.0)
    record = module("rock2", atol=1e-9, max_stages=22).fixed_point(f, torch.zeros_like(f.b))[1]
    assert record.status.tolist() == [0] * 3
    first, second, third = record.nfe.tolist()
    assert first < second < third < 5 * first
    few = module("tsit5", atol=1e-9, max_steps=5000).fixed_point(f, torch.zeros_like(f.b))[1]
    assert few.status.tolist() == [0] * 3
    assert third < int(few.nfe[2]) / 5


def test_a_start_at_the_origin_with_no_rate_in_some_entries() -> None:
    """The differences of the power iteration have an absolute size, so that zeros are no trouble."""
    f = Linear(torch.zeros(1, 3, 3, dtype=torch.float64), torch.tensor([[0.0, 0.0, 1.0]], dtype=torch.float64))
    z, record = module("rock2", atol=1e-9).fixed_point(f, torch.zeros_like(f.b))
    assert record.status.tolist() == [0]
    torch.testing.assert_close(z, f.b, rtol=0, atol=1e-9)
