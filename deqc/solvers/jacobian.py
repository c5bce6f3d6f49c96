"""Quantities of df/dz at the solution that a loss may hold down, so that the map stays contractive."""

from deqc.fields import Field, Kind
from deqc.solvers.base import Description

_NORMALIZE = Field(
    "normalize",
    Kind.CHOICE,
    "What the sum over the batch is divided by: the number of entries of all states, B D, which makes it independent "
    "of their size (state), or the number of samples, B (batch).",
    default="state",
    choices=("state", "batch"),
)

FROBENIUS = Description(
    "frobenius",
    "The squared Frobenius norm of df/dz, the mean of |J^T v|^2 or |J v|^2 over random v: small where every direction "
    "contracts (Hutchinson 1990; as a loss of equilibrium models Bai et al. 2021).",
    (_NORMALIZE,),
    max_steps=None,
)

TRACE = Description(
    "trace",
    "The trace of df/dz, the mean of v^T J v over random v: the sum of the eigenvalues, negative ones against positive "
    "ones, so that it bounds nothing by itself (Hutchinson 1990).",
    (_NORMALIZE,),
    max_steps=None,
)

SPECTRAL_RADIUS = Description(
    "spectral_radius",
    "The largest absolute value of an eigenvalue of df/dz, the mean over the samples, by power iteration: (|J^n v| / "
    "|J^m v|)^(1 / (n - m)) with n = `steps` and m half of it. Where the largest eigenvalue is real, the error falls "
    "geometrically; of a complex pair it is the rate at which the pair grows on average, with an error of order "
    "1 / (n - m) (von Mises & Pollaczek-Geiringer 1929).",
    (
        Field(
            "steps",
            Kind.INT,
            "How many products with df/dz are taken, each kept for the backward pass.",
            default=20,
            minimum=2,
            maximum=1000,
            examples=(20, 50),
        ),
    ),
    max_steps=None,
)
