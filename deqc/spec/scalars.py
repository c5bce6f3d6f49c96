"""What an unquoted scalar means: the core schema of YAML 1.2, with numbers bounded."""

from __future__ import annotations

import math
import re
from typing import Final

from deqc.diagnostics import Problems, Span
from deqc.spec.tree import Plain

MAX_INT: Final = 2**53

_WORDS: Final[dict[str, bool | None]] = {
    **dict.fromkeys(("null", "Null", "NULL", "~"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INT: Final = re.compile(r"[-+]?[0-9]+")
_BASED: Final = re.compile(r"0o(?P<octal>[0-7]+)|0x(?P<hex>[0-9a-fA-F]+)")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE: Final = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")


def resolve(text: str, span: Span, problems: Problems) -> Plain:
    """The value of an unquoted scalar; null after a diagnostic."""
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return _int(text, 10, span, problems)
    if based := _BASED.fullmatch(text):
        return _int(text[2:], 8 if based["octal"] else 16, span, problems)
    if _FLOAT.fullmatch(text):
        value = float(text)
        if math.isfinite(value):
            return value
        problems.add("E014", span, f"the number {_short(text)} is too large")
        return None
    if _NOT_FINITE.fullmatch(text):
        problems.add("E014", span, f"{text} is not a number that a spec can use", expected="a finite number")
        return None
    return text


def _int(digits: str, base: int, span: Span, problems: Problems) -> int | None:
    # The length first: making an int of many digits takes quadratic time, and Python refuses more than 4,300.
    significant = digits.lstrip("+-").lstrip("0") or "0"
    if len(significant) <= 20 and (size := int(significant, base)) <= MAX_INT:
        return -size if digits.startswith("-") else size
    problems.add("E014", span, f"the integer {_short(digits)} is too large", expected="an integer of at most 2**53")
    return None


def _short(text: str) -> str:
    return text if len(text) <= 24 else f"{text[:12]}… ({len(text)} characters)"
