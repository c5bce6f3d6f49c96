"""What a text was probably meant to be that YAML, or deqc, does not read so: a number, a list of sizes, steps."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

from deqc.ops import STEPS
from deqc.spec.names import did_you_mean

QUOTES: Final = "\u201c\u201d\u201e\u2018\u2019\"'"  # also those that only word processors know
_NUMBER: Final = re.compile(r"([-+]?[0-9][0-9_]*(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?)\s*(%|[A-Za-z]*)\Z")
_EXPRESSION: Final = re.compile(r"\s*\$[({]\s*([^{}]*[^{}\s])\s*[)}]\s*")
_SIZES: Final = re.compile(r"[(\[]?\s*([0-9]+(?:\s*[x×*,\s]\s*[0-9]+)*)\s*,?\s*[)\]]?\Z")
_CALL: Final = re.compile(r"(?:\w+\.)*([A-Za-z]\w*)(?:\(([^()]*)\))?\Z")
_BETWEEN: Final = re.compile(r"\s*(?:->|→|>|\|)\s*|\s*,\s*|\s+")


def number(text: str) -> str | None:
    """`30 steps`, `10%`, `1_024`, `1e−3` or `“4”` as numbers."""
    found = _NUMBER.match(text.strip(QUOTES).replace("\u2212", "-"))
    if found is None:
        return None
    plain = found[1].replace("_", "")
    return f"{float(plain) / 100:g}" if found[2] == "%" else plain


def expression(text: str) -> str | None:
    """`$(w)` or ` ${w} ` as an expression; None where it is none."""
    found = _EXPRESSION.fullmatch(text)
    return None if found is None else f"${{{found[1]}}}"


def sizes(text: str) -> str | None:
    """`3x8x8`, `(3, 8)`, `3 8 8` or `4` as a list of sizes."""
    found = _SIZES.match(text.strip(QUOTES))
    return None if found is None else f"[{', '.join(re.findall('[0-9]+', found[1]))}]"


def step(text: str, known: Collection[str]) -> str | None:
    """`nn.Linear(4)` as a step: `{linear: 4}`; None where it is none."""
    called = _CALL.match(text)
    if called is None or called[1] == text:
        return None
    name = did_you_mean(called[1], known)
    if name is None:
        return None
    arguments = [one.strip() for one in (called[2] or "").split(",") if one.strip()]
    if not arguments or (name in STEPS and not STEPS[name].fields):
        return name
    return f"{{{name}: {arguments[0]}}}" if len(arguments) == 1 and arguments[0].isdigit() else f"{{{name}: …}}"


def steps(text: str, known: Collection[str]) -> str | None:
    """`tanh relu` or `linear -> tanh` as entries of a list; None where they are no steps."""
    words = [one for one in _BETWEEN.split(text) if one]
    named = all(one in known or re.fullmatch(r"\$\w+(\.\d+)?", one) for one in words)
    return ", ".join(words) if len(words) > 1 and named else None
