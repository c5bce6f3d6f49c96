"""The spectral residual method against the algorithm of its paper, written once more with its inner loop."""

from __future__ import annotations

import math
from typing import Any

import numpy
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from tests.solvers.linear import linear
from tests.solvers.modules import module

Vector = NDArray[numpy.float64]


def reference(f: Any, z: Vector, tries: int, history: int) -> tuple[Vector, int, int]:
    """DF-SANE of La Cruz, Martínez & Raydan (2006), section 2, on F(z) = z - f(z), stopped after that many tries.

    Also the tries that were made and how many of them went backwards.
    """

    def residual(z: Vector) -> Vector:
        image: Vector = f(torch.from_numpy(z).unsqueeze(0))[0].numpy()
        return z - image

    big = residual(z)
    sigma, squares, made, backwards = 1.0, [float(big @ big)], 0, 0
    for k in range(tries):
        d, eta, top = -sigma * big, squares[0] / (1 + k) ** 2, max(squares[-history:])
        plus = minus = 1.0
        while True:
            for sign in (1, -1):
                if made == tries:
                    return z, made, backwards
                made, backwards = made + 1, backwards + (sign < 0)
                alpha = plus if sign > 0 else minus
                new = residual(z + sign * alpha * d)
                square, old = float(new @ new), float(big @ big)
                if square <= top + eta - 1e-4 * alpha**2 * old:
                    break
                alpha *= min(max(alpha * old / (square + (2 * alpha - 1) * old), 0.1), 0.5)
                plus, minus = (alpha, minus) if sign > 0 else (plus, alpha)
            else:
                continue
            break
        s, y = sign * alpha * d, new - big
        sigma = float(s @ s) / float(s @ y) if s @ y != 0 else math.inf
        if not 1e-10 <= abs(sigma) <= 1e10:
            sigma = min(max(1 / math.sqrt(square), 1.0), 1e5)
        z, big = z + s, new
        squares.append(square)
    return z, made, backwards


def wild(z: Tensor) -> Tensor:
    """Expands, and turns, so that the search has work."""
    return 3 * torch.sin(2 * z.roll(1, 1)) - 2 * z + 1


@pytest.mark.parametrize("history", [1, 4, 10])
@pytest.mark.parametrize("tries", [1, 2, 7, 25])
def test_every_try_is_that_of_the_paper(tries: int, history: int) -> None:
    z0 = torch.linspace(-2, 2, 20, dtype=torch.float64).view(4, 5)
    solve = module("dfsane", atol=0.0, max_steps=tries, history=history, on_failure="ignore").fixed_point
    z, record = solve(wild, z0)
    found = [reference(wild, start.numpy(), tries, history) for start in z0]
    assert record.nfe.tolist() == [tries + 1] * 4
    assert [made for _, made, _ in found] == [tries] * 4
    numpy.testing.assert_allclose(z.numpy(), numpy.stack([one for one, _, _ in found]), rtol=1e-9, atol=1e-9)
    if tries == 25:
        assert all(backwards for *_, backwards in found)  # both ways are tried here


def test_goes_backwards_where_f_expands() -> None:
    """f(z) = 3 z - 4: the residual falls against its own direction."""
    z, record = module("dfsane", atol=1e-9).fixed_point(lambda z: 3 * z - 4, torch.zeros(2, 1).double())
    assert record.status.tolist() == [0, 0]
    torch.testing.assert_close(z, torch.full((2, 1), 2.0).double(), rtol=0, atol=1e-9)


def test_a_try_into_nothing_is_refused() -> None:
    def f(z: Tensor) -> Tensor:
        return torch.where(z.abs() > 1, torch.nan, 3 - 7 * z)

    z, record = module("dfsane", atol=1e-9, max_steps=100).fixed_point(f, torch.zeros(2, 1).double())
    assert record.status.tolist() == [0, 0]
    torch.testing.assert_close(z, torch.full((2, 1), 3 / 8).double(), rtol=0, atol=1e-9)


def test_ends_as_stalled_where_no_step_is_short_enough() -> None:
    """f is finite at the start alone."""
    start = torch.ones(1, 2).double()
    solve = module("dfsane", atol=1e-9, max_steps=60, on_failure="ignore").fixed_point
    z, record = solve(lambda z: torch.where(z == 1, 2.0, torch.nan), start)
    assert record.status.tolist() == [2]
    assert torch.equal(z, start)


def test_coupled_to_the_batch_all_samples_take_the_same_tries() -> None:
    f = linear("expansive", batch=3)
    solve = module("dfsane", coupling="batch", atol=1e-9, max_steps=2000, on_failure="ignore").fixed_point
    z0 = torch.zeros_like(f.b)
    z0[1] = torch.inf
    _, record = solve(f, z0)
    assert record.status.tolist() == [0, 4, 0]
    assert record.steps[0] == record.steps[2]
