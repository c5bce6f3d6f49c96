"""What is checked of a spec's text before any YAML is read: its encoding, its size, its characters."""

from __future__ import annotations

import codecs
import re
from itertools import islice
from typing import Final

from deqc.diagnostics import Diagnostic, Problems, Span, SpecError

MAX_BYTES: Final = 2**20
_MAX_SHOWN: Final = 20
_BOM: Final = "\ufeff"

# Controls, lone surrogates and non-characters; line breaks that editors and YAML count differently; marks that change
# the order in which text is shown, or are not shown at all, and so can hide what it says.
FORBIDDEN: Final = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufffe\uffff"
    "\U000e0000-\U000e0fff]"
)


def decode(data: bytes, file: str) -> str:
    """The text of a file in UTF-8, without a byte order mark; raises SpecError where it is something else."""
    problems = Problems()
    if len(data) > MAX_BYTES:
        _too_large(file, problems)
        problems.raise_errors()
    bare = data.removeprefix(codecs.BOM_UTF8)
    try:
        return bare.decode("utf-8")
    except UnicodeDecodeError as error:
        before = bare[: error.start].decode("utf-8")
        place = span_at(before, len(before), len(before) + 1, file)
        utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        hint = "the file looks like UTF-16: save it as UTF-8" if utf16 else "save the file as UTF-8"
        diagnostic = Diagnostic("E001", f"byte 0x{bare[error.start]:02x} is not UTF-8", place, hint=hint)
        raise SpecError([diagnostic]) from None


def check_text(text: str, file: str, problems: Problems) -> str | None:
    """The text without a byte order mark; None after a diagnostic."""
    if len(text) > MAX_BYTES:
        _too_large(file, problems)
        return None
    text = text.removeprefix(_BOM)
    found = [match.start() for match in islice(FORBIDDEN.finditer(text), _MAX_SHOWN)]
    for index in found:
        shown = f"U+{ord(text[index]):04X}"
        hint = "a spec is plain text: remove the character"
        problems.add("E003", span_at(text, index, index + 1, file), f"the character {shown} is not allowed", hint=hint)
    return None if found else text


def span_at(text: str, start: int, stop: int, file: str) -> Span:
    """The place of `text[start:stop]`; lines end as in YAML, with LF, CR or both."""
    line, column = _position(text, start)
    end_line, end_column = _position(text, stop) if stop <= len(text) else (line, column + stop - start)
    return Span(file, line, column, end_line, end_column)


def _position(text: str, index: int) -> tuple[int, int]:
    lines = re.split("\r\n|\r|\n", text[:index])
    return len(lines), len(lines[-1]) + 1


def _too_large(file: str, problems: Problems) -> None:
    problems.add("E002", Span(file, 1, 1, 1, 2), f"the spec is larger than {MAX_BYTES} bytes")
