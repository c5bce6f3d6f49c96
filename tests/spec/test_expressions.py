"""Expressions: their grammar, their values against Python's own, their limits, and where their errors point."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deqc.diagnostics import Diagnostic, Problems, Span
from deqc.spec.expressions import Expression, Number, evaluate, is_expression, parse

SCOPE: dict[str, Any] = {
    "a": 3,
    "b": -2,
    "c": 0.5,
    "yes": True,
    "width": 64,
    "in": {"rank": 3, "size": 48, "channels": 3, "features": 4, "height": 4, "width": 4},
    "scale": {"rank": 1, "size": 5, "channels": 5, "features": 5, "index": 2},
    "from": {"rank": 1, "size": 7, "index": 1},
    "scales": {"count": 4},
}


def place(text: str, column: int = 1) -> Span:
    return Span("f", 1, column, 1, column + len(text))


def read(inner: str) -> Expression:
    problems = Problems()
    expression = parse(f"${{{inner}}}", place(f"${{{inner}}}"), problems)
    assert expression is not None, problems.found
    assert not problems.found
    return expression


def value(inner: str) -> Number:
    problems = Problems()
    result = evaluate(read(inner), SCOPE, problems)
    assert not problems.found
    assert result is not None
    return result


def refused(text: str, column: int = 1, offset: int = 0) -> Diagnostic:
    """The one diagnostic of a scalar that is wrong, from reading or from evaluating."""
    problems = Problems()
    span = Span("f", 1, column, 1, column + len(text) + 2 * offset)
    expression = parse(text, span, problems, offset)
    if expression is not None:
        assert evaluate(expression, SCOPE, problems) is None
    (only,) = problems.found
    return only


@pytest.mark.parametrize(
    ("inner", "expected"),
    [
        ("1 + 2 * 3", 7),
        ("(1 + 2) * 3", 9),
        ("2 - 3 - 4", -5),
        ("-2 ** 2", -4),
        ("2 ** 3 ** 2", 512),
        ("2 ** -0", 1),
        ("- -3", 3),
        ("7 // 2", 3),
        ("-7 // 2", -4),
        ("-7 % 3", 2),
        ("7 / 2", 3.5),
        ("4 / 2", 2.0),
        ("0 ** 0", 1),
        ("2 ** 53", 2**53),
        ("9 ** 0.5", 3.0),
        ("010", 10),
        ("1e-3", 0.001),
        (".5 + 1.", 1.5),
        ("min(3, a, 9 - 7)", 2),
        ("max(1)", 1),
        ("abs(b)", 2),
        ("in.channels * 5", 15),
        ("in.height // scale.size", 0),
        ("from.index + scales.count", 5),
        ("1 if a > b else 2", 1),
        ("1 if false else 2 if false else 3", 3),
        ("not a == b", True),
        ("not a == b and yes", True),
        ("true or false and false", True),
        ("yes == true", True),
        ("a != 3", False),
        ("1 == 1.0", True),
        ("a <= 3 and 3 >= a", True),
    ],
)
def test_values(inner: str, expected: Number) -> None:
    result = value(inner)
    assert result == expected
    assert type(result) is type(expected)


@pytest.mark.parametrize(
    "inner",
    ["1 if true else 1 // 0", "1 if in.rank == 3 else in.length", "true or 1 // 0 == 1", "false and in.length > 1"],
)
def test_what_is_not_needed_is_not_computed(inner: str) -> None:
    value(inner)


@pytest.mark.parametrize(
    ("text", "code", "start", "stop", "message"),
    [
        ("${}", "E050", 1, 4, "empty"),
        ("${  }", "E050", 1, 6, "empty"),
        ("${a", "E050", 3, 4, "not closed"),
        ("${a} + 1", "E050", 5, 9, "text after"),
        ("${a}}", "E050", 4, 5, "unexpected '}'"),
        ("${1 +}", "E050", 6, 7, "found the end"),
        ("${+1}", "E050", 3, 4, "found '+'"),
        ("${1 2}", "E050", 5, 6, "unexpected '2'"),
        ("${2x}", "E050", 4, 5, "unexpected 'x'"),
        ("${1_000}", "E050", 4, 8, "unexpected '_000'"),
        ("${a ? 1}", "E050", 5, 6, "unexpected '?'"),
        ("${a = 1}", "E050", 5, 6, "unexpected '='"),
        ("${$a}", "E050", 3, 4, "unexpected '$'"),
        ("${a < b < c}", "E050", 9, 10, "unexpected '<'"),
        ("${not not yes}", "E050", 7, 10, "found 'not'"),
        ("${round(1)}", "E050", 8, 9, "unexpected '('"),
        ("${min}", "E050", 6, 7, "'(' after 'min'"),
        ("${min()}", "E050", 7, 8, "found ')'"),
        ("${abs(1, 2)}", "E050", 3, 6, "takes one number"),
        ("${(1}", "E050", 5, 6, "to close '('"),
        ("${1 if yes}", "E050", 11, 12, "'else'"),
        ("${in.}", "E050", 6, 7, "a field after 'in.'"),
        ("${in.rank.rank}", "E050", 10, 11, "unexpected '.'"),
        ("${'a'}", "E050", 3, 4, "unexpected"),
        ("${a[0]}", "E050", 4, 5, "unexpected '['"),
        ("${é}", "E050", 3, 4, "unexpected 'é'"),
        ("${\x07}", "E050", 3, 4, "U+0007"),
        ("${" + "1+" * 100 + "1}", "E051", 201, 205, "204 characters"),
        ("${" + "(" * 16 + "1" + ")" * 16 + "}", "E051", 19, 20, "deeper than 16"),
        ("${" + "-" * 20 + "1}", "E051", 18, 19, "deeper than 16"),
        ("${" + "1**" * 20 + "1}", "E051", 49, 51, "deeper than 16"),
        ("${wdth}", "E052", 3, 7, "did you mean 'width'"),
        ("${1 if true else nothing}", "E052", 18, 25, "unknown name 'nothing'"),
        ("${True}", "E052", 3, 7, "unknown name 'True'"),
        ("${in.heigth}", "E053", 3, 12, "did you mean 'in.height'"),
        ("${in.length}", "E053", 3, 12, "'in' of rank 3 has no field 'length'"),
        ("${in.index}", "E053", 3, 11, "no field 'index'"),
        ("${in}", "E053", 3, 5, "not a number"),
        ("${a.rank}", "E053", 3, 9, "is a number"),
        ("${1 + yes}", "E054", 5, 6, "'+' takes numbers, not true"),
        ("${-yes}", "E054", 3, 4, "'-' takes numbers"),
        ("${yes < 1}", "E054", 7, 8, "'<' takes numbers"),
        ("${max(1, yes)}", "E054", 3, 6, "'max' takes numbers"),
        ("${yes == 1}", "E054", 7, 9, "cannot be compared"),
        ("${1 if a else 2}", "E054", 5, 7, "'if' takes true or false, not 3"),
        ("${not a}", "E054", 3, 6, "'not' takes true or false"),
        ("${yes and 1}", "E054", 7, 10, "'and' takes true or false"),
        ("${a / (b + 2)}", "E055", 5, 6, "division by zero"),
        ("${a // 0}", "E055", 5, 7, "division by zero"),
        ("${a % 0.0}", "E055", 5, 6, "division by zero"),
        ("${9007199254740993}", "E056", 3, 19, "larger than 2**53"),
        ("${2 ** 53 + 1}", "E056", 11, 12, "larger than 2**53"),
        ("${-9007199254740992 - 1}", "E056", 21, 22, "larger than 2**53"),
        ("${2 ** 54}", "E056", 5, 7, "larger than 2**53"),
        ("${3 ** 64}", "E056", 5, 7, "larger than 2**53"),
        ("${-3 ** 64}", "E056", 6, 8, "larger than 2**53"),
        ("${9007199254740992 ** 64}", "E056", 20, 22, "larger than 2**53"),
        ("${1e308 * 10}", "E056", 9, 10, "not finite"),
        ("${1e308 ** 2}", "E056", 9, 11, "not finite"),
        ("${1e309}", "E056", 3, 8, "too large"),
        ("${2 ** 65}", "E057", 5, 7, "not between 0 and 64"),
        ("${2 ** -1}", "E057", 5, 7, "not between 0 and 64"),
        ("${(-2) ** 0.5}", "E057", 8, 10, "no power with a fraction"),
    ],
)
def test_mistakes_point_at_the_character(text: str, code: str, start: int, stop: int, message: str) -> None:
    found = refused(text)
    assert (found.code, found.span.column, found.span.end_column) == (code, start, stop)
    assert message in found.message


def test_quotes_and_the_place_in_the_line_shift_the_column() -> None:
    assert refused("${a ? 1}", column=10, offset=1).span == Span("f", 1, 15, 1, 16)


def test_an_escaped_or_folded_scalar_is_pointed_at_as_a_whole() -> None:
    problems = Problems()
    escaped, folded = Span("f", 1, 1, 1, 40), Span("f", 1, 1, 2, 10)
    for span in (escaped, folded):
        assert parse("${a ? 1}", span, problems, offset=1) is None
    assert [found.span for found in problems.found] == [escaped, folded]


def test_all_unknown_names_are_reported() -> None:
    problems = Problems()
    assert evaluate(read("wdth + in.hight * nothing"), SCOPE, problems) is None
    assert [found.code for found in problems.found] == ["E052", "E053", "E052"]


def test_free_names_are_dotted() -> None:
    assert read("in.channels * a if from.index > to.index else min(a, k)").free_names() == {
        "in.channels",
        "a",
        "from.index",
        "to.index",
        "k",
    }


def test_an_expression_is_known_by_its_first_characters() -> None:
    assert is_expression("${a}")
    assert is_expression("${a")
    assert not is_expression("$a")
    assert not is_expression("a ${b}")


def test_trees_tell_numbers_of_different_types_apart() -> None:
    assert read("1").tree != read("1.0").tree
    assert read("1").tree != read("true").tree
    assert read("1 + 2").tree == read("(1)+  2").tree


@pytest.mark.parametrize(
    ("inner", "canonical"),
    [
        ("(a)+(b*2)", "a + b * 2"),
        ("(a+b)*2", "(a + b) * 2"),
        ("a-(b-1)", "a - (b - 1)"),
        ("(a-b)-1", "a - b - 1"),
        ("(-a)**2", "(-a) ** 2"),
        ("-(a**2)", "-a ** 2"),
        ("(2**3)**2", "(2 ** 3) ** 2"),
        ("2**(3**2)", "2 ** 3 ** 2"),
        ("2**(-1)", "2 ** -1"),
        ("not (not yes)", "not (not yes)"),
        ("(not yes) == true", "(not yes) == true"),
        ("(a<b)==(b<c)", "(a < b) == (b < c)"),
        ("(1 if yes else 2) if yes else (3 if yes else 4)", "(1 if yes else 2) if yes else 3 if yes else 4"),
        ("min((1),(2 if yes else 3))", "min(1, 2 if yes else 3)"),
        ("1e-3", "0.001"),
        ("TRUE if true else 1", "TRUE if true else 1"),
    ],
)
def test_canonical_text(inner: str, canonical: str) -> None:
    assert str(read(inner)) == f"${{{canonical}}}"


# Against Python: text made by the grammar's own levels, so that precedence is put to the test, not parentheses.

ATOMS = st.sampled_from(["0", "1", "2", "3", "7", "a", "b", "width"])


def number_texts(depth: int) -> st.SearchStrategy[str]:
    if depth == 0:
        return ATOMS
    inner = number_texts(depth - 1)
    binary = st.tuples(inner, st.sampled_from(["+", "-", "*", "//", "%", "/", "**"]), inner).map(" ".join)
    choice = st.tuples(inner, truth_texts(depth - 1), inner).map(lambda t: f"({t[0]} if {t[1]} else {t[2]})")
    call = st.tuples(st.sampled_from(["min", "max"]), inner, inner).map(lambda t: f"{t[0]}({t[1]}, {t[2]})")
    return ATOMS | binary | inner.map(lambda t: f"-{t}") | inner.map(lambda t: f"({t})") | choice | call


def truth_texts(depth: int) -> st.SearchStrategy[str]:
    leaf = st.sampled_from(["True", "False", "yes"])
    if depth == 0:
        return leaf
    numbers, inner = number_texts(depth - 1), truth_texts(depth - 1)
    compared = st.tuples(numbers, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), numbers).map(" ".join)
    joined = st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(" ".join)
    return leaf | compared | joined | inner.map(lambda t: f"not ({t})")


def ours(text: str) -> tuple[Number | None, list[Diagnostic]]:
    source = "${" + text.replace("True", "true").replace("False", "false") + "}"
    problems = Problems()
    expression = parse(source, place(source), problems)
    return (None if expression is None else evaluate(expression, SCOPE, problems)), problems.found


@settings(max_examples=600, deadline=None, derandomize=True)
@given(number_texts(3) | truth_texts(3))
def test_values_are_those_of_python(text: str) -> None:
    result, found = ours(text)
    if result is not None:
        expected = eval(text, {"__builtins__": {"min": min, "max": max}}, {"a": 3, "b": -2, "yes": True, "width": 64})
        assert result == expected
        assert type(result) is type(expected)
        return
    (only,) = found
    if only.code == "E055":
        with pytest.raises((ZeroDivisionError, OverflowError)):
            eval(text, {"__builtins__": {"min": min, "max": max}}, {"a": 3, "b": -2, "yes": True, "width": 64})
    else:
        # Python goes on where a bound of the language stops.
        assert only.code in ("E051", "E056", "E057")


@settings(max_examples=300, deadline=None, derandomize=True)
@given(number_texts(3) | truth_texts(3))
def test_the_canonical_text_reads_as_the_same_tree(text: str) -> None:
    source = "${" + text.replace("True", "true").replace("False", "false") + "}"
    problems = Problems()
    expression = parse(source, place(source), problems)
    if expression is not None:
        again = parse(str(expression), place(str(expression)), problems)
        if again is not None:  # the canonical text may be longer than the longest that is read
            assert again.tree == expression.tree
            assert str(again) == str(expression)


ALPHABET = "0123456789.eE+-*/%()<>=!,abinftrueorndl _ ifelse${}é\n\t"


@settings(max_examples=600, deadline=None, derandomize=True)
@given(st.text(ALPHABET, max_size=60) | st.text(max_size=250))
def test_any_text_gives_a_value_or_one_place(inner: str) -> None:
    text = "${" + inner + "}"
    problems = Problems()
    expression = parse(text, place(text), problems)
    if expression is None:
        assert len(problems.found) == 1
        span = problems.found[0].span
        assert 1 <= span.column < span.end_column <= len(text) + 2
    else:
        result = evaluate(expression, SCOPE, problems)
        assert (result is None) is bool(problems.found)


@settings(deadline=None, derandomize=True)
@given(st.integers(-(2**53), 2**53), st.integers(1, 2**53))
def test_integers_stay_exact(left: int, right: int) -> None:
    # The sign binds tighter than the division, as in Python.
    assert value(f"{left} // {right}") == left // right
    assert value(f"{left} % {right}") == left % right
    assert value(f"{left} / {right}") == left / right
