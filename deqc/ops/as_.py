"""`as`: gives the value a name."""

from __future__ import annotations

from deqc.fields import Field, Kind
from deqc.ops.structure import Structure


class As(Structure):
    """Passes its value on under a name that later steps of the chain read as `$name`."""

    name = "as"
    summary = "Gives the value a name, which later steps of this chain, and what is nested in them, read as `$name`."
    fields = (Field("name", Kind.WORD, "The name.", examples=("motion",)),)
    principal = "name"


OP = As()
