"""The gradients of a module beside those of the reference interpreter, and beside differences of its own values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from deqc.explain import exactness
from deqc.ir.graph import reachable
from deqc.verification import checks
from deqc.verification.checks import APPROXIMATE, NONE, OFF, Check, approached, judged
from deqc.verification.differences import DIRECTIONS, differences
from deqc.verification.found import Gradient
from deqc.verification.gradients import Loss, generated
from deqc.verification.tightened import digits, tight
from deqc.verification.truth import SingularError, Truth

DERIVED, AS_SET, DIFFERENCES = NAMES = "gradient", "gradient as set", "finite differences"
_SHORT = "the solve, whose steps are differentiated, does not come to rest"

Gradients = Mapping[str, Tensor]


def compared(at: Truth, loss: Loss, as_set: Gradients, solution: Any) -> tuple[list[Check], tuple[Gradient, ...]]:
    """The checks of the gradients, and every gradient; `as_set` are those of that solve, with the spec's settings."""
    try:
        exact = at.gradients(loss)
        if not exact:
            return unknown("the model has neither parameters nor inputs with a gradient"), ()
        with tight(at.subject):
            found = _Compared.of(at, loss, exact, as_set, solution)
            return [found.check_derived(), found.check_as_set(), found.check_differences()], found.gradients
    except SingularError:
        why = "I - df/dz is singular: there is no gradient"
        return [Check(DERIVED, OFF, remark=why), *unknown(why)[1:]], ()


def unknown(why: str) -> list[Check]:
    """The same checks, where there is nothing to compare."""
    return [Check(name, NONE, remark=why) for name in NAMES]


@dataclass(frozen=True)
class _Compared:
    """What is compared; `tight` are the module's gradients with tight settings, `promised` what they mean to be."""

    at: Truth
    loss: Loss
    exact: Gradients
    as_set: Gradients
    solution: Any
    tight: Gradients
    promised: Gradients
    at_rest: bool  # whether the tight solve ends where it should
    steps: int  # the most that it takes

    @classmethod
    def of(cls, at: Truth, loss: Loss, exact: Gradients, as_set: Gradients, solution: Any) -> _Compared:
        """With the module's tight settings in force."""
        solved = at.solve()
        tightly, promised = generated(at.subject, loss, solved), at.promised(loss, solved)
        status, steps = solved.original.status, int(solved.original.steps.max())
        at_rest = at.subject.compilation.plan.adjoint.method != "unroll" or bool((status == 0).all())
        return cls(at, loss, exact, as_set, solution, tightly, promised, at_rest, steps)

    @property
    def method(self) -> str:
        """The adjoint."""
        return self.at.subject.compilation.plan.adjoint.method

    @property
    def approximate(self) -> bool:
        """Whether the adjoint means to compute something else."""
        return exactness(self.at.subject.compilation) == "approximate"

    @property
    def digits(self) -> float:
        """How exact the module is with tight settings."""
        return digits(self.at.subject.compilation)

    @property
    def limit(self) -> float:
        """Of what ends at the tolerances."""
        return checks.of_tolerance(self.at.subject.compilation)

    def nothing(self, limit: float) -> float:
        """What counts as no gradient."""
        return checks.least(limit, self.loss.cotangent)

    @property
    def gradients(self) -> tuple[Gradient, ...]:
        """Every gradient with its errors."""
        derived = checks.errors(self.tight, self.promised, self.nothing(checks.ROUNDING))
        own = checks.errors(self.as_set, self.exact, self.nothing(self.limit))
        return tuple(Gradient(name, float(g.norm()), derived[name], own[name]) for name, g in self.exact.items())

    @property
    def change(self) -> float:
        """By how much tight settings change a gradient at most, where they only approach the exact one."""
        if not self.at.approached:
            return 0.0
        return max(checks.errors(self.as_set, self.tight, self.nothing(checks.ROUNDING)).values())

    def check_derived(self) -> Check:
        """The largest error of a tensor; not judged where steps are differentiated that do not come to rest."""
        worst = max(self.gradients, key=lambda one: one.error)
        if not self.at_rest:
            return Check(DERIVED, APPROXIMATE, worst.error, remark=f"{_SHORT}; worst: {worst.name}")
        adjoint = self.at.subject.compilation.plan.adjoint
        meant = ""
        if self.approximate:
            meant = f"from what {adjoint.method if adjoint.exact else adjoint.linear_solver} means to compute; "
        elif adjoint.method == "reversible":
            meant = f"of the first {self.steps} steps; "
        limit = approached(math.sqrt(self.digits), self.change)
        return judged(DERIVED, worst.error, limit, f"{meant}worst: {worst.name}")

    def check_as_set(self) -> Check:
        """The error over all of them together; a backward solve that says that it failed is off."""
        error = checks.error(self.as_set, self.exact, self.nothing(self.limit))
        worst = max(self.gradients, key=lambda one: one.error_as_set)
        remark = f"worst: {worst.name} {worst.error_as_set:.1e}"
        if self.approximate:
            return Check(AS_SET, APPROXIMATE, error, remark=remark)
        record = self.solution.original.adjoint
        if missed := 0 if record is None else int((record.status != 0).sum()):
            remark = f"the backward solve misses its tolerance on {missed}/{len(record.status)}; {remark}"
        lost = self.lost
        if lost > self.limit:
            missed, remark = missed or 1, f"undone, the steps are others: off by {lost:.1e} from their own; {remark}"
        if not missed and self.method in ("unroll", "reversible") and error > self.limit:
            return Check(AS_SET, APPROXIMATE, error, remark=f"that of the steps taken, which end short of z*; {remark}")
        return judged(AS_SET, error, self.limit, remark, not missed)

    @property
    def lost(self) -> float:
        """The error of steps that are undone, from the gradient of the same steps."""
        if self.method != "reversible":
            return 0.0
        own = self.at.promised(self.loss, self.solution)
        return checks.error(self.as_set, own, self.nothing(self.limit))

    def check_differences(self) -> Check:
        """How far differences of the module's values, with tight settings, are from its gradients."""
        if self.approximate:
            return Check(DIFFERENCES, NONE, remark="the adjoint is approximate")
        if not self.at_rest:
            return Check(DIFFERENCES, NONE, remark=_SHORT)
        if any(node.op == "detach" for node in reachable(self.at.subject.program.roots)):
            return Check(DIFFERENCES, NONE, remark="the model detaches values, which differences do not see")
        h = math.cbrt(self.digits)
        limit = h if self.method == "discrete" else approached(h, self.change)
        error, kink = differences(
            self.at.subject, lambda: self.at.value(self.loss), self.tight, self.loss.cotangent, h, limit
        )
        remark = f"along {DIRECTIONS} random directions"
        if kink and error <= limit:
            return Check(DIFFERENCES, NONE, remark=f"the loss has a kink here {remark}; draw others with --seed")
        return judged(DIFFERENCES, error, limit, remark)
