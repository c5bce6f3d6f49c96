"""Reading specs from files."""

from __future__ import annotations

import os

from deqc.spec.text import MAX_BYTES, decode

__all__ = ["MAX_BYTES", "decode", "read"]


def read(path: str | os.PathLike[str]) -> str:
    """The text of a spec's file.

    Raises:
        SpecError: the file is too large or not UTF-8; the diagnostic points at the first byte that is not.
        OSError: the file cannot be read.
    """
    with open(path, "rb") as file:
        return decode(file.read(MAX_BYTES + 1), os.fspath(path))
