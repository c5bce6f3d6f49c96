"""Says in the words of a spec's author what PyYAML says in the words of a parser."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import yaml

from deqc.diagnostics import Problems, Related, Span

_TOKENS: Final = {
    "<stream end>": "the end of the file",
    "<block end>": "the end of the block",
    "<block mapping start>": "a key",
    "<block sequence start>": "a list",
    "<scalar>": "a value",
    "<alias>": "an alias",
    "<anchor>": "an anchor",
    "<tag>": "a tag",
    "<document start>": "'---'",
    "<document end>": "'...'",
    "?": "a key",
}
_PARTS: Final = {"mapping": "mapping", "sequence": "list", "collection": "list"}


@dataclass(frozen=True)
class _Fault:
    """One error of PyYAML: its two texts, its places (the context's, if any, comes first), the spec's text."""

    context: str
    problem: str
    opening: yaml.Mark | None
    mark: yaml.Mark
    text: str
    file: str

    def here(self) -> Span:
        return _span(self.mark, self.file)

    def start(self) -> Span:
        return _span(self.opening or self.mark, self.file)

    @property
    def found(self) -> str:
        """The token that PyYAML did not expect, in plain words."""
        token = re.search(r"(?:found|got) '(.*)'$", self.problem)
        return "something else" if token is None else _TOKENS.get(token[1], f"'{token[1]}'")

    @property
    def before(self) -> str:
        """The line's text before the mark."""
        return self.text[self.mark.index - self.mark.column : self.mark.index]


def report(error: yaml.MarkedYAMLError, text: str, file: str, problems: Problems) -> None:
    """Adds the diagnostic of a syntax error."""
    mark = error.problem_mark or error.context_mark
    assert mark is not None, "errors of scanner and parser are marked"
    fault = _Fault(error.context or "", error.problem or "the text is not YAML", error.context_mark, mark, text, file)
    if text[mark.index - 1 : mark.index + 1] == "${":
        _unquoted_expression(fault, problems)
        return
    for pattern, tell in _TELLERS:
        if re.search(pattern, fault.problem):
            tell(fault, problems)
            return
    where = f" {fault.context}" if fault.context else ""
    problems.add("E004", fault.here(), f"{fault.problem}{where}")


def _span(mark: yaml.Mark, file: str, width: int = 1) -> Span:
    return Span(file, mark.line + 1, mark.column + 1, mark.line + 1, mark.column + 1 + width)


def _unquoted_expression(fault: _Fault, problems: Problems) -> None:
    written = re.match(r"\{[^{}\r\n]*\}", fault.text[fault.mark.index :])
    shown = written[0] if written else "{…}"
    place = fault.here()
    span = Span(place.file, place.line, place.column - 1, place.line, place.column + len(shown))
    hint = f'write "${shown}"'
    name = re.fullmatch(r"\{\s*([A-Za-z]\w*)\s*\}", shown)
    if name is not None and re.search(r"[\[,]\s*\$$", fault.before):  # an entry of a list, where a value may stand
        hint += f" for a number, `${name[1]}` for a value"
    problems.add("E004", span, "inside `{…}` and `[…]` an expression is written in quotes", hint=hint)


def _character(fault: _Fault, problems: Problems) -> None:
    character = fault.text[fault.mark.index : fault.mark.index + 1]
    if character == "\t":
        problems.add("E004", fault.here(), "a tab", hint="YAML is indented with spaces")
    else:
        message = f"unquoted text cannot start with {character!r}"
        problems.add("E004", fault.here(), message, hint="put the text in quotes")


def _colon(fault: _Fault, problems: Problems) -> None:
    if ": " in fault.before:
        hint = "put text that contains ': ' in quotes; a mapping starts on a line of its own or in `{…}`"
        problems.add("E004", fault.here(), "a second ':' on one line", hint=hint)
        return
    place = fault.here()
    indent = len(fault.before) - len(fault.before.lstrip(" "))
    span = Span(place.file, place.line, indent + 1, place.line, place.end_column)
    hint = "keys of one mapping start in the same column; fields of a step are indented further than its name"
    problems.add("E004", span, "a key where the value above goes on", hint=hint)


def _no_colon(fault: _Fault, problems: Problems) -> None:
    hint = "write `key: value`, with a space after the colon"
    written = fault.text[(fault.opening or fault.mark).index :]
    if entry := re.match(r"-([\w$\[{][^\r\n]{0,40})", written):
        problems.add("E004", fault.start(), "an entry of a list without a space", hint=f"write `- {entry[1].rstrip()}`")
        return
    problems.add("E004", fault.start(), "a key without ':'", hint=hint)


def _unclosed(fault: _Fault, problems: Problems) -> None:
    problems.add("E004", fault.start(), "the quote is not closed")


def _block_item(fault: _Fault, problems: Problems) -> None:
    hint = "start the list on the next line, or write it in `[…]`"
    problems.add("E004", fault.here(), "a list item cannot start here", hint=hint)


def _in_flow(fault: _Fault, problems: Problems) -> None:
    what, close = ("list", "]") if "sequence" in fault.context else ("mapping", "}")
    related = [Related(fault.start(), f"the {what} is opened here")] if fault.opening else []
    message = f"expected ',' or '{close}', found {fault.found}"
    hint = f"close the {what} with '{close}', or write ',' between its entries"
    problems.add("E004", fault.here(), message, hint=hint, related=related)


def _in_block(fault: _Fault, problems: Problems) -> None:
    what = next((name for word, name in _PARTS.items() if word in fault.context), "block")
    related = [Related(fault.start(), f"the {what} starts here")] if fault.opening else []
    hint = f"indent it exactly like the entries beside it: those of one {what} start in the same column"
    message = f"{fault.found} that does not belong to the {what} above it"
    problems.add("E004", fault.here(), message, hint=hint, related=related)


def _missing(fault: _Fault, problems: Problems) -> None:
    problems.add("E004", fault.here(), f"a value is missing before {fault.found}")


def _escape(fault: _Fault, problems: Problems) -> None:
    hint = "in single quotes a backslash is a backslash"
    problems.add("E004", fault.here(), "unknown escape sequence", hint=hint)


def _after_end(fault: _Fault, problems: Problems) -> None:
    problems.add("E004", fault.here(), "text that does not belong to the document", hint="remove '...' and '%' lines")


_TELLERS: Final[tuple[tuple[str, Callable[[_Fault, Problems], None]], ...]] = (
    ("cannot start any token", _character),
    ("mapping values are not allowed", _colon),
    ("could not find expected ':'", _no_colon),
    ("unexpected end of stream|unexpected document separator", _unclosed),
    ("sequence entries are not allowed", _block_item),
    (r"expected ',' or '[\]}]'", _in_flow),
    ("expected <block end>", _in_block),
    ("expected the node content", _missing),
    ("expected '<document start>'", _after_end),
    ("escape", _escape),
)
