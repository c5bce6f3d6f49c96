"""Says in the words of a spec's author what PyYAML says in the words of a parser."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
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
# A key without the space after its colon, on a line of its own.
_TIGHT: Final = re.compile(r"[ ]*(?:- )?(?P<key>[A-Za-z]\w*):(?P<value>[^\s:/][^\r\n]*?)[ ]*(?:#.*)?$")
# Spaces that YAML takes for letters.
_BLANK: Final = re.compile("[\u00a0\u1680\u2000-\u200b\u202f\u205f\u2060\u3000]")
_PLAIN_QUOTES: Final = "\"'"
_QUOTES: Final = "\u201c\u201d\u201e\u2018\u2019"


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
    if _lookalike(fault, problems):
        return
    for pattern, tell in _TELLERS:
        if re.search(pattern, fault.problem):
            tell(fault, problems)
            return
    where = f" {fault.context}" if fault.context else ""
    problems.add("E004", fault.here(), f"{fault.problem}{where}")


def _span(mark: yaml.Mark, file: str, width: int = 1) -> Span:
    return Span(file, mark.line + 1, mark.column + 1, mark.line + 1, mark.column + 1 + width)


def _lookalike(fault: _Fault, problems: Problems) -> bool:
    """Whether the line before the fault holds a character that looks like a space; reports it."""
    number = fault.start().line
    line = fault.text[: fault.mark.index + 2].splitlines()[number - 1 : number]
    found = _BLANK.search(line[0]) if line else None
    if found is None:
        return False
    span = Span(fault.file, number, found.start() + 1, number, found.end() + 1)
    message = f"the character U+{ord(found[0]):04X} looks like a space and is none"
    problems.add("E004", span, message, hint="write a space")
    return True


def _unquoted_expression(fault: _Fault, problems: Problems) -> None:
    written = re.match(r"\{[^{}\r\n]*\}", fault.text[fault.mark.index :])
    shown = written[0] if written else "{…}"
    place = fault.here()
    before = len(fault.before) - len(fault.before.removesuffix("$").rstrip(_QUOTES))
    after = fault.text[fault.mark.index + len(shown) :]
    behind = len(after) - len(after.lstrip(_QUOTES))
    span = Span(place.file, place.line, place.column - before, place.line, place.column + len(shown) + behind)
    hint = f'write "${shown}"'
    name = re.fullmatch(r"\{\s*([A-Za-z]\w*)\s*\}", shown)
    if name is not None and re.search(r"[\[,]\s*\$$", fault.before):  # an entry of a list, where a value may stand
        hint += f" for a number, `${name[1]}` for a value"
    problems.add("E004", span, "inside `{…}` and `[…]` an expression is written in quotes", hint=hint)


def _character(fault: _Fault, problems: Problems) -> None:
    character = fault.text[fault.mark.index : fault.mark.index + 1]
    if character == "\t":
        line = fault.text[: fault.mark.index].rpartition("\n")[2]
        hint = "write a space in its place" if line.strip() else "YAML is indented with spaces"
        problems.add("E004", fault.here(), "a tab", hint=hint)
    else:
        message = f"unquoted text cannot start with {character!r}"
        hint = {"`": "write it without '`'", "@": "a value is read as `$name`"}.get(character, "put the text in quotes")
        problems.add("E004", fault.here(), message, hint=hint)


def _colon(fault: _Fault, problems: Problems) -> None:
    if ": " in fault.before:
        hint = "put text that contains ': ' in quotes; a mapping starts on a line of its own or in `{…}`"
        problems.add("E004", fault.here(), "a second ':' on one line", hint=hint)
        return
    lines = fault.text[: fault.mark.index].splitlines()[: fault.mark.line]
    for number, line in reversed(list(enumerate(lines, 1))):
        if line.strip() and not line.lstrip().startswith("#"):
            if tight := _TIGHT.match(line):
                span = Span(fault.file, number, tight.start("key") + 1, number, tight.end("value") + 1)
                _no_space(tight, span, problems)
                return
            break
    place = fault.here()
    indent = len(fault.before) - len(fault.before.lstrip(" "))
    span = Span(place.file, place.line, indent + 1, place.line, place.end_column)
    hint = "keys of one mapping start in the same column; fields of a step are indented further than its name"
    problems.add("E004", span, "a key where the value above goes on", hint=hint)


def _no_space(tight: re.Match[str], span: Span, problems: Problems) -> None:
    message = f"no space after the colon of '{tight['key']}'"
    problems.add("E004", span, message, hint=f"write `{tight['key']}: {tight['value']}`")


def _no_colon(fault: _Fault, problems: Problems) -> None:
    hint = "write `key: value`, with a space after the colon"
    written = fault.text[(fault.opening or fault.mark).index :]
    if entry := re.match(r"-([\w$\[{][^\r\n]{0,40})", written):
        problems.add("E004", fault.start(), "an entry of a list without a space", hint=f"write `- {entry[1].rstrip()}`")
        return
    start = fault.start()
    if tight := _TIGHT.match(written.splitlines()[0]):
        span = Span(start.file, start.line, start.column, start.line, start.column + tight.end("value"))
        _no_space(tight, span, problems)
        return
    if written.startswith("//"):
        hint = "a comment starts with '#'"
    problems.add("E004", fault.start(), "a key without ':'", hint=hint)


def _unclosed(fault: _Fault, problems: Problems) -> None:
    quote = fault.text[(fault.opening or fault.mark).index]
    problems.add("E004", fault.start(), "the quote is not closed", hint=f"write {quote} at its end")


def _block_item(fault: _Fault, problems: Problems) -> None:
    hint = "start the list on the next line, or write it in `[…]`"
    problems.add("E004", fault.here(), "a list item cannot start here", hint=hint)


def _in_flow(fault: _Fault, problems: Problems) -> None:
    what, close = ("list", "]") if "sequence" in fault.context else ("mapping", "}")
    related = [Related(fault.start(), f"the {what} is opened here")] if fault.opening else []
    message = f"expected ',' or '{close}', found {fault.found}"
    hint = f"close the {what} with '{close}', or write ',' between its entries"
    place = fault.here()
    if fault.found == "':'" and (word := re.search(r"\s(\w+|\"[^\"]*\"|'[^']*')$", fault.before)):
        place = Span(place.file, place.line, word.start(1) + 1, place.line, word.end(1) + 1)
        message, hint = f"no ',' before {word[1].strip(_PLAIN_QUOTES)!r}", f"write `, {word[1]}`"
    elif fault.found == "':'" and (slashes := fault.text.rfind("//", 0, fault.mark.index)) > 0:
        line = fault.text.count("\n", 0, slashes) + 1
        column = slashes - fault.text.rfind("\n", 0, slashes)
        place, message = Span(fault.file, line, column, line, column + 2), "a comment starts with '#'"
        hint = "write `#` in place of `//`, or remove the comment"
    elif fault.found == "'['" and (read := re.search(r"\$[A-Za-z]\w*$", fault.before)):
        index = re.match(r"\[(\d+)\]", fault.text[fault.mark.index :])
        hint = f"a scale of the state is read as `{read[0]}.{index[1] if index else 0}`"
    elif fault.found == "a value":
        hint = f"write ',' before it, or close the {what} with '{close}'"
    problems.add("E004", place, message, hint=hint, related=related)


def _in_block(fault: _Fault, problems: Problems) -> None:
    what = next((name for word, name in _PARTS.items() if word in fault.context), "block")
    related = [Related(fault.start(), f"the {what} starts here")] if fault.opening else []
    hint = f"indent it exactly like the entries beside it: those of one {what} start in the same column"
    if fault.found in ("']'", "'}'"):
        problems.add("E004", fault.here(), f"a {fault.found} that closes nothing", hint="remove it")
        return
    if fault.found == "'-'" and (dash := _dash_before(fault)):
        hint = f"start it in column {dash}, below the '-' that it follows"
    if _belongs_to_a_key_without_value(fault, problems):
        return
    message = f"{fault.found} that does not belong to the {what} above it"
    problems.add("E004", fault.here(), message, hint=hint, related=related)


def _dash_before(fault: _Fault) -> int | None:
    """The column of the dash on the line that the block starts on."""
    if fault.opening is None:
        return None
    line = fault.text[: fault.opening.index].splitlines()[-1] if fault.opening.column else ""
    return line.rfind("- ") + 1 or None


def _belongs_to_a_key_without_value(fault: _Fault, problems: Problems) -> bool:
    """Whether the line before is a key without a value, told of already: then this line is what belongs to it."""
    if not problems.found or problems.found[-1].code != "E013":
        return False
    empty = problems.found[-1]
    between = fault.text.splitlines()[empty.span.line : fault.mark.line]
    if any(line.strip() and not line.lstrip().startswith("#") for line in between):
        return False
    key = fault.text.splitlines()[empty.span.line - 1][empty.span.column - 1 : empty.span.end_column - 1]
    problems.found[-1] = replace(empty, hint=f"indent what belongs to '{key}' further than '{key}' itself")
    return True


def _missing(fault: _Fault, problems: Problems) -> None:
    hint = "remove one ','" if fault.found == "','" else None
    problems.add("E004", fault.here(), f"a value is missing before {fault.found}", hint=hint)


def _escape(fault: _Fault, problems: Problems) -> None:
    hint = "in single quotes a backslash is a backslash"
    problems.add("E004", fault.here(), "unknown escape sequence", hint=hint)


_ONE: Final = "a spec is one mapping, of lines such as `name: Model`, without '...' and '%'"


def _after_end(fault: _Fault, problems: Problems) -> None:
    problems.add("E004", fault.here(), "text that does not belong to the document", hint=_ONE)


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
