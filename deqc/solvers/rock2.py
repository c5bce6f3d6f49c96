"""ROCK2, a stabilised explicit method, and its coefficients."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from deqc.fields import Field, Kind
from deqc.solvers.base import Brought
from deqc.solvers.flow import CONTROL, Controlled

# sigma and tau of the finishing step after a recurrence of degree 1, 2, … (Abdulle & Medovikov 2001, rock2.f).
FINISHES: Final = (
    (0.4102693550421609, 0.4495196112243335),
    (0.3889624104727243, 0.4219428123056774),
    (0.3804692420283886, 0.4084335547255627),
    (0.3760815680865637, 0.4009301129475925),
    (0.3735177579729938, 0.3963598727888637),
    (0.3719340231904236, 0.3934034185789226),
    (0.3708571145968057, 0.3913676516238603),
    (0.3700947006022557, 0.3899091428928617),
    (0.3695328931459086, 0.388827696299666),
    (0.3691085831661758, 0.3880048656683555),
    (0.368781324965233, 0.3873650613539532),
    (0.3685244707068931, 0.3868583585730354),
    (0.3683185599507446, 0.3864499054795832),
    (0.3681542178682514, 0.3861178821587815),
    (0.3680181997765286, 0.3858426294881124),
    (0.3679084456991284, 0.3856144554520791),
    (0.3678181571053212, 0.3854228843194507),
    (0.3678314333608541, 0.3853156085078759),
    (0.3677897070402892, 0.3851902798680153),
    (0.3681800192470787, 0.3853705093720269),
)


@functools.cache
def recurrence(degree: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """mu_1 … mu_m and kappa_2 … kappa_m of g_i = h mu_i r(g_(i-1)) + (1 + kappa_i) g_(i-1) - kappa_i g_(i-2).

    On r = lambda g they are the polynomials P_i in z = h lambda with P_i(0) = 1 that are orthogonal with the weight
    w(z)^2 / sqrt(1 - x^2) on x = a + z / d in [-1, 1], where w is the finish, 1 + 2 sigma z + sigma (sigma + tau) z^2.
    a and d follow from the order: w P_m agrees with the exponential up to z^2 (Abdulle & Medovikov 2001, section 3).
    """
    if degree == 1:
        return (1 - 2 * FINISHES[0][0],), ()
    stages = degree + 2
    near = ((0.3, 0.36), (0.16, 0.39), (0.15, 0.40))[(degree > 2) + (degree > 8)]
    a, d = 1 + near[0] / stages**2, near[1] * stages**2
    for _ in range(8):  # of Newton's method, with differences
        missed = _missed(degree, a, d)
        by_a, by_d = (
            [(up - down) / 2e-7 for up, down in zip(_missed(degree, *after), _missed(degree, *before), strict=True)]
            for after, before in (((a + 1e-7, d), (a - 1e-7, d)), ((a, d + 1e-7), (a, d - 1e-7)))
        )
        determinant = by_a[0] * by_d[1] - by_d[0] * by_a[1]
        a -= (by_d[1] * missed[0] - by_d[0] * missed[1]) / determinant
        d -= (by_a[0] * missed[1] - by_a[1] * missed[0]) / determinant
    return _orthogonal(degree, a, d)


def _missed(degree: int, a: float, d: float) -> tuple[float, float]:
    """By how much w P_m differs from the exponential in the terms of z and z^2."""
    sigma, tau = FINISHES[degree - 1]
    first, second = derivatives(*_orthogonal(degree, a, d))
    return (
        2 * sigma + first - 1,
        sigma * (sigma + tau) + 2 * sigma * first + second / 2 - 1 / 2,
    )


def derivatives(mu: tuple[float, ...], kappa: tuple[float, ...]) -> tuple[float, float]:
    """P_m'(0) and P_m''(0)."""
    old, now = (0.0, 0.0), (mu[0], 0.0)
    for m, k in zip(mu[1:], kappa, strict=True):
        old, now = now, (m + (1 + k) * now[0] - k * old[0], 2 * m * now[0] + (1 + k) * now[1] - k * old[1])
    return now


def _orthogonal(degree: int, a: float, d: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The recurrence by Stieltjes' procedure, on Chebyshev nodes that make its sums exact."""
    sigma, tau = FINISHES[degree - 1]
    count = degree + 6
    nodes = [math.cos((2 * j - 1) * math.pi / (2 * count)) for j in range(1, count + 1)]
    weights = [(1 + 2 * sigma * z + sigma * (sigma + tau) * z * z) ** 2 for z in (d * (x - a) for x in nodes)]
    old, now, before = [0.0] * count, [1.0] * count, 1.0
    mu, kappa, ratio = [], [], 0.0
    for k in range(degree):
        norm = sum(w * p * p for w, p in zip(weights, now, strict=True))
        alpha = sum(w * x * p * p for w, x, p in zip(weights, nodes, now, strict=True)) / norm
        beta = norm / before if k else 0.0
        previous, ratio = ratio, (a - alpha) - (beta / ratio if k else 0.0)
        mu.append(1 / (d * ratio))
        if k:
            kappa.append(beta / (ratio * previous))
        old, now = now, [(x - alpha) * p - beta * o for x, p, o in zip(nodes, now, old, strict=True)]
        before = norm
    return tuple(mu), tuple(kappa)


@dataclass(frozen=True)
class Stabilised(Controlled):
    """ROCK2, whose table has the degrees that `max_stages` allows."""

    def brought(self, options: Mapping[str, str]) -> Brought:
        """The coefficients of each degree: sigma, tau, mu_1 …, kappa_1 …, both filled up with zeros."""
        brought = super().brought(options)
        most = int(options["max_stages"]) - 2
        rows = [(*FINISHES[degree - 1], *_row(degree, most)) for degree in range(1, most + 1)]
        return replace(brought, constants={"COEFFICIENTS": tuple(rows), **brought.constants})


def _row(degree: int, most: int) -> tuple[float, ...]:
    """mu_1 … and kappa_1 … of the degree, both filled up with zeros, to digits that are the same on every machine."""
    mu, kappa = recurrence(degree)
    rest = (0.0,) * (most - degree)
    return tuple(round(value, 14) for value in (*mu, *rest, 0.0, *kappa, *rest))


ROCK2 = Stabilised(
    "rock2",
    "Steps of order 2 on z' = f(z) - z with 3 to `max_stages` evaluations of f, as many as the step needs to be stable "
    "along the negative axis, and one more: for df/dz with large negative or all real eigenvalues (Abdulle & Medovikov "
    "2001).",
    (
        *CONTROL,
        Field(
            "max_stages",
            Kind.INT,
            "The most stages of a step. With s of them the step times the spectral radius of df/dz - I may be "
            "0.81 s^2; rounding is amplified by about a quarter of the square of that.",
            default=10,
            minimum=3,
            maximum=len(FINISHES) + 2,
            examples=(10, 22),
        ),
    ),
    title="the stabilised method ROCK2 on z' = f(z) - z",
    remedy="a smaller step_rtol, or tsit5",
    note="A sample whose steps in time shrink to nothing ends as stalled.",
    unrolled="max_stages",
    shortens=True,
    template="rock2",
    tables=("COEFFICIENTS",),
    order=2,
    error_power=0.35,
    past_power=0.2,
    fraction=0.1,
)
