"""Cuts the text of an expression into tokens."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from deqc.diagnostics import Span

KEYWORDS: Final = frozenset({"if", "else", "and", "or", "not", "true", "false"})
FUNCTIONS: Final = ("min", "max", "abs")
END: Final = "end"

_TOKEN: Final = re.compile(
    r"""[ ]*(?:
        (?P<decimal>(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+)
      | (?P<integer>[0-9]+)
      | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<symbol>\*\*|//|<=|>=|==|!=|[-+*/%<>().,])
    )""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class Token:
    """One token: `kind` is integer, decimal, name, symbol, keyword or end; `start` and `stop` count in the scalar."""

    kind: str
    text: str
    start: int
    stop: int


@dataclass(frozen=True)
class Place:
    """Turns positions in a scalar's text into places in the file."""

    text: str
    span: Span
    offset: int

    def span_of(self, start: int, stop: int) -> Span:
        """The place of `text[start:stop]`; the scalar's whole place where its text was folded or escaped."""
        whole = self.span
        written_plainly = whole.end_column - whole.column == len(self.text) + 2 * self.offset
        if whole.line != whole.end_line or not written_plainly:
            return whole
        column = whole.column + self.offset
        return Span(whole.file, whole.line, column + start, whole.line, column + max(stop, start + 1))


class MalformedError(Exception):
    """The text is no expression; says where and why."""

    def __init__(self, message: str, start: int, stop: int, *, hint: str | None = None, code: str = "E050") -> None:
        super().__init__(message)
        self.message, self.start, self.stop, self.hint, self.code = message, start, stop, hint, code


_HINTS: Final = {
    "=": "write `==` to compare",
    "&": "write `and`",
    "|": "write `or`",
    "!": "write `not`, or `!=` to compare",
    "^": "write `**` for a power",
    "$": "names are read without `$` here: `${x}` is a number, `$x` a tensor",
    "[": "nothing is indexed: a size is read as `in.channels`, `in.features`, …",
    "?": "a condition is written `a if condition else b`",
    "{": "an expression holds no braces",
    "}": "the expression is the whole value: no text after its `}`",
}


def tokenize(text: str) -> list[Token]:
    """The tokens of the scalar `${…}`, without its braces and with an end token."""
    tokens: list[Token] = []
    position, last = 2, len(text) - 1
    while position < last:
        if text[position] in " \n":
            position += 1
            continue
        found = _TOKEN.match(text, position, last)
        if found is None or found.lastgroup is None:
            character = text[position]
            shown = character if character.isprintable() else f"U+{ord(character):04X}"
            message = f"unexpected {shown!r} in an expression"
            raise MalformedError(message, position, position + 1, hint=_HINTS.get(character))
        word = found.group(found.lastgroup)
        kind = "keyword" if word in KEYWORDS else found.lastgroup
        tokens.append(Token(kind, word, found.start(found.lastgroup), found.end()))
        position = found.end()
    tokens.append(Token(END, "", last, last + 1))
    return tokens
