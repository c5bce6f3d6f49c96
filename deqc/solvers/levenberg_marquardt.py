"""The Levenberg–Marquardt method."""

from deqc.fields import Field, Kind
from deqc.solvers.base import Brought, Iteration

LEVENBERG_MARQUARDT = Iteration(
    "levenberg_marquardt",
    "Least |f(z) - z|^2 by Newton steps that are damped until they help, with a dense Jacobian; robust where it is "
    "close to singular (Marquardt 1963; Transtrum & Sethna 2012).",
    (
        Field(
            "geodesic",
            Kind.BOOL,
            "Whether steps bend by the second derivative along them: one more evaluation of f a step, and fewer steps "
            "in narrow valleys (geodesic acceleration, Transtrum & Sethna 2012).",
            default=False,
        ),
    ),
    max_steps=200,
    title="the Levenberg-Marquardt method with a dense Jacobian",
    remedy="another start z0, or trust_region",
    note="A sample in a minimum of |f(z) - z| that is no solution ends as stalled.",
    reads="jacobian",
    ends=True,
    refuses=True,
    counts=True,
    helpers=("_dense_solve", "_dot", "_size", "_times"),
    constants={"DECREASE": 3.0, "INCREASE": 2.0, "LEAST_SCALE": 1e-8},
    chosen={"geodesic": {"True": Brought({"PROBE": 0.1, "MOST_ACCELERATION": 0.75})}},
)
