"""Solvers that learn from the steps, each against a few lines of NumPy that say its formula again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from tests.solvers.linear import linear
from tests.solvers.modules import module

Vector = NDArray[numpy.float64]
Rule = Callable[[Callable[[Vector], Vector], Vector, int], Vector]
FEW = 6
SIZE = 7


def contraction(z: Tensor) -> Tensor:
    """Nonlinear, of any batch, in which each entry reads its neighbours."""
    return 0.4 * torch.sin(z + 0.5 * z.roll(1, 1)) + 0.3 * torch.cos(2 * z.roll(2, 1)) + 0.2


def broyden(good: bool) -> Rule:
    def rule(g: Callable[[Vector], Vector], z: Vector, steps: int) -> Vector:
        b = numpy.eye(len(z)) / 1.5 if not good else 1.5 * numpy.eye(len(z))  # the inverse, or the matrix itself
        for _ in range(steps):
            s = numpy.linalg.solve(b, -g(z)) if good else -b @ g(z)
            y = g(z + s) - g(z)
            b = b + (numpy.outer(y - b @ s, s) / (s @ s) if good else numpy.outer(s - b @ y, y) / (y @ y))
            z = z + s
        return z

    return rule


def klement(g: Callable[[Vector], Vector], z: Vector, steps: int) -> Vector:
    j = numpy.full(len(z), 1.5)
    for _ in range(steps):
        s = -g(z) / j
        j = j + (g(z + s) - g(z) - j * s) * s / (s @ s)
        z = z + s
    return z


def aitken(g: Callable[[Vector], Vector], z: Vector, steps: int) -> Vector:
    w, last = 0.7, None
    for _ in range(steps):
        r = -g(z)
        if last is not None:
            w = -w * float(last @ (r - last)) / float((r - last) @ (r - last))
        z, last = z + w * r, r
    return z


@pytest.mark.parametrize(
    ("method", "settings", "rule"),
    [
        ("broyden", {"alpha": 1.5}, broyden(True)),
        ("broyden", {"alpha": 1.5, "update": "bad"}, broyden(False)),
        ("limited_memory_broyden", {"alpha": 1.5, "history": FEW}, broyden(True)),
        ("klement", {"alpha": 1.5}, klement),
        ("aitken", {"damping": 0.7}, aitken),
    ],
)
def test_the_formula(method: str, settings: dict[str, Any], rule: Rule) -> None:
    solve = module(method, atol=0.0, max_steps=FEW, on_failure="ignore", **settings).fixed_point
    z0 = torch.linspace(0.2, 0.8, 3 * SIZE, dtype=torch.float64).view(3, SIZE)  # near enough: no step is refused

    def g(z: Vector) -> Vector:
        image: Vector = contraction(torch.from_numpy(z).unsqueeze(0))[0].numpy()
        return z - image

    expected = numpy.stack([rule(g, start.numpy(), FEW) for start in z0])
    z, record = solve(contraction, z0)
    assert record.steps.tolist() == [FEW] * 3
    assert record.nfe.tolist() == [FEW + 1] * 3
    numpy.testing.assert_allclose(z.numpy(), expected, rtol=0, atol=1e-11)
    assert numpy.abs(expected - rule(g, z0[0].numpy(), FEW - 1)).max() > 1e-6  # the last step still matters


def test_limited_memory_begins_anew_when_it_is_full() -> None:
    """The step after the third uses three products; the one after that is of what was learnt since."""
    z0 = torch.linspace(0.2, 0.8, 2 * SIZE, dtype=torch.float64).view(2, SIZE)

    def after(method: str, steps: int, z0: Tensor = z0, **settings: int) -> Tensor:
        solve = module(method, atol=0.0, max_steps=steps, on_failure="ignore", **settings).fixed_point
        z: Tensor = solve(contraction, z0)[0]
        return z

    few = after("limited_memory_broyden", 4, history=3)
    torch.testing.assert_close(few, after("broyden", 4), rtol=0, atol=1e-12)
    three, five = after("broyden", 3), after("limited_memory_broyden", 5, history=3)
    s, y = few - three, (few - contraction(few)) - (three - contraction(three))
    r = contraction(few) - few
    u, along = s - y, (s * y).sum(1, keepdim=True)  # H is I again
    torch.testing.assert_close(five, few + r + u * (s * r).sum(1, keepdim=True) / along, rtol=0, atol=1e-12)


QUASI = [("broyden", {}), ("broyden", {"update": "bad"}), ("limited_memory_broyden", {})]


@pytest.mark.parametrize(("method", "settings"), QUASI)
def test_a_step_into_nothing_is_refused_and_shortened(method: str, settings: dict[str, Any]) -> None:
    """f is not finite above 1; the first plain step leads to 3."""

    def f(z: Tensor) -> Tensor:
        return torch.where(z > 1, torch.nan, 3 - 7 * z)

    z, record = module(method, atol=1e-9, max_steps=100, **settings).fixed_point(f, torch.zeros(2, 1).double())
    assert record.status.tolist() == [0, 0]
    torch.testing.assert_close(z, torch.full((2, 1), 3 / 8).double(), rtol=0, atol=1e-9)


@pytest.mark.parametrize(("method", "settings"), QUASI)
def test_ends_as_stalled_when_the_resets_are_used_up(method: str, settings: dict[str, Any]) -> None:
    """f is finite at the start alone: three steps are refused, what was learnt is forgotten, and again."""

    def f(z: Tensor) -> Tensor:
        return torch.where(z == 0, 1.0, torch.nan)

    start = torch.zeros(1, 2).double()
    solve = module(method, atol=1e-9, max_steps=100, on_failure="ignore", resets=2, **settings).fixed_point
    z, record = solve(f, start)
    assert (record.status.tolist(), record.steps.tolist()) == ([2], [9])
    assert torch.equal(z, start)


@pytest.mark.parametrize(("method", "settings"), [*QUASI, ("klement", {}), ("aitken", {})])
def test_a_constant_map_is_solved_at_once(method: str, settings: dict[str, Any]) -> None:
    """I - df/dz is the identity, with which all of them begin."""
    target = torch.tensor([[3.0, -2.0], [0.0, 1.0]], dtype=torch.float64)
    solve = module(method, atol=1e-12, **settings).fixed_point
    z, record = solve(lambda z: target.expand_as(z), torch.zeros(2, 2).double())
    assert torch.equal(z, target)
    assert record.steps.tolist() == [1, 1]


@pytest.mark.parametrize("method", ["broyden", "limited_memory_broyden", "aitken"])
def test_coupled_to_the_batch_a_sample_that_is_not_finite_does_not_matter(method: str) -> None:
    f = linear("contractive", batch=3)
    solve = module(method, coupling="batch", atol=1e-9, max_steps=200, on_failure="ignore").fixed_point
    z0 = torch.zeros_like(f.b)
    z0[1] = torch.inf
    z, record = solve(f, z0)
    assert record.status.tolist() == [0, 4, 0]
    assert float((f(z) - z)[[0, 2]].abs().max()) <= 1e-9


@pytest.mark.parametrize(("method", "settings"), [("broyden", {}), ("limited_memory_broyden", {"history": 20})])
def test_linear_maps_end_within_twice_their_size(method: str, settings: dict[str, Any]) -> None:
    """Broyden's method ends on a linear map of n entries after at most 2 n steps (Gay 1979), if none is refused."""
    f = linear("rotating", batch=20)
    _, record = module(method, atol=1e-8, max_steps=12, **settings).fixed_point(f, torch.zeros_like(f.b))
    assert record.status.tolist() == [0] * 20
