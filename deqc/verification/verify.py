"""Holds a generated module against the reference interpreter, and its gradients against differences of its values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from deqc import running
from deqc.compiler import Compilation
from deqc.explain import exactness
from deqc.running import Sample
from deqc.verification import checks
from deqc.verification.checks import Check, judged
from deqc.verification.compared import compared, unknown
from deqc.verification.equilibrium import equilibrium
from deqc.verification.found import Backward, Gradient, Spectrum, Verification
from deqc.verification.gradients import Exact, Loss, generated
from deqc.verification.subject import Subject

_STUCK = 1e-11  # a relative residual of the reference above which there is no equilibrium to compare with


def verify(
    compilation: Compilation, state: Mapping[str, Any] | None, inputs: Mapping[str, Tensor], seed: int
) -> Verification:
    """Verifies the module on these inputs, in eval mode and float64, with these weights or those that the seed draws.

    Raises:
        RunError: weights or inputs are not the model's, it calls modules that only its user has, or it is a neural ODE.
    """
    if compilation.solver.time is not None:
        raise running.RunError("verify looks at equilibria, and this is a neural ODE")
    subject = Subject(compilation, state, inputs, seed)
    solution = subject.solve()
    z = subject.packed(solution.z_star).detach()
    if not len(z):
        raise running.RunError("the inputs hold no sample")
    z_star, left = equilibrium(subject.meaning, z)
    at = Exact(subject, z_star) if bool((left <= _STUCK).all()) else None
    loss = Loss.of(subject, z)
    as_set = generated(subject, loss, solution)  # from here on the record tells of the backward solve
    record = solution.original
    samples = tuple(running.samples(record, subject.model.Status))
    gradients: tuple[Gradient, ...] = ()
    if at is None:
        of_gradients = unknown("the reference finds no equilibrium near z* of every sample")
    elif compilation.adjoint.method.name == "none":
        of_gradients = unknown(exactness(compilation))
    else:
        of_gradients, gradients = compared(subject, at, loss, as_set, record.adjoint)
    single = Subject(compilation, state, inputs, seed, torch.float32)
    converged = sum(sample.status == "converged" for sample in samples)
    return Verification(
        size=z.shape[1],
        exactness=exactness(compilation),
        samples=samples,
        calls=solution.nfe,
        checks=(
            _f(subject, z),
            _z_star(subject, z, z_star, left, samples),
            *of_gradients,
            _float32(single, loss, z, as_set, converged),
        ),
        gradients=gradients,
        spectrum=None if at is None else _spectrum(at),
        backward=_backward(record.adjoint),
    )


def _f(subject: Subject, z: Tensor) -> Check:
    generator = torch.Generator().manual_seed(subject.seed)
    moved = z + torch.randn(z.shape, dtype=z.dtype, generator=generator)
    with torch.no_grad():
        error = max(checks.apart(subject.f(point), subject.meaning(point)) for point in (z, moved))
    return judged("f", error, checks.ROUNDING, "at z* and at random states")


def _z_star(subject: Subject, z: Tensor, z_star: Tensor, left: Tensor, samples: tuple[Sample, ...]) -> Check:
    looked = subject.looked_at(z) & (left <= _STUCK).unsqueeze(1)
    error = checks.apart(z * looked, z_star * looked)
    ends = Counter(sample.status for sample in samples)
    converged = f"{ends.pop('converged', 0)}/{len(samples)} converged"
    remark = ", ".join([converged, *(f"{count} {status}" for status, count in ends.items())])
    if stuck := int((left > _STUCK).sum()):
        remark += f"; near {stuck} the reference finds no equilibrium"
    return judged("z*", error, checks.of_tolerance(subject.compilation), remark, not ends and not stuck)


def _float32(subject: Subject, loss: Loss, z: Tensor, gradients: Mapping[str, Tensor], as_many: int) -> Check:
    """How far the model in float32 is from that in float64, both as set; as many samples have to converge."""
    solution = subject.solve()
    found = generated(subject, loss, solution)
    looked = subject.looked_at(z)
    apart = checks.apart(subject.packed(solution.z_star).double() * looked, z * looked)
    limit = checks.of_tolerance(subject.compilation, torch.finfo(torch.float32).eps)
    nothing = checks.least(limit, loss.cotangent)
    error = max(checks.error({name: g.double() for name, g in found.items()}, gradients, nothing), apart)
    converged = int((solution.original.status == 0).sum())
    remark = f"from float64: z* by {apart:.1e}, {converged}/{len(z)} converged"
    return judged("float32", error, limit, remark, converged >= as_many)


def _spectrum(at: Exact) -> Spectrum:
    distance = at.distance
    return Spectrum(tuple(at.radius.tolist()), None if distance is None else tuple(distance.tolist()))


def _backward(record: Any) -> Backward | None:
    if record is None:
        return None
    return Backward(int(record.steps.max()), int(record.njvp.max()))
