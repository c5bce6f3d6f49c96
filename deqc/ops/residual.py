"""`residual`: y = x + body(x)."""

from __future__ import annotations

from deqc.fields import Field, Kind
from deqc.ops.structure import Structure


class Residual(Structure):
    """y = x + body(x); lowered to `sum`."""

    name = "residual"
    summary = "The incoming value plus a computation on it: y = x + body(x)."
    fields = (
        Field(
            "body",
            Kind.COMPUTATION,
            "The computation that is added; it keeps the shape.",
            examples=([{"linear": 64}, "relu"],),
        ),
    )
    principal = "body"


OP = Residual()
