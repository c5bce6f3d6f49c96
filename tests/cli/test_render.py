"""Diagnostics as a person and as a program read them."""

from __future__ import annotations

import json

import click
import pytest

from deqc.cli.render import render_json, render_text, visible
from deqc.diagnostics import Diagnostic, Related, Severity, Span


def shown(text: str, span: Span, **more: object) -> str:
    diagnostic = Diagnostic("E031", "a mistake", span, **more)  # type: ignore[arg-type]
    return render_text([diagnostic], {"m.yaml": text})


def at(line: int, start: int, stop: int, end_line: int | None = None) -> Span:
    return Span("m.yaml", line, start, end_line or line, stop)


def test_a_diagnostic_in_full() -> None:
    text = "deqc: 1\nname: M\nscale: [4]\nscale: [5]\n"
    diagnostic = Diagnostic(
        "E010",
        "the key 'scale' is given twice",
        at(4, 1, 6),
        expected="each key once",
        hint="remove one",
        related=(Related(at(3, 1, 6), "first given here"),),
    )
    warning = Diagnostic("N101", "look here", at(2, 7, 8), severity=Severity.WARNING)
    assert render_text([diagnostic, diagnostic, warning], {"m.yaml": text}).split("\n\n")[1:] == [
        "m.yaml:4:1: error[E010]: the key 'scale' is given twice\n"
        "   4 | scale: [5]\n"
        "     | ^^^^^\n"
        "     = expected: each key once\n"
        "     = hint: remove one\n"
        "m.yaml:3:1: note: first given here\n"
        "   3 | scale: [4]\n"
        "     | ^^^^^",
        "m.yaml:2:7: warning[N101]: look here\n   2 | name: M\n     |       ^",
        "2 errors, 1 warning\n",
    ]


def test_nothing_is_shown_as_nothing() -> None:
    assert render_text([], {}) == ""


@pytest.mark.parametrize(
    ("text", "span", "line", "underline"),
    [
        ("ab: 1", at(1, 1, 3), "ab: 1", "^^"),
        ("ab: 1", at(1, 6, 6), "ab: 1", "     ^"),
        ("ab: 1", at(1, 6, 7), "ab: 1", "     ^"),
        ("ab: 1", at(1, 40, 44), "ab: 1", "     ^"),
        ("ab: [1,  \n  2]", at(1, 5, 5, 2), "ab: [1,", "    ^^^"),
        ("a\tb: 1", at(1, 3, 4), "a    b: 1", "     ^"),
        ("\ta: 1", at(1, 1, 2), "    a: 1", "^^^^"),
        ("日本: 語", at(1, 5, 6), "日本: 語", "      ^^"),
        ("ＡＢ: 1", at(1, 2, 3), "ＡＢ: 1", "  ^^"),
        ("e\u0301a: 1", at(1, 3, 4), "e\u0301a: 1", " ^"),
        ("a\x1b[31mb: 1", at(1, 2, 3), "a\\x1b[31mb: 1", " ^^^^"),
        ("\ufeffab: 1", at(1, 1, 3), "ab: 1", "^^"),
        ("\u202eab\u200b: 1", at(1, 2, 4), "\\u202eab\\u200b: 1", "      ^^"),
        ("first\r\nsecond", at(2, 1, 7), "second", "^^^^^^"),
        ("first\rsecond\r", at(2, 1, 7), "second", "^^^^^^"),
        ("", at(1, 1, 1), "", "^"),
    ],
)
def test_the_line_and_what_is_under_it(text: str, span: Span, line: str, underline: str) -> None:
    _, source, carets, *_ = shown(text, span).split("\n")
    assert source == f"{span.line:>4} | {line}".rstrip()
    assert carets == f"     | {underline}"


def test_long_lines_are_cut_around_the_mistake() -> None:
    text = "a: [" + "1, " * 1000 + "x" * 500 + "]"
    span = at(1, 3005, 3505)
    _, source, carets, *_ = shown(text, span).split("\n")
    assert len(source) < 130
    assert source.startswith("   1 | …")
    assert source.endswith("x…")
    assert source[carets.index("^")] == "x"
    assert source[carets.index("^") - 1] == " "
    assert len(carets) == len(source) - 1
    _, source, carets, *_ = shown("x" * 1000, at(1, 1, 3)).split("\n")
    assert source == "   1 | " + "x" * 110 + "…"
    assert carets == "     | ^^"


def test_a_place_without_its_text_is_named_all_the_same() -> None:
    for span in (Span("other.yaml", 3, 4, 3, 5), at(9, 1, 2), at(0, 1, 2)):
        assert shown("a: 1\n", span).split("\n")[1:] == ["", "1 error", ""]


def test_no_control_character_reaches_the_terminal() -> None:
    nasty = "\x1b]0;owned\x07\x9b31m\u202e\r\n\ud800"
    span = Span(f"{nasty}.yaml", 1, 1, 1, 3)
    related = (Related(span, nasty),)
    diagnostic = Diagnostic("E031", nasty, span, expected=nasty, hint=nasty, related=related)
    text = render_text([diagnostic], {span.file: f"{nasty}\n"})
    assert all(character.isprintable() or character == "\n" for character in text)
    text.encode("utf-8")
    assert "\n" not in visible(nasty)


def test_endless_messages_are_cut() -> None:
    assert len(visible("x" * 1_000_000)) < 500


def test_colour_adds_nothing_but_colour() -> None:
    diagnostic = Diagnostic("E031", "a mistake", at(1, 1, 2), hint="mend it", related=(Related(at(1, 4, 5), "there"),))
    plain = render_text([diagnostic], {"m.yaml": "a: 1\n"})
    coloured = render_text([diagnostic], {"m.yaml": "a: 1\n"}, color=True)
    assert "\x1b[31m" in coloured
    assert "\x1b" not in plain
    assert click.unstyle(coloured) == plain


def test_json() -> None:
    related = (Related(at(3, 1, 6), "first given hére"),)
    text = render_json([Diagnostic("E010", "twice \x1b", at(4, 1, 6), hint="remove one", related=related)])
    assert text.isascii()
    assert json.loads(text) == [
        {
            "code": "E010",
            "severity": "error",
            "file": "m.yaml",
            "line": 4,
            "column": 1,
            "end_line": 4,
            "end_column": 6,
            "message": "twice \x1b",
            "expected": None,
            "hint": "remove one",
            "related": [
                {
                    "file": "m.yaml",
                    "line": 3,
                    "column": 1,
                    "end_line": 3,
                    "end_column": 6,
                    "message": "first given hére",
                }
            ],
        }
    ]
    assert json.loads(render_json([])) == []
