"""The way of a neural ODE and its gradients, from the reference interpreter's f alone."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from deqc.verification import extrapolation
from deqc.verification.extrapolation import Steps
from deqc.verification.found import Spectrum
from deqc.verification.gradients import Loss, gradients
from deqc.verification.linearized import Linearized
from deqc.verification.subject import Subject
from deqc.verification.truth import Truth


class Followed(Truth):
    """The states of z' = f(z) - z at the times that are saved and at the end.

    Steps that extrapolation finds exact enough are halved: by as much as that changes the states, they may be off.
    """

    approached = True
    rounding = 1e-9

    def __init__(self, subject: Subject) -> None:
        time = subject.compilation.plan.solver.time
        assert time is not None
        times = [float(time.start), *map(float, time.stops)]
        self._saved = [times.index(float(one)) for one in (*time.saveat, time.stop)]
        with torch.no_grad():
            start = subject.start()
        self._subject = subject
        found, alive = extrapolation.steps(self._rate, start, times)
        self._legs = tuple(one.halved for one in found)
        once, self._states = (self._followed(start, legs) for legs in (found, self._legs))
        off = torch.stack([(a[-1] - b[-1]).abs().amax(1) for a, b in zip(once, self._states, strict=True)]).amax(0)
        solution = self._at([start, *(one[-1] for one in self._states)])
        left = torch.where(alive, off / solution.abs().amax(1).clamp_min(1), torch.inf).nan_to_num(torch.inf)
        super().__init__(subject, solution, left)

    def _rate(self, z: Tensor) -> Tensor:
        return self._subject.meaning(z) - z

    def _followed(self, z: Tensor, legs: tuple[Steps, ...]) -> list[list[Tensor]]:
        found = list[list[Tensor]]()
        for leg in legs:
            found.append(leg.follow(self._rate, z))
            z = found[-1][-1]
        return found

    def _at(self, states: list[Tensor]) -> Tensor:
        """States at the start and at each stop as `Subject.solved` has them."""
        return torch.cat([states[k] for k in self._saved], 1)

    def gradients(self, loss: Loss) -> dict[str, Tensor]:
        """Those of the halved steps, one after the other from the end."""
        wanted = list(self.subject.wanted.values())
        states = [one.detach().requires_grad_() for one in (self._states[0][0], *(leg[-1] for leg in self._states))]
        solved = self._at(states)
        value = loss(solved, self.subject.head(solved))
        given = torch.autograd.grad(value, (*states, *wanted), allow_unused=True, materialize_grads=True)
        by_state, totals = given[: len(states)], list(given[len(states) :])
        u = by_state[-1]
        for k in reversed(range(len(self._legs))):
            u, pulled = self._legs[k].pull(self._rate, self._states[k], u, wanted)
            u, totals = u + by_state[k], [total + one for total, one in zip(totals, pulled, strict=True)]
        of_start = gradients((u * self.subject.start()).sum(), self.subject.wanted)
        return {name: one + total for (name, one), total in zip(of_start.items(), totals, strict=True)}

    def promised(self, loss: Loss, solution: Any) -> dict[str, Tensor]:
        """The exact ones: every adjoint comes to them as its steps get shorter."""
        return self.gradients(loss)

    def solve(self) -> Any:
        """From where it starts itself."""
        return self.subject.solve()

    @property
    def spectrum(self) -> Spectrum:
        """The eigenvalues of the rate's derivative df/dz - I at the end."""
        near = Linearized(self.subject, self.subject.last(self.solution))
        of_rate = near.eigenvalues - 1
        radius, abscissa = of_rate.abs().amax(1), of_rate.real.amax(1)
        return Spectrum(near.dense, tuple(radius.tolist()), abscissa=tuple(abscissa.tolist()))
