"""A trust region with Powell's dogleg, and the schemes that move its radius."""

from collections.abc import Mapping
from typing import Final

from deqc.fields import Field, Kind
from deqc.solvers.base import Iteration


def _thresholds(step: float, shrink: float, expand: float, smaller: float, larger: float = 2.0) -> dict[str, float]:
    """Of the ratio rho of true and predicted decrease; and the factors of the radius."""
    return {
        "accept": step,  # a step is taken where rho is above
        "poor": shrink,  # the radius shrinks where rho is below
        "good": expand,  # the radius grows where rho is above
        "shrink": smaller,
        "expand": larger,
    }


# The constants of each scheme, as published; where SciML's NonlinearSolve.jl differs, the source is followed.
RADIUS: Final[Mapping[str, Mapping[str, float]]] = {
    "simple": _thresholds(1e-4, 0.25, 0.75, 0.25),
    "nlsolve": {**_thresholds(1e-4, 0.05, 0.9, 0.5), "fair": 0.5},
    "nocedal_wright": _thresholds(1e-4, 0.25, 0.75, 0.25),
    "hei": {"accept": 0.0, "poor": 0.0, "largest": 5.0, "smallest": 0.1, "below": 0.15, "above": 0.15},
    "yuan": {**_thresholds(1e-3, 0.25, 0.75, 1 / 6, 6.0), "start": 2.0},
    "bastin": {"accept": 0.05, "good": 0.9, "shrink": 0.25, "expand": 2.5},
    "fan": {**_thresholds(1e-4, 0.25, 0.75, 0.25, 12.0), "start": 0.1, "power": 0.99, "largest": 1e18},
}

TRUST_REGION = Iteration(
    "trust_region",
    "Newton's method with a dense Jacobian, held to a region in which the linear model is trusted: dogleg steps "
    "(Powell 1970; Nocedal & Wright 2006, algorithms 4.1 and 11.5). Converges from further away than newton.",
    (
        Field(
            "radius",
            Kind.CHOICE,
            "How the radius of the region follows the ratio of true and predicted decrease: a fixed factor (simple), "
            "by the length of the step (nlsolve, nocedal_wright), by a smooth function of the ratio (hei, 2003), with "
            "the gradient (yuan, 2000), with the residual (fan, 2006), or by the ratio seen from the new point "
            "(bastin, 2010).",
            default="nlsolve",
            choices=tuple(RADIUS),
            examples=("nlsolve", "bastin"),
        ),
    ),
    title="dogleg steps in a trust region",
    remedy="another radius, another start z0, or cascade",
    note="A sample whose region shrinks to nothing, in a minimum of |f(z) - z| that is no solution, ends as stalled.",
    reads="jacobian",
    ends=True,
    refuses=True,
    counts=True,
    helpers=("_dense_solve", "_dogleg", "_dot", "_size", "_times"),
)
