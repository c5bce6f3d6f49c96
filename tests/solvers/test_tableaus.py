"""Runge–Kutta methods: the coefficients by their order conditions, and by what they do to a differential equation."""

from __future__ import annotations

import cmath
import math
from typing import Any

import numpy
import pytest

from deqc.solvers.runge_kutta import BS3, DOPRI5, EULER, HEUN, RK4, TSIT5

METHODS: tuple[Any, ...] = (EULER, HEUN, RK4, BS3, TSIT5, DOPRI5)
EMBEDDED: tuple[Any, ...] = (BS3, TSIT5, DOPRI5)
ORDERS = {"euler": 1, "heun": 2, "rk4": 4, "bs3": 3, "tsit5": 5, "dopri5": 5}


def tableau(method: Any) -> tuple[numpy.ndarray, numpy.ndarray]:
    """A, and the weights of the new z, with the rate there as a stage of weight 0."""
    stages = method.constants["STAGES"]
    a = numpy.zeros((len(stages) + 1, len(stages) + 1))
    for i, row in enumerate(stages):
        assert len(row) == i + 1
        a[i + 1, : i + 1] = row
    return a, numpy.array([*stages[-1], 0.0])


def defects(a: numpy.ndarray, b: numpy.ndarray) -> list[list[float]]:
    """By how much the conditions of order 1 to 5 are missed, one for each rooted tree (Butcher 2016, table 314)."""
    c = a.sum(1)
    d = a @ c
    return [
        [b.sum() - 1],
        [b @ c - 1 / 2],
        [b @ c**2 - 1 / 3, b @ d - 1 / 6],
        [b @ c**3 - 1 / 4, b @ (c * d) - 1 / 8, b @ (a @ c**2) - 1 / 12, b @ (a @ d) - 1 / 24],
        [
            b @ c**4 - 1 / 5,
            b @ (c**2 * d) - 1 / 10,
            b @ (c * (a @ c**2)) - 1 / 15,
            b @ (c * (a @ d)) - 1 / 30,
            b @ d**2 - 1 / 20,
            b @ (a @ c**3) - 1 / 20,
            b @ (a @ (c * d)) - 1 / 40,
            b @ (a @ (a @ c**2)) - 1 / 60,
            b @ (a @ (a @ d)) - 1 / 120,
        ],
    ]


def order(a: numpy.ndarray, b: numpy.ndarray) -> int:
    """The last order up to which all conditions hold."""
    missed = [max(map(abs, one)) > 1e-12 for one in defects(a, b)]
    return missed.index(True) if True in missed else len(missed)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_order_conditions(method: Any) -> None:
    assert order(*tableau(method)) == ORDERS[method.name]


@pytest.mark.parametrize("method", EMBEDDED, ids=lambda method: method.name)
def test_the_embedded_method_is_of_one_order_less(method: Any) -> None:
    a, b = tableau(method)
    assert order(a, b - method.constants["ERROR"]) == ORDERS[method.name] - 1
    assert order(a, b + method.constants["ERROR"]) == ORDERS[method.name] - 1
    assert method.order == ORDERS[method.name]


def on_a_ray(method: Any, angle: float, length: float) -> tuple[complex, complex]:
    """The factor of a step on z' = lambda z, and the error over the rate, at h lambda of that angle and length."""
    z = cmath.rect(length, angle)
    a, b = tableau(method)
    rates = numpy.linalg.solve(numpy.eye(len(b)) - z * a, numpy.ones(len(b)))
    return 1 + z * (b @ rates), numpy.array(method.constants["ERROR"]) @ rates


def edge(method: Any, angle: float) -> float:
    """Where steps begin to grow on that ray."""
    return next(x for x in numpy.arange(0.01, 8, 0.01) if abs(on_a_ray(method, angle, x)[0]) > 1)


@pytest.mark.parametrize("method", EMBEDDED, ids=lambda method: method.name)
def test_relaxed_steps_stay_in_the_region_of_stability(method: Any) -> None:
    """At its edge the error over the rate is above the fraction that is tolerated, for all eigenvalues of z' that
    decay faster than they turn by a tenth: z comes to rest by itself there."""
    for degrees in (95, 110, 130, 150, 170, 180):
        angle = math.radians(degrees)
        assert abs(on_a_ray(method, angle, edge(method, angle))[1]) >= method.fraction, degrees


@pytest.mark.parametrize(
    ("method", "bound"), [(BS3, 2.513), (TSIT5, 3.507), (DOPRI5, 3.307)], ids=("bs3", "tsit5", "dopri5")
)
def test_the_stable_interval_is_the_known_one(method: Any, bound: float) -> None:
    assert edge(method, math.pi) == pytest.approx(bound, abs=0.01)
