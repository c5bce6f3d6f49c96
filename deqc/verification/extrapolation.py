"""Solutions of z' = rate(z) to rounding, by a method that no generated module has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod

import torch
from torch import Tensor

from deqc.verification.krylov import Map

_ROWS = 8  # of the extrapolation: orders 4 to 16
_EASY = 5  # rows with which the next step may be longer
_ENOUGH = 1e-12  # error of a step, in units of the larger of 1 and max |z|
_SHORTEST = 1e-10  # of the time in all: a sample that needs shorter steps is given up
_ATTEMPTS = 3000


@dataclass(frozen=True)
class Steps:
    """The steps that lead to a time, the same for all samples: the length of each, and the rows that it takes."""

    taken: tuple[tuple[float, int], ...]

    @property
    def halved(self) -> Steps:
        """Two steps for each."""
        return Steps(tuple((h / 2, rows) for h, rows in self.taken for _ in range(2)))

    def follow(self, rate: Map, z: Tensor) -> list[Tensor]:
        """The state before each of them and behind the last."""
        states = [z]
        with torch.no_grad():
            for h, rows in self.taken:
                states.append(_step(rate, states[-1], h, rows))
        return states

    def pull(
        self, rate: Map, states: Sequence[Tensor], u: Tensor, wanted: Sequence[Tensor]
    ) -> tuple[Tensor, list[Tensor]]:
        """The derivatives by the first state and by what else the rate reads, u being that by the last.

        `states` are those of `follow`; a step is taken again for its derivative, so that one is kept at a time.
        """
        totals = [torch.zeros_like(tensor) for tensor in wanted]
        for (h, rows), before in zip(reversed(self.taken), reversed(states[:-1]), strict=True):
            z = before.detach().requires_grad_()
            u, *pulled = torch.autograd.grad(
                _step(rate, z, h, rows), (z, *wanted), u, allow_unused=True, materialize_grads=True
            )
            totals = [total + one for total, one in zip(totals, pulled, strict=True)]
        return u, totals


def steps(rate: Map, z: Tensor, times: Sequence[float]) -> tuple[tuple[Steps, ...], Tensor]:
    """The steps from each of the times to the next, and which samples they follow to the end, (B,).

    A step is as long as its error allows: Gragg's midpoint rule in ever more parts, extrapolated to infinitely many
    (Bulirsch & Stoer 1966), until another row of that changes nothing.
    """
    with torch.no_grad():
        alive = z.isfinite().all(1)
        z = torch.where(alive.unsqueeze(1), z, 0.0)
        found = list[Steps]()
        h, attempts = times[-1] - times[0], 0
        shortest = _SHORTEST * h
        for start, stop in pairwise(times):
            taken, left = list[tuple[float, int]](), stop - start
            while left > 0:
                attempts += 1
                length = left if h >= 0.99 * left else h
                new, rows, good = _attempt(_held(rate, alive), z, length)
                if bool((good | ~alive).all()):
                    z, left = new, 0.0 if length == left else left - length
                    taken.append((length, rows))
                    h = h * (2 if rows <= _EASY else 1)
                elif attempts < _ATTEMPTS and length > shortest:
                    h = length / 4
                else:
                    alive = alive & good & (attempts < _ATTEMPTS)
            found.append(Steps(tuple(taken)))
        return tuple(found), alive


def _held(rate: Map, alive: Tensor) -> Map:
    """The rate, zero for samples that are given up."""
    return lambda z: torch.where(alive.unsqueeze(1), rate(z), 0.0)


def _attempt(rate: Map, z: Tensor, h: float) -> tuple[Tensor, int, Tensor]:
    """Where a step leads, with how many rows, and for which samples its error is small enough, (B,)."""
    tolerated = _ENOUGH * z.abs().amax(1).clamp_min(1)
    ends, new, good = list[Tensor](), z, torch.zeros_like(tolerated, dtype=torch.bool)
    for rows in range(1, _ROWS + 1):
        ends.append(_midpoint(rate, z, h, 2 * rows))
        new = _extrapolated(ends, 1)
        if rows > 1:
            good = (new - _extrapolated(ends[1:], 2)).abs().amax(1) <= tolerated
        if bool(good.all()):
            break
    return new, rows, good


def _step(rate: Map, z: Tensor, h: float, rows: int) -> Tensor:
    return _extrapolated([_midpoint(rate, z, h, 2 * row) for row in range(1, rows + 1)], 1)


def _midpoint(rate: Map, z: Tensor, h: float, parts: int) -> Tensor:
    """A step in so many parts, an even number, by the midpoint rule: its error is a series in h^2 (Gragg 1965)."""
    part = h / parts
    before, z = z, z + part * rate(z)
    for _ in range(parts - 1):
        before, z = z, before + 2 * part * rate(z)
    return z


def _extrapolated(ends: Sequence[Tensor], first: int) -> Tensor:
    """The value at 0 of the polynomial in 1 / row^2 through the ends, the rows from `first` on."""
    rows = range(first, first + len(ends))
    weights = [prod(n * n / (n * n - m * m) for m in rows if m != n) for n in rows]
    return torch.stack([weight * end for weight, end in zip(weights, ends, strict=True)]).sum(0)
