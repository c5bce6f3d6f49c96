"""What is checked of a generated module, each check with the error that was found and the limit that it is held to.

Limits ask for half of the digits that there could be: of float64 where nothing but rounding differs, of the tolerances
where a solve ends at them, a single digit where there are none; for central differences a third of the digits are all
that there is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from deqc.compiler import Compilation
from deqc.explain import OF_THE_EQUATION

GOOD, OFF, APPROXIMATE, NONE = "good", "off", "approximate", "does not apply"

EPS = torch.finfo(torch.float64).eps
ROUNDING = math.sqrt(EPS)
DIGIT = 0.1  # what has not even that is off, whatever its settings
SMALL = 1e-3  # a gradient below this part of the whole is measured against that part


@dataclass(frozen=True)
class Check:
    """One line of what was found: `verdict` is good, off, approximate (measured, not judged) or does not apply."""

    name: str
    verdict: str
    error: float | None = None
    limit: float | None = None
    remark: str = ""


def judged(name: str, error: float, limit: float, remark: str = "", good: bool = True) -> Check:
    """A check that is good where the error is within the limit, and all else is good, too."""
    return Check(name, GOOD if good and error <= limit else OFF, error, limit, remark)


def tolerance(compilation: Compilation) -> float | None:
    """The loosest of the tolerances at which the solves, in eval mode, and the backward solves end.

    Of a neural ODE, those to which its steps are held; None where steps are of one size.
    """
    solver, adjoint = compilation.plan.solver.evaluated, compilation.plan.adjoint
    if solver.time is not None:
        return _of_steps(compilation)
    own = {"atol": solver.atol, "rtol": solver.rtol}
    tested = [float(value) for name, value in own.items() if name not in compilation.solver.untested]
    backward = [float(adjoint.rtol), float(adjoint.atol)] if adjoint.method == "implicit" else []
    return max(*tested, *backward, EPS)


def _of_steps(compilation: Compilation) -> float | None:
    solver, adjoint = compilation.plan.solver, compilation.plan.adjoint
    of_equation = adjoint.method in OF_THE_EQUATION
    back = {name: value for name, value in adjoint.options.items() if value != "None"} if of_equation else {}
    if "step_size" in solver.options or "step_size" in back:
        return None
    held = [dict(solver.options) | {one.name: one.evaluation for one in solver.settings}]
    if of_equation:  # which goes back with the tolerances of training, or its own
        held.append(dict(solver.options) | {one.name: one.training for one in solver.settings} | back)
    return max(float(one[name]) for one in held for name in ("step_atol", "step_rtol"))


def of_tolerance(compilation: Compilation) -> float:
    """The limit of what ends at the tolerances; where there are none, one digit is asked for."""
    found = tolerance(compilation)
    return DIGIT if found is None else math.sqrt(found)


def of_single(compilation: Compilation) -> float:
    """The limit of what float32 may change."""
    return math.sqrt(max(tolerance(compilation) or 0.0, torch.finfo(torch.float32).eps))


def approached(limit: float, change: float) -> float:
    """The limit of what tighter settings do not make exact: half of what they have changed may be left."""
    return min(max(limit, change / 2), DIGIT)


def apart(found: Tensor, expected: Tensor) -> float:
    """The largest difference, relative to the larger of 1 and the largest entry; infinite where one is no number."""
    if not expected.numel():
        return 0.0
    size = expected.detach().abs().amax().clamp_min(1)
    return _number((found.detach() - expected.detach()).abs().amax() / size)


def least(limit: float, cotangent: float) -> float:
    """What counts as no gradient, where the loss's own derivative is of that norm."""
    return max(limit, SMALL) * cotangent


def errors(found: Mapping[str, Tensor], exact: Mapping[str, Tensor], nothing: float) -> dict[str, float]:
    """|g - g'| / |g'| of each gradient, in the Euclidean norm; all together are at least `nothing`."""
    whole = max(math.hypot(*(float(g.norm()) for g in exact.values())), nothing)
    return {name: _number((found[name] - g).norm() / max(float(g.norm()), SMALL * whole)) for name, g in exact.items()}


def error(found: Mapping[str, Tensor], exact: Mapping[str, Tensor], nothing: float) -> float:
    """|g - g'| / |g'| over all of them together."""
    off = math.hypot(*(_number((found[name] - g).norm()) for name, g in exact.items()))
    return off / max(math.hypot(*(float(g.norm()) for g in exact.values())), nothing)


def worst(found: Mapping[str, float]) -> str:
    """The name with the largest error."""
    return max(found, key=found.__getitem__, default="")


def _number(value: Tensor) -> float:
    return float(value.nan_to_num(math.inf, math.inf))
