"""Breaks statements into lines of at most 120 columns, where `ruff format` would."""

from __future__ import annotations

from deqc.ops.code import Attribute, Call, Code, Infix, Items, Keyword, Lambda, Term, flat, terms

WIDTH = 120


def statement(before: str, code: Code, indent: int) -> tuple[str, ...]:
    """`before` and the expression, e.g. `x = …` or `return …`, in a block that is indented by so many columns."""
    return tuple(_lines(before, code, "", indent, wrap=True))


def _lines(before: str, code: Code, after: str, indent: int, wrap: bool = False) -> list[str]:
    line = before + flat(code) + after
    if len(line) + indent <= WIDTH:
        return [line]
    match code:
        case Call(function=Attribute(value=(Call() | Items()) as value, name=name), arguments=arguments) if (
            len(f"{before}{flat(code.function)}(") + indent > WIDTH
        ):
            return _lines(before, value, f".{name}({', '.join(map(flat, arguments))}){after}", indent)
        case Call(function=function, arguments=arguments):
            return _bracketed(f"{before}{flat(function)}(", arguments, f"){after}", indent)
        case Items(items=items, brackets=brackets):
            return _opened(before + brackets[0], items, brackets[1] + after, indent)
        case Keyword(name=name, value=value):
            return _lines(f"{before}{name}=", value, after, indent)
        case Lambda(argument=argument, body=body):
            return _lines(f"{before}lambda {argument}: ", body, after, indent)
        case Infix():
            chain = terms(code)
            if not wrap:
                return _rows(before, chain, after, indent)
            bare = _bare(before, chain, after, indent)
            if bare:
                return bare
            rows = [flat(code)] if len(flat(code)) + indent + 4 <= WIDTH else _rows("", chain, "", indent + 4)
            return [f"{before}(", *(f"    {row}" for row in rows), f"){after}"]
        case Attribute() | _:
            return [line]


def _rows(before: str, chain: tuple[Term, ...], after: str, indent: int) -> list[str]:
    """A term a line, each behind its operator."""
    rows: list[str] = []
    for k, term in enumerate(chain):
        lead = before if k == 0 else term.operator.lstrip()
        rows += _term(lead, term, after if k == len(chain) - 1 else "", indent)
    return rows


def _term(before: str, term: Term, after: str, indent: int) -> list[str]:
    if not term.held or len(before + term.text + after) + indent <= WIDTH:
        return _lines(before, term.code, after, indent) if not term.held else [before + term.text + after]
    return [f"{before}(", *(f"    {line}" for line in _lines("", term.code, "", indent + 4)), f"){after}"]


def _bare(before: str, chain: tuple[Term, ...], after: str, indent: int) -> list[str] | None:
    """Two terms whose own brackets break instead of parentheses around both; None where that does not fit."""
    if len(chain) > 2 or not (_opens(chain[1]) or chain[0].held or isinstance(chain[0].code, Items)):
        return None
    first, last = chain
    lines = [f"{before}{first.text}"]
    if len(lines[0] + last.operator + (_opening(last) if _opens(last) else last.text + after)) + indent > WIDTH:
        lines = _broken(before, first, indent)
    lines[-1:] = _term(f"{lines[-1]}{last.operator}", last, after, indent)
    return lines if all(len(line) + indent <= WIDTH for line in lines) else None


def _broken(before: str, term: Term, indent: int) -> list[str]:
    """A term with its brackets opened, though it might fit on the line by itself."""
    if term.held:
        return [f"{before}(", *(f"    {line}" for line in _lines("", term.code, "", indent + 4)), ")"]
    match term.code:
        case Call(function=function, arguments=arguments) if arguments:
            return _bracketed(f"{before}{flat(function)}(", arguments, ")", indent)
        case Items(items=items, brackets=brackets):
            return _opened(before + brackets[0], items, brackets[1], indent)
        case _:
            return [before + term.text]


def _opens(term: Term) -> bool:
    """Whether a term ends in brackets with something inside."""
    match term.code:
        case Call(arguments=arguments):
            return term.held or bool(arguments)
        case Items():
            return True
        case _:
            return term.held


def _opening(term: Term) -> str:
    return "(" if term.held else flat(term.code.function) + "(" if isinstance(term.code, Call) else "["


def _bracketed(opening: str, items: tuple[Code, ...], closing: str, indent: int) -> list[str]:
    """Arguments on a line of their own if they fit there, else one a line."""
    joined = "    " + ", ".join(map(flat, items))
    if len(joined) + indent <= WIDTH:
        return [opening, joined, closing]
    return _opened(opening, items, closing, indent)


def _opened(opening: str, items: tuple[Code, ...], closing: str, indent: int) -> list[str]:
    """Items one a line."""
    body = [f"    {line}" for item in items for line in _lines("", item, ",", indent + 4)]
    return [opening, *body, closing]
