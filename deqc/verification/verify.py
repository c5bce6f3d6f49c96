"""Holds a generated module against the reference interpreter, and its gradients against differences of its values."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from deqc import running
from deqc.compiler import Compilation
from deqc.explain import exactness
from deqc.running import Sample
from deqc.verification import checks
from deqc.verification.at_rest import AtRest
from deqc.verification.checks import NONE, Check, approached, judged
from deqc.verification.compared import compared, unknown
from deqc.verification.followed import Followed
from deqc.verification.found import Backward, Gradient, Verification
from deqc.verification.gradients import Loss, generated
from deqc.verification.subject import Subject
from deqc.verification.tightened import digits, tight
from deqc.verification.truth import Truth


def verify(
    compilation: Compilation, state: Mapping[str, Any] | None, inputs: Mapping[str, Tensor], seed: int
) -> Verification:
    """Verifies the module on these inputs, in eval mode and float64, with these weights or those that the seed draws.

    Raises:
        RunError: weights or inputs are not the model's, or it calls modules that only its user has.
    """
    subject = Subject(compilation, state, inputs, seed)
    solution = subject.solve()
    z = subject.solved(solution).detach()
    if not len(z):
        raise running.RunError("the inputs hold no sample")
    at = AtRest(subject, z) if compilation.solver.time is None else Followed(subject)
    known = bool(at.found.all())
    loss = Loss.of(subject, z)
    as_set = generated(subject, loss, solution)  # from here on the record tells of the backward solve
    record = solution.original
    samples = tuple(running.samples(record, subject.model.Status))
    gradients: tuple[Gradient, ...] = ()
    if compilation.adjoint.method.name == "none":
        of_gradients = unknown(exactness(compilation))
    elif not known:
        of_gradients = unknown(f"{_NOTHING[at.approached]} every sample")
    else:
        of_gradients, gradients = compared(at, loss, as_set, solution)
    single = Subject(compilation, state, inputs, seed, torch.float32)
    converged = sum(sample.status == "converged" for sample in samples)
    return Verification(
        size=subject.size,
        exactness=exactness(compilation),
        samples=samples,
        calls=solution.nfe,
        checks=(
            _f(at, z),
            *_solution(at, z, samples),
            *of_gradients,
            _float32(single, loss, z, as_set, converged),
        ),
        gradients=gradients,
        spectrum=at.spectrum if known else None,
        backward=_backward(record.adjoint),
    )


_NOTHING = {False: "the reference finds no equilibrium near z* of", True: "the reference does not get to the end of"}


def _f(at: Truth, solved: Tensor) -> Check:
    subject = at.subject
    z = subject.last(solved)
    generator = torch.Generator().manual_seed(subject.seed)
    moved = z + torch.randn(z.shape, dtype=z.dtype, generator=generator)
    with torch.no_grad():
        error = max(checks.apart(subject.f(point), subject.meaning(point)) for point in (z, moved))
    where = "the end" if at.approached else "z*"
    return judged("f", error, checks.ROUNDING, f"at {where} and at random states")


def _solution(at: Truth, z: Tensor, samples: tuple[Sample, ...]) -> Iterator[Check]:
    """Of the solve as set, and before that, where tight settings are to come to the solution too, with these."""
    looked = at.subject.looked_at(z) & at.found.unsqueeze(1)
    error = checks.apart(z * looked, at.solution * looked)
    ends = Counter(sample.status for sample in samples)
    converged = f"{ends.pop('converged', 0)}/{len(samples)} converged"
    remark = ", ".join([converged, *(f"{count} {status}" for status, count in ends.items())])
    stuck = int((~at.found).sum())
    good, limit = not ends and not stuck, checks.of_tolerance(at.subject.compilation)
    if not at.approached:
        remark += f"; near {stuck} the reference finds no equilibrium" if stuck else ""
        yield judged("z*", error, limit, remark, good)
        return
    if stuck:
        yield Check("z(t)", NONE, remark=f"of {stuck} the reference does not get to the end")
        yield judged("z(t) as set", error, limit, remark, good)
        return
    with torch.no_grad(), tight(at.subject):
        tightly = at.subject.solved(at.solve())
    least = math.sqrt(digits(at.subject.compilation))
    change = checks.apart(z * looked, tightly * looked)
    yield judged("z(t)", checks.apart(tightly * looked, at.solution * looked), approached(least, change))
    yield judged("z(t) as set", error, limit, remark, good)


def _float32(subject: Subject, loss: Loss, z: Tensor, gradients: Mapping[str, Tensor], as_many: int) -> Check:
    """How far the model in float32 is from that in float64, both as set; as many samples have to converge."""
    solution = subject.solve()
    found = generated(subject, loss, solution)
    looked = subject.looked_at(z)
    apart = checks.apart(subject.solved(solution).double() * looked, z * looked)
    limit = checks.of_single(subject.compilation)
    nothing = checks.least(limit, loss.cotangent)
    error = max(checks.error({name: g.double() for name, g in found.items()}, gradients, nothing), apart)
    converged = int((solution.original.status == 0).sum())
    name = "z*" if subject.compilation.solver.time is None else "z(t)"
    remark = f"from float64: {name} by {apart:.1e}, {converged}/{len(z)} converged"
    return judged("float32", error, limit, remark, converged >= as_many)


def _backward(record: Any) -> Backward | None:
    if record is None:
        return None
    return Backward(int(record.steps.max()), int(record.nfe.max()), int(record.njvp.max()))
