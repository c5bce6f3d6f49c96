"""`identity`: the value as it is."""

from __future__ import annotations

from deqc.ops.structure import Structure


class Identity(Structure):
    """y = x."""

    name = "identity"
    summary = "The value as it is: y = x."


OP = Identity()
