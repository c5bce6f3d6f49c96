"""Breaks statements into lines of at most 120 columns, where `ruff format` would."""

from __future__ import annotations

from deqc.ops.code import Attribute, Call, Code, Infix, Items, Keyword, flat

WIDTH = 120


def statement(before: str, code: Code, indent: int) -> tuple[str, ...]:
    """`before` and the expression, e.g. `x = …` or `return …`, in a block that is indented by so many columns."""
    return tuple(_lines(before, code, "", indent, wrap=True))


def _lines(before: str, code: Code, after: str, indent: int, wrap: bool = False) -> list[str]:
    line = before + flat(code) + after
    if len(line) + indent <= WIDTH:
        return [line]
    match code:
        case Call(function=function, arguments=arguments):
            return _bracketed(f"{before}{flat(function)}(", arguments, f"){after}", indent)
        case Items(items=items, brackets=brackets):
            return _bracketed(before + brackets[0], items, brackets[1] + after, indent)
        case Keyword(name=name, value=value):
            return _lines(f"{before}{name}=", value, after, indent)
        case Infix(operator=operator, operands=operands, binding=binding):
            lead = "    " if wrap else ""
            texts = [flat(Infix(operator, (o,), binding)) for o in operands]
            rows = [lead + texts[0], *(f"{lead}{operator} {text}" for text in texts[1:])]
            return [f"{before}(", *rows, f"){after}"] if wrap else [before + rows[0], *rows[1:-1], rows[-1] + after]
        case Attribute() | _:
            return [line]


def _bracketed(opening: str, items: tuple[Code, ...], closing: str, indent: int) -> list[str]:
    """Items on a line of their own if they fit there, else one a line."""
    joined = "    " + ", ".join(map(flat, items))
    if len(joined) + indent <= WIDTH:
        return [opening, joined, closing]
    body = [f"    {line}" for item in items for line in _lines("", item, ",", indent + 4)]
    return [opening, *body, closing]
