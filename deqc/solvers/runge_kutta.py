"""Explicit Runge–Kutta methods: one class of generated modules, and a table of coefficients for each."""

from __future__ import annotations

from dataclasses import replace

from deqc.fields import Field, Kind
from deqc.solvers.flow import CONTROL, Controlled, Flow

# STAGES[i] weighs the rates before it for the i-th point behind z; the last row is that of the new z, whose rate is the
# first of the next step. ERROR weighs all of them for the difference from the embedded method.
BOGACKI_SHAMPINE = {
    "STAGES": ((1 / 2,), (0.0, 3 / 4), (2 / 9, 1 / 3, 4 / 9)),
    "ERROR": (-5 / 72, 1 / 12, 1 / 9, -1 / 8),
}
_DOPRI5 = {
    "STAGES": (
        (1 / 5,),
        (3 / 40, 9 / 40),
        (44 / 45, -56 / 15, 32 / 9),
        (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
        (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
        (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
    ),
    "ERROR": (71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40),
}
_TSIT5 = {
    "STAGES": (
        (0.161,),
        (-0.008480655492356989, 0.335480655492357),
        (2.8971530571054935, -6.359448489975075, 4.3622954328695815),
        (5.325864828439257, -11.748883564062828, 7.4955393428898365, -0.09249506636175525),
        (5.86145544294642, -12.92096931784711, 8.159367898576159, -0.071584973281401, -0.028269050394068383),
        (
            0.09646076681806523,
            0.01,
            0.4798896504144996,
            1.379008574103742,
            -3.290069515436081,
            2.324710524099774,
        ),
    ),
    "ERROR": (
        -0.00178001105222577714,
        -0.0008164344596567469,
        0.007880878010261995,
        -0.1447110071732629,
        0.5823571654525552,
        -0.45808210592918697,
        0.015151515151515152,
    ),
}
_RK4 = {"STAGES": ((1 / 2,), (0.0, 1 / 2), (0.0, 0.0, 1.0), (1 / 6, 1 / 3, 1 / 3, 1 / 6))}

STEP_SIZE = Field(
    "step_size",
    Kind.NUMBER,
    "The step in time. Too large a one never comes to rest; 1 is a step of z' = -z all the way.",
    default=1.0,
    exclusive_minimum=0,
    examples=(1.0, 0.5),
)

_FIXED = Flow(
    "",
    "",
    (STEP_SIZE,),
    template="fixed_step",
    helpers=("_stages", "_combined"),
    remedy="a smaller step_size, or tsit5",
)

EULER = replace(
    _FIXED,
    name="euler",
    summary="Euler's steps on z' = f(z) - z, z + step_size (f(z) - z): a damped picard, one evaluation of f a step "
    "(Euler 1768).",
    title="Euler's method on z' = f(z) - z",
    constants={"STAGES": ((1.0,),)},
)
HEUN = replace(
    _FIXED,
    name="heun",
    summary="Heun's steps on z' = f(z) - z, of order 2: two evaluations of f a step (Heun 1900).",
    title="Heun's method on z' = f(z) - z",
    constants={"STAGES": ((1.0,), (1 / 2, 1 / 2))},
)
RK4 = replace(
    _FIXED,
    name="rk4",
    summary="The classical Runge-Kutta steps on z' = f(z) - z, of order 4: four evaluations of f a step (Kutta 1901).",
    title="the classical Runge-Kutta method on z' = f(z) - z",
    constants=_RK4,
)

_EMBEDDED = Controlled(
    "",
    "",
    CONTROL,
    template="runge_kutta",
    remedy="smaller step_atol and step_rtol, or newton",
    note="A sample whose steps in time shrink to nothing ends as stalled.",
    helpers=("_stages", "_combined"),
)

BS3 = replace(
    _EMBEDDED,
    name="bs3",
    summary="Steps of order 3 on z' = f(z) - z, with an error estimate of order 2: three evaluations of f a step "
    "(Bogacki & Shampine 1989).",
    title="the Bogacki-Shampine method on z' = f(z) - z",
    constants=BOGACKI_SHAMPINE,
    order=3,
    fraction=0.1,
    error_power=0.7 / 3,
    past_power=0.4 / 3,
)
DOPRI5 = replace(
    _EMBEDDED,
    name="dopri5",
    summary="Steps of order 5 on z' = f(z) - z, with an error estimate of order 4: six evaluations of f a step "
    "(Dormand & Prince 1980).",
    title="the Dormand-Prince method on z' = f(z) - z",
    constants=_DOPRI5,
    order=5,
    fraction=0.05,
    error_power=0.17,
    past_power=0.04,
)
TSIT5 = replace(
    _EMBEDDED,
    name="tsit5",
    summary="Steps of order 5 on z' = f(z) - z, with an error estimate of order 4: six evaluations of f a step "
    "(Tsitouras 2011).",
    title="Tsitouras' method on z' = f(z) - z",
    constants=_TSIT5,
    order=5,
    fraction=0.03,
    error_power=0.14,
    past_power=0.08,
)
