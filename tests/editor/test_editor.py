"""What an editor shows of specs, by the real YAML language server; `make test` installs it where npm is there."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from deqc.ops import STEPS
from deqc.settings import SECTIONS
from deqc.solvers import SOLVERS
from tests.editor.client import Editor

ROOT = Path(__file__).resolve().parents[2]
SERVER = Path(__file__).parent / "node_modules/yaml-language-server/bin/yaml-language-server"
SPECS = [*sorted((ROOT / "examples/specs").glob("*.yaml")), *sorted((ROOT / "tests/target_specs").glob("*.yaml"))]
HEAD = "deqc: 1\nname: Model\ninput: {x: [4]}\nscale: [4]\n"

pytestmark = [
    pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed"),
    pytest.mark.skipif(
        not SERVER.is_file(), reason="the language server is not installed: `make test` does it where npm is"
    ),
    pytest.mark.xdist_group("editor"),
]


@pytest.fixture(scope="module")
def editor() -> Iterator[Editor]:
    with Editor(SERVER, ROOT / "schemas/deqc-1.schema.json") as opened:
        yield opened


@pytest.mark.parametrize("path", SPECS, ids=[path.stem for path in SPECS])
def test_nothing_is_marked_in_what_is_right(editor: Editor, path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    text = "".join(line for line in lines if "yaml-language-server" not in line)
    assert editor.problems(text) == []


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (f"{HEAD}main_layers: [tanh]\nsolvr: newton\n", 5, "solvr"),
        (f"{HEAD}main_layers: [tanh]\nsolver: {{atol: -1}}\n", 5, "minimum of 0"),
        (f"{HEAD}main_layers: [tanh]\nsolver: {{method: nowton}}\n", 5, "newton"),
        (f"{HEAD}main_layers: [{{linear: {{out: four}}}}]\n", 4, "linear.out"),
        (f"{HEAD}main_layers: [{{conv2d: {{out: 4}}}}]\n", 4, "kernel"),
        (f"{HEAD}main_layers: [[tanh], tanh]\n", 4, "not allowed"),
        ("deqc: 1\nname: Model\ninput: {x: [4]}\nscales: [[4], [2]]\nmain_layers: {linear: 4}\n", 4, "linear"),
    ],
)
def test_what_is_wrong_is_marked_at_its_line(editor: Editor, text: str, line: int, words: str) -> None:
    found = editor.problems(text)
    assert {one["range"]["start"]["line"] for one in found} == {line}
    assert any(words in one["message"] for one in found), found


@pytest.mark.parametrize(
    ("text", "offered"),
    [
        (f"{HEAD}|", {section.name for section in SECTIONS} - {"deqc", "name", "input", "scale", "scales"}),
        (f"{HEAD}main_layers:\n  - |", {"tanh", "relu", "identity", "softmax"}),
        (f"{HEAD}main_layers:\n  - li|: 4\n", {"linear", "conv2d", "sum", "group_norm"}),
        (f"{HEAD}main_layers:\n  - conv2d:\n      |", {"out", "kernel", "stride", "padding"}),
        (f"{HEAD}main_layers: [tanh]\nsolver:\n  method: |\n", set(SOLVERS)),
        (f"{HEAD}main_layers: [tanh]\nsolver:\n  |\n", {"method", "atol", "rtol", "max_steps", "history", "damping"}),
        (f"{HEAD}main_layers: [tanh]\nadjoint:\n  method: |\n", {"implicit", "jfb", "phantom", "unroll"}),
    ],
)
def test_what_may_stand_there_is_offered(editor: Editor, text: str, offered: set[str]) -> None:
    assert offered <= editor.completions(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"{HEAD}main_|layers: [tanh]\n", "The layers h_i"),
        (f"{HEAD}main_layers: [{{lin|ear: {{out: 4}}}}]\n", STEPS["linear"].summary[:30]),
        (f"{HEAD}main_layers: [{{linear: {{bi|as: false, out: 4}}}}]\n", "learned vector"),
        (f"{HEAD}main_layers: [tanh]\nsolver: {{max_|steps: 5}}\n", "most steps"),
    ],
)
def test_what_a_key_means_is_shown(editor: Editor, text: str, words: str) -> None:
    assert words in editor.hover(text).replace("\\", "")
