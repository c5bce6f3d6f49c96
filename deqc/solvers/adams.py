"""Adams methods of order 3 with variable coefficients, started by two steps of the Bogacki–Shampine method."""

from __future__ import annotations

from dataclasses import replace

from deqc.solvers.flow import CONTROL, Controlled
from deqc.solvers.runge_kutta import BOGACKI_SHAMPINE

VCAB3 = Controlled(
    "vcab3",
    "Adams-Bashforth steps of order 3 on z' = f(z) - z, with coefficients for the steps before: one evaluation of f a "
    "step, and small steps (Hairer, Norsett & Wanner 1993, III.5).",
    CONTROL,
    title="the Adams-Bashforth method of order 3 on z' = f(z) - z",
    remedy="a smaller step_rtol, or tsit5",
    note="The first two steps in time count as three each, one a stage. A sample whose steps in time shrink to nothing "
    "ends as stalled.",
    template="adams",
    helpers=("_combined", "_chosen"),
    constants=BOGACKI_SHAMPINE,
    order=3,
    error_power=0.7 / 3,
    past_power=0.4 / 3,
    fraction=0.1,
)

VCABM3 = replace(
    VCAB3,
    name="vcabm3",
    summary="Adams-Moulton steps of order 3 on z' = f(z) - z, predicted and corrected, with coefficients for the steps "
    "before: two evaluations of f a step, and larger steps than vcab3 (Hairer, Norsett & Wanner 1993, III.5).",
    title="the Adams-Bashforth-Moulton method of order 3 on z' = f(z) - z",
    fraction=0.05,
    note="The first two steps in time count as two each. A sample whose steps in time shrink to nothing ends as "
    "stalled.",
)
