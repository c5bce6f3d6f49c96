"""Implicit methods for z' = f(z) - z: their steps by other means, their order, and what no stiffness bounds."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy
import pytest
import torch
from torch import Tensor

from tests.solvers.linear import Linear
from tests.solvers.modules import module
from tests.solvers.test_flows import START, pendulum, reference

IMPLICIT = {"implicit_euler": "_ImplicitEuler", "trbdf2": "_Trbdf2", "rosenbrock23": "_Rosenbrock"}
ORDERS = {"implicit_euler": 1, "trbdf2": 2, "rosenbrock23": 2}
Map = Callable[[Tensor], Tensor]


def products(f: Map) -> Callable[[Tensor], Map]:
    """z -> v -> (df/dz) v."""
    return lambda z: lambda v: torch.func.jvp(f, (z,), (v,))[1]


def pendulum_products(z: Tensor) -> Map:
    """The same of the pendulums, in closed form."""
    a, _, b, w = z.unbind(1)
    c, s = torch.cos(a - b) * torch.cos(w), -torch.sin(a - b) * torch.sin(w)

    def product(v: Tensor) -> Tensor:
        p, u, q, x = v.unbind(1)
        return v + torch.stack([u, -torch.cos(a) * p - 0.1 * u, x, -2 * torch.cos(b) * q + c * (p - q) + s * x], 1)

    return product


class Walk:
    """Steps in time that are told, and all taken; stages are solved to all digits, both samples together."""

    def __init__(self, method: str, f: Map, z: Tensor, jvp: Callable[[Tensor], Map]) -> None:
        def judged(_: Any, rest: Tensor, c: Tensor, left: Tensor, *_at: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            now = rest.abs().max().expand(len(rest))
            return now < 1e-11, now > 1e9, now

        def error(_: Any, e: Tensor, h: Tensor, *_at: Tensor) -> Tensor:
            self.errors = e
            return torch.full_like(h, 0.5)

        told = type("Told", (getattr(module(method), IMPLICIT[method]),), {"judged": judged, "error": error})
        self.solver = told(jvp, 0.0, 1.0, linear_rtol=1e-13, linear_steps=20)
        self.f, self.z, self.fz = f, z, f(z)
        self.memory = self.solver.init(f, z, self.fz)
        self.errors = z

    def step(self, h: float) -> Tensor:
        """One step in time, of as many steps of the solver as it takes."""
        on, taken = torch.ones(len(self.z), dtype=torch.bool), False
        self.memory = (torch.full_like(self.z[:, 0], h), *self.memory[1:])
        while not taken:
            new = self.solver.step(self.f, self.z, self.fz, on, *self.memory)
            self.memory, taken = new.memory, bool(new.taken.all())
        self.z, self.fz = new.z, new.fz
        return self.z


@pytest.mark.parametrize("method", IMPLICIT)
def test_order(method: str) -> None:
    """Halving steps of sizes that vary divides the error by 2^order."""
    exact, errors = reference(1.0), []
    for count in (20, 40):
        wave = 1 + 0.4 * numpy.sin(numpy.arange(count) * 6 * numpy.pi / count)
        walk = Walk(method, pendulum, START, pendulum_products)
        for h in wave / wave.sum():
            walk.step(float(h))
        errors.append(float((walk.z - exact).abs().max()))
    assert numpy.log2(errors[0] / errors[1]) == pytest.approx(ORDERS[method], abs=0.2)


@pytest.mark.parametrize("method", IMPLICIT)
def test_order_of_the_error(method: str) -> None:
    """Over h it is that of a step over h: the method's order."""
    sizes = []
    for h in (0.04, 0.02):
        walk = Walk(method, pendulum, START, pendulum_products)
        for _ in range(round(0.32 / h)):
            walk.step(h)
        sizes.append(float(walk.errors.norm()))
    assert numpy.log2(sizes[0] / sizes[1]) == pytest.approx(ORDERS[method], abs=0.2)


@pytest.mark.parametrize("method", ["trbdf2", "rosenbrock23"])
def test_the_error_is_that_of_the_embedded_method(method: str) -> None:
    """The new z without it is of order 3."""
    exact, errors = {h: reference(h) for h in (0.1, 0.05)}, []
    for h, end in exact.items():
        walk = Walk(method, pendulum, START, pendulum_products)
        z = walk.step(h)
        errors.append(min(float((z + sign * h * walk.errors - end).norm()) for sign in (1, -1)))
    assert numpy.log2(errors[0] / errors[1]) == pytest.approx(4, abs=0.3)


def factor(method: str, z: numpy.ndarray) -> numpy.ndarray:
    """By which a step h multiplies the solution of z' = lambda z, at h lambda."""
    root = numpy.sqrt(2)
    if method == "implicit_euler":
        found: numpy.ndarray = 1 / (1 - z)
    elif method == "trbdf2":  # Hosea & Shampine 1996
        g = 2 - root
        trapezoidal = (1 + g / 2 * z) / (1 - g / 2 * z)
        found = (trapezoidal / (g * (2 - g)) - (1 - g) ** 2 / (g * (2 - g))) / (1 - (1 - g) / (2 - g) * z)
    else:  # Shampine & Reichelt 1997
        d = 1 / (2 + root)
        found = (1 + (1 - 2 * d) * z) / (1 - d * z) ** 2
    return found


@pytest.mark.parametrize("method", IMPLICIT)
def test_steps_are_stable_on_the_whole_axis(method: str) -> None:
    """As the rational function that the method is on a linear equation, which vanishes at the end of the axis."""
    rates = -torch.logspace(-1, 6, 8, dtype=torch.float64)
    f = Linear(torch.diag_embed((1 + rates).unsqueeze(1)), torch.zeros(8, 1, dtype=torch.float64))
    walk = Walk(method, f.__call__, torch.ones_like(f.b), lambda _: lambda v: (1 + rates).unsqueeze(1) * v)
    z = walk.step(0.5)
    expected = torch.from_numpy(factor(method, 0.5 * rates.numpy()))
    torch.testing.assert_close(z.squeeze(1), expected, rtol=1e-9, atol=1e-10)
    assert float(expected[-1].abs()) < 1e-4


def stiff(dtype: torch.dtype = torch.float64) -> Linear:
    """z' with eigenvalues -1 and -10^4, in a basis of its own for each of three samples."""
    q = torch.linalg.qr(torch.randn(3, 2, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64))[0]
    a = q @ torch.diag(torch.tensor([0.0, 1 - 1e4], dtype=torch.float64)) @ q.mT
    return Linear(a.to(dtype), torch.ones(3, 2, dtype=dtype))


@pytest.mark.parametrize("method", IMPLICIT)
def test_few_steps_on_stiff_maps(method: str) -> None:
    f = stiff()
    record = module(method, atol=1e-6).fixed_point(f, torch.zeros_like(f.b))[1]
    assert record.status.tolist() == [0] * 3
    assert int(record.steps.max()) <= {"implicit_euler": 20, "trbdf2": 48, "rosenbrock23": 16}[method]


def test_many_steps_of_an_explicit_method() -> None:
    f = stiff()
    record = module("bs3", atol=1e-6, max_steps=1000, on_failure="ignore").fixed_point(f, torch.zeros_like(f.b))[1]
    assert record.status.tolist() == [1] * 3


@pytest.mark.parametrize("method", IMPLICIT)
def test_rounding_ends_no_step(method: str) -> None:
    """In float32 nothing can be solved to NEWTON_GOAL near the end."""
    f = stiff(torch.float32)
    record = module(method, atol=2e-3).fixed_point(f, torch.zeros_like(f.b))[1]
    assert record.status.tolist() == [0] * 3
    assert int(record.steps.max()) <= {"implicit_euler": 20, "trbdf2": 48, "rosenbrock23": 16}[method]


@pytest.mark.parametrize("method", IMPLICIT)
def test_a_linear_map_does_not_keep_steps_from_growing(method: str) -> None:
    """However slow it is: 1 - the eigenvalue is 10^-1 to 10^-5, and the steps grow with the logarithm."""
    slow = 10.0 ** -torch.arange(1, 6, dtype=torch.float64)
    f = Linear(torch.diag_embed((1 - slow).unsqueeze(1).expand(-1, 2)), slow.unsqueeze(1).expand(-1, 2).clone())
    record = module(method, atol=1e-10).fixed_point(f, torch.zeros_like(f.b))[1]
    assert record.status.tolist() == [0] * 5
    more = record.steps.diff()
    assert int(more.max()) <= {"implicit_euler": 6, "trbdf2": 12, "rosenbrock23": 4}[method]


@pytest.mark.parametrize("method", ["implicit_euler", "trbdf2"])
def test_a_stage_that_newton_does_not_solve_makes_the_step_shorter(method: str) -> None:
    """arctan of a large step overshoots further and further."""

    def f(z: Tensor) -> Tensor:
        return z - 20 * torch.arctan(z - 1)

    solver = getattr(module(method), IMPLICIT[method])(products(f), 0.1, 0.0, 1e-6, 20)
    z = torch.full((1, 1), 4.0, dtype=torch.float64)
    h, *memory = solver.init(f, z, f(z))
    h, state = torch.full_like(h, 8.0), (z, f(z))
    seen = []
    for _ in range(60):
        new = solver.step(f, *state, torch.tensor([True]), h, *memory)
        h, *memory = new.memory
        state = (new.z, new.fz) if new.taken else state
        seen.append(float(h))
    assert min(seen) < 8.0
    assert {8.0, 4.0} <= set(seen)  # halved
    end, record = module(method, atol=1e-9).fixed_point(f, z)
    assert record.status.tolist() == [0]
    assert float(end) == pytest.approx(1)


def test_linear_systems_are_those_of_the_step() -> None:
    """d - c (J - I) d = b, for each sample's c, also a huge one."""
    f = stiff()
    solver: Any = module("rosenbrock23")._Rosenbrock(products(f.__call__), 0.1, 0.0, 1e-12, 20)
    c = torch.tensor([[1e-3], [2.0], [1e12]], dtype=torch.float64)
    on = torch.tensor([True, True, True])
    d, count = solver.solve(lambda v: (f.a @ v.unsqueeze(2)).squeeze(2), c, f.b, on)
    expected = torch.linalg.solve(torch.eye(2) - c.unsqueeze(2) * (f.a - torch.eye(2)), f.b)
    torch.testing.assert_close(d, expected, rtol=1e-7, atol=0)
    assert count.tolist() == [2] * 3
    others, idle = solver.solve(
        lambda v: (f.a @ v.unsqueeze(2)).squeeze(2), c, f.b, on & torch.tensor([True, False, True])
    )
    assert idle.tolist() == [2, 0, 2]
    assert torch.equal(others[0], d[0])


def test_the_deadband() -> None:
    """A step is as long as the last one where it would be up to 1.2 times shorter."""
    it = module("trbdf2")
    solver = it._Trbdf2(products(pendulum), 0.1, 0.0, 1e-3, 20)
    h, past, most = torch.full((4,), 0.3), torch.full((4,), 0.5), torch.full((4,), 10.0)
    error = torch.tensor([0.6, 0.8, 0.999, 1.001])
    later, _, _ = solver.after(h, past, most, error)
    shrink = error**0.35 / 0.9 / 0.5**0.2
    kept = [0.3 if 1 <= s <= 1.2 and e <= 1 else 0.3 / s for s, e in zip(shrink.tolist(), error.tolist(), strict=True)]
    kept[3] = 0.3 * 0.9 / 1.001**0.35
    assert later.tolist() == pytest.approx(kept)
    assert kept[:2] == [0.3, 0.3] or math.isclose(kept[0], 0.3 / float(shrink[0]))


def test_no_stage_begins_with_what_the_error_of_the_step_before_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a stage ends because Newton's steps get slow, as by rounding, the next one is not slow from the start."""
    monkeypatch.setattr(module("trbdf2"), "NEWTON_GOAL", 0.0)
    solver = module("trbdf2")._Trbdf2(products(pendulum), 0.1, 0.0, 1e-3, 20)
    z, on = START, torch.ones(len(START), dtype=torch.bool)
    state, memory, ends = (z, pendulum(z)), solver.init(pendulum, z, pendulum(z)), 0
    for _ in range(20):
        before = memory[6]
        new = solver.step(pendulum, *state, on, *memory)
        memory, taken = new.memory, new.taken.unsqueeze(1)
        state = torch.where(taken, new.z, state[0]), torch.where(taken, new.fz, state[1])
        done = (before == 2) & (memory[6] == 0)
        assert bool((memory[3][done] == math.inf).all())
        ends += int(done.sum())
    assert ends > 0
