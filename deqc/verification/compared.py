"""The gradients of a module beside those of the reference interpreter, and beside differences of its own values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from deqc.compiler import Compilation
from deqc.explain import exactness
from deqc.ir.graph import reachable
from deqc.verification import checks
from deqc.verification.checks import APPROXIMATE, NONE, OFF, Check, judged
from deqc.verification.differences import DIRECTIONS, differences
from deqc.verification.found import Gradient
from deqc.verification.gradients import Exact, Loss, SingularError, generated
from deqc.verification.subject import Subject

DERIVED, AS_SET, DIFFERENCES = NAMES = "gradient", "gradient as set", "finite differences"
_SHORT = "the solve, whose steps are differentiated, does not come to rest"


def compared(
    subject: Subject, at: Exact, loss: Loss, as_set: Mapping[str, Tensor], record: Any
) -> tuple[list[Check], tuple[Gradient, ...]]:
    """The checks of the gradients, and every gradient; `as_set` are those of the solve that the record is of."""
    compilation = subject.compilation
    try:
        exact, promised = at.gradients(loss), at.gradients(loss, promised=True)
    except SingularError:
        why = "I - df/dz is singular: there is no gradient"
        return [Check(DERIVED, OFF, remark=why), *unknown(why)[1:]], ()
    if not exact:
        return unknown("the model has neither parameters nor inputs with a gradient"), ()
    method = compilation.adjoint.method.name
    unrolled = method in ("unroll", "reversible")
    with subject.tight():
        solution = subject.solve(None if unrolled else at.z_star)
        tight = generated(subject, loss, solution)
    # steps are undone at the cost of digits: those of reversible are too few to come to rest
    at_rest = not unrolled or (method == "unroll" and bool((solution.original.status == 0).all()))
    limit = checks.of_tolerance(compilation)
    rounding, tolerance = (checks.least(one, loss.cotangent) for one in (checks.ROUNDING, limit))
    derived, own = checks.errors(tight, promised, rounding), checks.errors(as_set, exact, tolerance)
    gradients = tuple(Gradient(name, float(g.norm()), derived[name], own[name]) for name, g in exact.items())
    found = [
        _derived(compilation, gradients, at_rest),
        _as_set(compilation, gradients, checks.error(as_set, exact, tolerance), record),
        _differences(subject, loss, at.z_star, tight, at_rest),
    ]
    return found, gradients


def unknown(why: str) -> list[Check]:
    """The same checks, where there is nothing to compare."""
    return [Check(name, NONE, remark=why) for name in NAMES]


def _derived(compilation: Compilation, gradients: tuple[Gradient, ...], at_rest: bool) -> Check:
    """The largest error of a tensor, not judged where a solve whose steps are differentiated ends short of rounding."""
    worst = max(gradients, key=lambda one: one.error)
    if not at_rest:
        return Check(DERIVED, APPROXIMATE, worst.error, remark=f"{_SHORT}; worst: {worst.name}")
    adjoint = compilation.plan.adjoint
    method = adjoint.method if adjoint.exact else adjoint.linear_solver
    meant = "" if exactness(compilation) == "exact" else f"from what {method} means to compute; "
    return judged(DERIVED, worst.error, checks.ROUNDING, f"{meant}worst: {worst.name}")


def _as_set(compilation: Compilation, gradients: tuple[Gradient, ...], error: float, record: Any) -> Check:
    """The error over all of them together; a backward solve that says that it failed is off."""
    worst = max(gradients, key=lambda one: one.error_as_set)
    remark = f"worst: {worst.name} {worst.error_as_set:.1e}"
    if exactness(compilation) != "exact":
        return Check(AS_SET, APPROXIMATE, error, remark=remark)
    missed = 0 if record is None else int((record.status != 0).sum())
    if missed:
        remark = f"the backward solve misses its tolerance on {missed}/{len(record.status)}; {remark}"
    return judged(AS_SET, error, checks.of_tolerance(compilation), remark, not missed)


def _differences(subject: Subject, loss: Loss, z_star: Tensor, gradients: Mapping[str, Tensor], at_rest: bool) -> Check:
    if exactness(subject.compilation) != "exact":
        return Check(DIFFERENCES, NONE, remark="the adjoint is approximate")
    if not at_rest:
        return Check(DIFFERENCES, NONE, remark=_SHORT)
    if any(node.op == "detach" for node in reachable(subject.program.roots)):
        return Check(DIFFERENCES, NONE, remark="the model detaches values, which differences do not see")
    error, kink = differences(subject, loss, z_star, gradients)
    remark = f"along {DIRECTIONS} random directions"
    if kink and error <= checks.DIFFERENCES:
        return Check(DIFFERENCES, NONE, remark=f"the loss has a kink here {remark}; draw others with --seed")
    return judged(DIFFERENCES, error, checks.DIFFERENCES, remark)
