"""`deqc fmt` lays a spec out anew: never another meaning, no comment lost, and nothing left to do the second time."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from deqc.compiler import compile_text
from deqc.diagnostics import SpecError
from deqc.layout import format_text
from deqc.layout.reader import comments

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = sorted((ROOT / "examples/specs").glob("*.yaml"))
HEAD = "deqc: 1\nname: M\ninput: {x: [3]}\n"
ONE = HEAD + "scale: [3]\n"
TWO = HEAD + "scales: [[3], [2]]\n"


def laid_out(text: str) -> str:
    once = format_text(text, "m.yaml")
    assert format_text(once, "m.yaml") == once
    return once


def section(text: str, name: str) -> str:
    """The lines of one section of the laid out text."""
    lines = laid_out(text).split("\n")
    start = next(i for i, line in enumerate(lines) if line.startswith(name + ":"))
    stop = next((i for i in range(start + 1, len(lines)) if not lines[i].startswith((" ", "-"))), len(lines))
    return "\n".join(lines[start:stop]).rstrip() + "\n"


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_meaning_of_an_example_stays(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    before, after = compile_text(text, "m.yaml"), compile_text(laid_out(text), "m.yaml")
    assert before.plan.spec_sha256 == after.plan.spec_sha256
    assert before.source == after.source


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_comments_and_empty_lines_anywhere(path: Path) -> None:
    """The layout itself refuses to lose a comment or change a value; what is left to see is that it settles."""
    text = path.read_text(encoding="utf-8")
    for seed in range(25):
        changed = disturbed(text, random.Random(f"{path.name} {seed}"))
        assert [c.text for c in comments(changed)] != []
        result = laid_out(changed)
        assert sorted(c.text for c in comments(changed)) == sorted(c.text for c in comments(result))


def disturbed(text: str, draw: random.Random) -> str:
    lines: list[str] = []
    for number, line in enumerate(text.splitlines()):
        if draw.random() < 0.15:
            lines.append(" " * draw.randrange(7) + f"# above {number}: [{{'\"")
        if draw.random() < 0.15:
            lines += [""] * draw.randrange(1, 4)
        lines.append(line)
        if draw.random() < 0.15:
            lines[-1] += " " * draw.randrange(1, 4) + f"# beside {number}: }}]"
        if draw.random() < 0.3 and ", " in line and '"' not in line and "#" not in line and not line.startswith("d"):
            lines[-1] = lines[-1].replace(
                ", ", draw.choice([",   ", ",\n          ", f", # inside {number}\n        "]), 1
            )
    return draw.choice(["\n", "\r\n"]).join(lines) + draw.choice(["", "\n", "\n\n# end\n"])


def test_sections_stand_in_the_order_of_the_language() -> None:
    text = "main_layers: [{linear: 3}]\nsolver: picard\nscale: [3]\nname: M\ninput: {x: [3]}\ndeqc: 1\n"
    assert laid_out(text) == (
        "deqc: 1\nname: M\ninput: {x: [3]}\nscale: [3]\nmain_layers: [{linear: 3}]\nsolver: picard\n"
    )


def test_the_order_that_means_something_stays() -> None:
    text = "deqc: 1\nname: M\ninput: {b: [3], a: [3]}\nscale: [3]\nmain_layers: [{sum: [$b, $a]}]\n"
    assert "input: {b: [3], a: [3]}" in laid_out(text)


def test_an_alias_stays_behind_its_anchor() -> None:
    text = "scale: &size [3]\nmain_layers: [{linear: 3}]\ninput: {x: *size}\nname: M\ndeqc: 1\n"
    assert laid_out(text).index("&size") < laid_out(text).index("*size")


def test_one_computation_a_line_where_there_are_scales() -> None:
    text = TWO + "main_layers: [{linear: 3}, [{linear: 2}, tanh]]\n"
    assert section(text, "main_layers") == "main_layers:\n  - {linear: 3}\n  - [{linear: 2}, tanh]\n"


def test_a_matrix_stands_in_columns() -> None:
    text = (
        TWO + "main_layers: [{linear: 3}, {linear: 2}]\nmapping_layers: [[identity, {linear: 2}], [null, identity]]\n"
    )
    assert section(text, "mapping_layers") == (
        "mapping_layers:\n  - [identity, {linear: 2}]\n  - [null,     identity]\n"
    )


def test_a_long_chain_is_opened() -> None:
    steps = ", ".join(["{linear: {out: 3, bias: false}}"] * 4)
    assert section(ONE + f"main_layers: [{steps}]\n", "main_layers") == (
        "main_layers:\n" + "  - {linear: {out: 3, bias: false}}\n" * 4
    )


def test_a_short_chain_in_brackets_is_closed() -> None:
    assert (
        section(ONE + "main_layers: [{linear: 3},\n  tanh\n  ]\n", "main_layers")
        == "main_layers: [{linear: 3}, tanh]\n"
    )


def test_comments_stay_with_what_they_speak_of() -> None:
    text = ONE + (
        "\n\n# about the layers\nmain_layers: # what f is\n"
        "# about the first\n- {linear: 3} # three\n\n\n# about the second\n- tanh\n# at the end\n"
        "# about the solver\nsolver: picard\n"
    )
    assert laid_out(text).removeprefix(ONE) == (
        "\n# about the layers\nmain_layers:  # what f is\n"
        "  # about the first\n  - {linear: 3}  # three\n\n  # about the second\n  - tanh\n\n# at the end\n"
        "# about the solver\nsolver: picard\n"
    )


def test_a_comment_in_brackets_opens_them() -> None:
    text = ONE + "main_layers: [{linear: 3}, # three\n  tanh # one\n  ]\n"
    assert section(text, "main_layers") == "main_layers:\n  - {linear: 3}  # three\n  - tanh  # one\n"


def test_a_comment_at_the_start_of_a_list_in_a_list_stands_above_it() -> None:
    text = TWO + "main_layers:\n  - [ # one\n    {linear: 3}]\n  - [\n    # two\n    {linear: 2}, tanh]\n"
    assert section(text, "main_layers") == (
        "main_layers:\n  # one\n  - [{linear: 3}]\n  # two\n  - [{linear: 2}, tanh]\n"
    )


def test_expressions_are_quoted() -> None:
    text = HEAD + "scale: [3]\nconstants: {n: 3}\nmain_layers:\n  - linear: ${n}\n"
    assert 'linear: "${n}"' in laid_out(text)


@pytest.mark.parametrize(
    "written",
    [
        "|\n  two\n  lines",
        ">-\n  folded\n  lines\n\n  and more",
        "|2\n    indented\n  less",
        "'it''s'",
        '"a \\" b \\\\ c: #d"',
        "two\n  plain lines",
        '"two\n  quoted lines"',
        "plain, with: commas".replace(": ", " "),
        '"64"',
        "|  # remark\n  text",
        "|+\n  kept\n\n",
        "|\n\n    first is empty\n\n\n",
        ">\n  less\n    more\n  less",
    ],
)
def test_descriptions_of_every_style(written: str) -> None:
    laid_out(ONE + f"description: {written}\nmain_layers: [{{linear: 3}}]\n")  # the layout refuses another value


def test_what_is_no_yaml_is_told() -> None:
    with pytest.raises(SpecError):
        format_text("deqc: [1", "m.yaml")


def test_a_spec_with_other_mistakes_is_laid_out() -> None:
    assert laid_out("name:   M\ndeqc: 2\nnothing_known: [ ]\n") == "deqc: 2\nname: M\nnothing_known: []\n"
