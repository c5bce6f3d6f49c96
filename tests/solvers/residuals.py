"""The left sides F of the test problems F(x) = 0 of `problems.py`, each sample by itself."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def _columns(*entries: Tensor) -> Tensor:
    return torch.stack(entries, 1)


def _numbers(x: Tensor) -> Tensor:
    """1, …, D in the dtype of x."""
    return torch.arange(1, x.shape[1] + 1, dtype=x.dtype, device=x.device)


def generalized_rosenbrock(x: Tensor) -> Tensor:
    """1 - x_1 and 10 (x_i - x_{i-1}²)."""
    return torch.cat([1 - x[:, :1], 10 * (x[:, 1:] - x[:, :-1] ** 2)], 1)


def extended_rosenbrock(x: Tensor) -> Tensor:
    """Pairs 10 (x_2i - x_{2i-1}²) and 1 - x_{2i-1}."""
    odd, even = x[:, ::2], x[:, 1::2]
    return torch.stack([10 * (even - odd**2), 1 - odd], 2).flatten(1)


def powell_singular(x: Tensor) -> Tensor:
    """Its Jacobian is singular at the root."""
    a, b, c, d = x.unbind(1)
    return _columns(a + 10 * b, math.sqrt(5) * (c - d), (b - 2 * c) ** 2, math.sqrt(10) * (a - d) ** 2)


def extended_powell_singular(x: Tensor) -> Tensor:
    """Powell's singular function on each four of the entries."""
    return powell_singular(x.reshape(-1, 4)).reshape(x.shape)


def powell_badly_scaled(x: Tensor) -> Tensor:
    """10⁴ x_1 x_2 = 1 and e^-x_1 + e^-x_2 = 1.0001."""
    a, b = x.unbind(1)
    return _columns(1e4 * a * b - 1, torch.exp(-a) + torch.exp(-b) - 1.0001)


def wood(x: Tensor) -> Tensor:
    """The gradient of Wood's function, its first and third entry halved, as in MINPACK."""
    a, b, c, d = x.unbind(1)
    p, q = b - a * a, d - c * c
    return _columns(
        -200 * a * p - (1 - a),
        200 * p + 20.2 * (b - 1) + 19.8 * (d - 1),
        -180 * c * q - (1 - c),
        180 * q + 20.2 * (d - 1) + 19.8 * (b - 1),
    )


def helical_valley(x: Tensor) -> Tensor:
    """The angle of (x_1, x_2) is taken in (-π/2, 3π/2]."""
    a, b, c = x.unbind(1)
    angle = torch.atan2(b, a)
    turns = torch.where((a < 0) & (angle < 0), angle + 2 * math.pi, angle) / (2 * math.pi)
    return _columns(10 * (c - 10 * turns), 10 * (torch.hypot(a, b) - 1), c)


def _watson(x: Tensor, shift: int) -> Tensor:
    """Watson's residuals times their derivatives, summed over t; `shift` is added to each power's factor."""
    t = torch.arange(1, 30, dtype=x.dtype, device=x.device).div(29).unsqueeze(1)
    i = _numbers(x) - 1
    factor = (i + shift) * t ** (i - 1)  # d/dt of t^i where shift is 0
    slope = x[:, 1:] @ factor[:, 1:].t()
    value = x @ (t**i).t()
    r = slope - value**2 - 1
    return r @ factor - 2 * (r * value) @ (t**i)


def watson(x: Tensor) -> Tensor:
    """Half the gradient of Watson's function (problem 20 of Moré, Garbow & Hillstrom)."""
    a, b = x[:, 0], x[:, 1]
    last = b - a**2 - 1
    return _watson(x, 0) + torch.cat([_columns(a * (1 - 2 * last), last), torch.zeros_like(x[:, 2:])], 1)


def watson_of_sciml(x: Tensor) -> Tensor:
    """What the collection has under the name of Watson: its factors and last terms are other ones."""
    a, b = x[:, 0], x[:, 1]
    last = _columns(3 * a - 2 * a**2 + 2 * a**3, b - b**2 - 1)
    return _watson(x, 1) + torch.cat([last, torch.zeros_like(x[:, 2:])], 1)


def chebyquad(x: Tensor) -> Tensor:
    """Means of the Chebyshev polynomials T_1, …, T_D at the x_j in [-1, 1], minus those over the interval."""
    before, at = torch.ones_like(x), x
    rows = []
    for i in range(1, x.shape[1] + 1):
        rows.append(at.mean(1) + (1 / (i * i - 1) if i % 2 == 0 else 0))
        before, at = at, 2 * x * at - before
    return _columns(*rows)


def brown_almost_linear(x: Tensor) -> Tensor:
    """x_i + sum x - (D + 1), and the product of all is 1."""
    rows = x[:, :-1] + x.sum(1, keepdim=True) - (x.shape[1] + 1)
    return torch.cat([rows, x.prod(1, keepdim=True) - 1], 1)


def discrete_boundary_value(x: Tensor) -> Tensor:
    """Second differences of u'' = (u + t + 1)³ / 2, u(0) = u(1) = 0."""
    h = 1 / (x.shape[1] + 1)
    padded = torch.nn.functional.pad(x, (1, 1))
    return 2 * x - padded[:, :-2] - padded[:, 2:] + h * h / 2 * (x + h * _numbers(x) + 1) ** 3


def discrete_integral_equation(x: Tensor) -> Tensor:
    """The same boundary value problem through its Green's function, as MINPACK has it.

    The collection counts the diagonal of the sum twice, which is another equation.
    """
    h = 1 / (x.shape[1] + 1)
    t = h * _numbers(x)
    green = torch.minimum(t.unsqueeze(1) * (1 - t), t * (1 - t.unsqueeze(1)))
    return x + h / 2 * (x + t + 1) ** 3 @ green


def trigonometric(x: Tensor) -> Tensor:
    """D - sum cos x_j + i (1 - cos x_i) - sin x_i."""
    return x.shape[1] - x.cos().sum(1, keepdim=True) + _numbers(x) * (1 - x.cos()) - x.sin()


def variably_dimensioned(x: Tensor) -> Tensor:
    """x_i - 1 + i s (1 + 2 s²), s = sum j (x_j - 1)."""
    s = (_numbers(x) * (x - 1)).sum(1, keepdim=True)
    return x - 1 + _numbers(x) * s * (1 + 2 * s**2)


def broyden_tridiagonal(x: Tensor) -> Tensor:
    """(3 - 2 x_i) x_i - x_{i-1} - 2 x_{i+1} + 1."""
    padded = torch.nn.functional.pad(x, (1, 1))
    return (3 - 2 * x) * x - padded[:, :-2] - 2 * padded[:, 2:] + 1


def broyden_banded(x: Tensor) -> Tensor:
    """x_i (2 + 5 x_i²) + 1 - the sum of x_j (1 + x_j) over the five j before i and the one after it."""
    i = _numbers(x)
    apart = i - i.unsqueeze(1)  # of row j and column i: i - j
    near = ((apart <= 5) & (apart >= -1) & (apart != 0)).to(x.dtype)
    return x * (2 + 5 * x**2) + 1 - (x * (1 + x)) @ near


def matrix_square_root(x: Tensor) -> Tensor:
    """X² - A of a square matrix X, A = 10⁻⁴ I and a 1 right of its first entry (Hammarling)."""
    n = math.isqrt(x.shape[1])
    square = x.view(-1, n, n)
    a = 1e-4 * torch.eye(n, dtype=x.dtype, device=x.device)
    a[0, 1] = 1
    return (square @ square - a).flatten(1)


def dennis_schnabel(x: Tensor) -> Tensor:
    """x_1 + x_2 = 3 and x_1² + x_2² = 9."""
    a, b = x.unbind(1)
    return _columns(a + b - 3, a**2 + b**2 - 9)


def _bump(t: Tensor) -> Tensor:
    """(1 - exp(-t²)) / t, and 0 with slope 1 at 0."""
    zero = t == 0
    return torch.where(zero, t, -torch.expm1(-(t**2)) / torch.where(zero, 1.0, t))


def sample_18(x: Tensor) -> Tensor:
    """x_2² (1 - exp(-x_1²)) / x_1 and x_1 (1 - exp(-x_2²)) / x_2: zero on both axes."""
    a, b = x.unbind(1)
    return _columns(b**2 * _bump(a), a * _bump(b))


def sample_19(x: Tensor) -> Tensor:
    """x |x|²: its Jacobian at the root is zero."""
    return x * (x**2).sum(1, keepdim=True)


def scalar(x: Tensor) -> Tensor:
    """x (x - 5)²: a simple root at 0 and a double one at 5."""
    return x * (x - 5) ** 2


def freudenstein_roth(x: Tensor) -> Tensor:
    """Two cubics."""
    a, b = x.unbind(1)
    return _columns(a - b**3 + 5 * b**2 - 2 * b - 13, a + b**3 + b**2 - 14 * b - 29)


def boggs(x: Tensor) -> Tensor:
    """x_1² - x_2 + 1 and x_1 - cos(π x_2 / 2)."""
    a, b = x.unbind(1)
    return _columns(a**2 - b + 1, a - torch.cos(math.pi / 2 * b))


def chandrasekhar(x: Tensor) -> Tensor:
    """H_i - 1 / (1 - 0.9 / 2D sum_j μ_i H_j / (μ_i + μ_j)), μ_i = i / D."""
    n = x.shape[1]
    mu = _numbers(x) / n
    kernel = mu.unsqueeze(1) / (mu.unsqueeze(1) + mu)
    return x - 1 / (1 - 0.9 / (2 * n) * x @ kernel.t())


def box(x: Tensor) -> Tensor:
    """e^-tx_1 - e^-tx_2 - x_3 (e^-t - e^-10t) at t = 0.1, 0.2, 0.3 (problem 12, with three equations)."""
    a, b, c = (column.unsqueeze(1) for column in x.unbind(1))
    t = torch.tensor([0.1, 0.2, 0.3], dtype=x.dtype, device=x.device)
    return torch.exp(-t * a) - torch.exp(-t * b) - c * (torch.exp(-t) - torch.exp(-10 * t))


def linear_full_rank(x: Tensor) -> Tensor:
    """x_i - 2 / D sum x - 1 (problem 32, square)."""
    return x - 2 * x.mean(1, keepdim=True) - 1
