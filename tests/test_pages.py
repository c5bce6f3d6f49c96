"""Every code has a page; its examples are what they are said to be."""

from __future__ import annotations

from pathlib import Path

import pytest

import deqc
from deqc.codes import CODES
from deqc.pages import page
from tests.cli.test_commands import call

# Bytes, sizes, limits, and what only the command line meets.
WITHOUT_AN_EXAMPLE = {"E001", "E002", "E003", "E005", "E006", "E016", "E032", "E033"} | {
    "E090",
    "E091",
    "E092",
    "E093",
    "E094",
    "N107",
}
FOLDER = Path(deqc.__file__).parent / "pages"


def test_every_code_has_a_page_and_every_page_a_code() -> None:
    assert {file.stem for file in FOLDER.glob("*.md")} == CODES.keys()


def test_only_mistakes_that_are_made_of_no_short_spec_lack_an_example() -> None:
    assert {code for code in CODES if page(code).wrong is None} == WITHOUT_AN_EXAMPLE


@pytest.mark.parametrize("code", sorted(CODES))
def test_examples_have_the_mistake_and_have_it_not(code: str) -> None:
    shown = page(code)
    assert len(shown.text) > 40
    assert "```" not in shown.text
    assert (shown.wrong is None) == (shown.right is None)
    if shown.wrong is not None and shown.right is not None:
        assert {one.code for one in deqc.check(shown.wrong)} == {code}
        assert deqc.check(shown.right) == []
        compile(deqc.compile(shown.right), "<module>", "exec")


def test_explain_shows_the_page_with_the_message_that_deqc_gives() -> None:
    printed = call("explain", "E031").stdout
    assert printed.startswith("E031: `scale` and `scales` are both written\n")
    assert "spec.yaml:4:1: error[E031]: both `scale` and `scales` are written: keep one" in printed
    assert call("explain", "e031").stdout == printed
    assert "no code 'E999'" in call("explain", "E999", status=2).stderr
