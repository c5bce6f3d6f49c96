"""`repeat`: a computation several times over, each time with weights of its own."""

from __future__ import annotations

from deqc.fields import Field, Kind
from deqc.ops.structure import Structure


class Repeat(Structure):
    """body(body(…(x))); lowered by writing it out."""

    name = "repeat"
    summary = "A computation several times in a row, each time with weights of its own."
    fields = (
        Field("times", Kind.INT, "How often; 0 leaves the value as it is.", minimum=0, maximum=1024, examples=(3,)),
        Field("body", Kind.COMPUTATION, "The computation that is repeated.", examples=([{"linear": 64}, "tanh"],)),
        Field(
            "index",
            Kind.WORD,
            "A name for the number of the iteration, from 0, readable in expressions inside the body.",
            default=None,
            nullable=True,
            examples=("k",),
        ),
    )


OP = Repeat()
