"""Reading specs from files."""

from __future__ import annotations

import os
from pathlib import Path

from deqc.diagnostics import Diagnostic, Span, SpecError


def read(path: str | os.PathLike[str]) -> str:
    """The text of a spec's file.

    Raises:
        SpecError: the file is not UTF-8 text; the diagnostic points at the first byte that is not.
        OSError: the file cannot be read.
    """
    return decode(Path(path).read_bytes(), os.fspath(path))


def decode(data: bytes, file: str) -> str:
    """The same from bytes that were read already."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as fault:
        before = data[: fault.start]
        line = before.count(b"\n") + 1
        column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8")) + 1
        raise SpecError(
            [
                Diagnostic(
                    code="not-utf8",
                    message=f"byte 0x{data[fault.start]:02x} is not UTF-8 text",
                    span=Span(file, line, column, line, column + 1),
                    expected="a YAML file encoded as UTF-8",
                    hint="save the file as UTF-8, or check that it is the file you mean",
                )
            ]
        ) from None
