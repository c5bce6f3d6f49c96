"""Recursive descent over the tokens of an expression, one function a rule of the grammar."""

from __future__ import annotations

import math
from typing import Final

from deqc.diagnostics import Problems, Span
from deqc.spec.expressions.tokens import END, FUNCTIONS, MalformedError, Place, Token, tokenize
from deqc.spec.expressions.tree import Binary, Call, Conditional, Constant, Expression, Name, Tree, Unary
from deqc.spec.scalars import MAX_INT

MAX_LENGTH: Final = 200
MAX_DEPTH: Final = 16

_COMPARISONS: Final = ("<", "<=", ">", ">=", "==", "!=")
_CHAINED: Final = "comparisons are not chained: write `a < b and b < c`"


def is_expression(text: str) -> bool:
    """Whether a scalar is meant as an expression."""
    return text.startswith("${")


def parse(text: str, span: Span, problems: Problems, offset: int = 0) -> Expression | None:
    """Reads the scalar `${…}`; None after a diagnostic. `offset` is 1 where the scalar is written in quotes."""
    place = Place(text, span, offset)
    try:
        _check_frame(text)
        tree = _Parser(tokenize(text), place).whole()
    except MalformedError as mistake:
        problems.add(mistake.code, place.span_of(mistake.start, mistake.stop), mistake.message, hint=mistake.hint)
        return None
    return Expression(text, tree, span)


def _check_frame(text: str) -> None:
    if len(text) > MAX_LENGTH:
        raise MalformedError(
            f"an expression of {len(text)} characters; at most {MAX_LENGTH} are allowed",
            MAX_LENGTH,
            len(text),
            hint="name its parts in `constants`",
            code="E051",
        )
    if not is_expression(text):
        raise MalformedError("an expression starts with '${'", 0, len(text))
    if not text.endswith("}"):
        close = text.find("}")
        if close < 0:
            raise MalformedError("the expression is not closed", len(text) - 1, len(text), hint="write `}` at its end")
        hint = "an expression is the whole value: there is no text before or after it"
        raise MalformedError("text after an expression", close + 1, len(text), hint=hint)


class _Parser:
    def __init__(self, tokens: list[Token], place: Place) -> None:
        self._tokens = tokens
        self._place = place
        self._next = 0
        self._depth = 0

    def whole(self) -> Tree:
        """The expression up to its closing brace."""
        if self._peek().kind == END:
            raise MalformedError("an empty expression", 0, len(self._place.text), hint="write a number or a name in it")
        tree = self._expression()
        token = self._peek()
        if token.kind != END:
            hint = None
            if token.text in _COMPARISONS:
                hint = _CHAINED
            elif token.text == "(":
                hint = f"the functions are {', '.join(FUNCTIONS)}; `//` divides to a whole number"
            elif token.text.startswith("_"):
                hint = "a number is written without '_' inside"
            message = f"unexpected {token.text!r} after a complete expression"
            raise MalformedError(message, token.start, token.stop, hint=hint)
        return tree

    def _peek(self) -> Token:
        return self._tokens[self._next]

    def _take(self) -> Token:
        token = self._tokens[self._next]
        self._next += 1
        return token

    def _at(self, *texts: str) -> bool:
        token = self._peek()
        return token.kind in ("symbol", "keyword") and token.text in texts

    def _expect(self, text: str, why: str) -> Token:
        if not self._at(text):
            raise self._unexpected(f"{text!r} {why}")
        return self._take()

    def _unexpected(self, wanted: str) -> MalformedError:
        token = self._peek()
        found = "the end of the expression" if token.kind == END else repr(token.text)
        hint = "there is no unary `+`: leave it out" if token.text == "+" else None
        hint = _CHAINED if token.text in _COMPARISONS else hint
        return MalformedError(f"expected {wanted}, found {found}", token.start, token.stop, hint=hint)

    def _span(self, token: Token) -> Span:
        return self._place.span_of(token.start, token.stop)

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            token = self._peek()
            message = f"an expression nested deeper than {MAX_DEPTH}"
            raise MalformedError(message, token.start, token.stop, hint="name its parts in `constants`", code="E051")

    def _expression(self) -> Tree:
        self._deeper()
        tree = self._either()
        if self._at("if"):
            token = self._take()
            condition = self._either()
            self._expect("else", "after the condition")
            tree = Conditional(tree, condition, self._expression(), self._span(token))
        self._depth -= 1
        return tree

    def _either(self) -> Tree:
        tree = self._both()
        while self._at("or"):
            token = self._take()
            tree = Binary("or", tree, self._both(), self._span(token))
        return tree

    def _both(self) -> Tree:
        tree = self._negation()
        while self._at("and"):
            token = self._take()
            tree = Binary("and", tree, self._negation(), self._span(token))
        return tree

    def _negation(self) -> Tree:
        if not self._at("not"):
            return self._comparison()
        token = self._take()
        return Unary("not", self._comparison(), self._span(token))

    def _comparison(self) -> Tree:
        tree = self._sum()
        if self._at(*_COMPARISONS):
            token = self._take()
            tree = Binary(token.text, tree, self._sum(), self._span(token))
        return tree

    def _sum(self) -> Tree:
        tree = self._term()
        while self._at("+", "-"):
            token = self._take()
            tree = Binary(token.text, tree, self._term(), self._span(token))
        return tree

    def _term(self) -> Tree:
        tree = self._unary()
        while self._at("*", "/", "//", "%"):
            token = self._take()
            tree = Binary(token.text, tree, self._unary(), self._span(token))
        return tree

    def _unary(self) -> Tree:
        if not self._at("-"):
            return self._power()
        self._deeper()
        token = self._take()
        tree = Unary("-", self._unary(), self._span(token))
        self._depth -= 1
        return tree

    def _power(self) -> Tree:
        tree = self._atom()
        if self._at("**"):
            self._deeper()
            token = self._take()
            tree = Binary("**", tree, self._unary(), self._span(token))
            self._depth -= 1
        return tree

    def _atom(self) -> Tree:
        token = self._peek()
        if token.kind in ("integer", "decimal"):
            return Constant(_number(self._take()), self._span(token))
        if self._at("true", "false"):
            return Constant(self._take().text == "true", self._span(token))
        if self._at("("):
            self._take()
            tree = self._expression()
            self._expect(")", "to close '('")
            return tree
        if token.kind == "name":
            self._take()
            return self._call(token) if token.text in FUNCTIONS else self._name(token)
        raise self._unexpected("a number or a name")

    def _name(self, token: Token) -> Name:
        if not self._at("."):
            return Name(token.text, None, self._span(token))
        self._take()
        member = self._peek()
        if member.kind != "name":
            raise self._unexpected(f"a field after '{token.text}.'")
        self._take()
        return Name(token.text, member.text, self._place.span_of(token.start, member.stop))

    def _call(self, token: Token) -> Call:
        self._expect("(", f"after {token.text!r}")
        arguments = [self._expression()]
        while self._at(","):
            self._take()
            arguments.append(self._expression())
        self._expect(")", f"to close '{token.text}('")
        if token.text == "abs" and len(arguments) != 1:
            raise MalformedError(f"'abs' takes one number, not {len(arguments)}", token.start, token.stop)
        return Call(token.text, tuple(arguments), self._span(token))


def _number(token: Token) -> int | float:
    if token.kind == "decimal":
        value = float(token.text)
        if math.isfinite(value):
            return value
        raise MalformedError(f"{token.text} is too large", token.start, token.stop, code="E056")
    number = int(token.text)
    if number <= MAX_INT:
        return number
    raise MalformedError(f"{token.text} is larger than 2**53", token.start, token.stop, code="E056")
