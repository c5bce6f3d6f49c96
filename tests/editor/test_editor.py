"""What an editor shows of specs, by the real YAML language server; `make test` installs it where npm is there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from deqc.ops import STEPS
from deqc.settings import INNER, JACOBIAN, LINEAR, SECTIONS, SOLVER
from deqc.solvers import ADJOINTS, INNER_SOLVERS, LINEAR_SOLVERS, QUANTITIES, SOLVERS, Description, Iteration
from tests.editor.client import Editor

ROOT = Path(__file__).resolve().parents[2]
SERVER = Path(__file__).parent / "node_modules/yaml-language-server/bin/yaml-language-server"
SPECS = [*sorted((ROOT / "examples/specs").glob("*.yaml")), *sorted((ROOT / "tests/target_specs").glob("*.yaml"))]
HEAD = "deqc: 1\nname: Model\ninput: {x: [4]}\nscale: [4]\n"

pytestmark = [
    pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed"),
    pytest.mark.skipif(
        not SERVER.is_file() and os.environ.get("CI") != "true",  # where it is missing in CI, the tests fail
        reason="the language server is not installed: `make tests/editor/node_modules` does it where npm is",
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
        (f"{HEAD}main_layers: [tanh]\nsolver: {{method: nowton}}\n", 5, "the name of a method"),
        (f"{HEAD}main_layers: [{{linear: {{out: four}}}}]\n", 4, "linear.out"),
        (f"{HEAD}main_layers: [{{conv2d: {{out: 4}}}}]\n", 4, "kernel"),
        (f"{HEAD}main_layers: [[tanh], tanh]\n", 4, "not allowed"),
        (f"{HEAD}main_layers:\n  - tanh\n  - linear: {{out: 4, bais: false}}\n", 6, "bais"),
        (f"{HEAD}main_layers:\n  - tanh\n  - linear: 0\n", 6, "minimum of 1"),
        (f"{HEAD}main_layers:\n  - tanh\nsolver:\n  method: anderson\n  history: many\n", 8, "history"),
        (f"{HEAD}main_layers:\n  - tanh\n  - sum: [$x]\n", 6, "Expected 2 or more"),
        (f"{HEAD}main_layers:\n  - tanh\n -relu\n", 6, ""),
        ("deqc: 2\nname: Model\ninput: {x: [4]}\nscale: [4]\nmain_layers: [tanh]\n", 0, "version of the language"),
        ("deqc: 1\nname: Model\ninput: {x: 4}\nscale: [4]\nmain_layers: [tanh]\n", 2, "a list of sizes"),
        ("deqc: 1\nname: Model\ninput: {x: [4]}\nscales: [[4], [2]]\nmain_layers: {linear: 4}\n", 4, "linear"),
    ],
)
def test_what_is_wrong_is_marked_at_its_line(editor: Editor, text: str, line: int, words: str) -> None:
    found = editor.problems(text)
    assert {one["range"]["start"]["line"] for one in found} == {line}
    assert any(words in one["message"] for one in found), found


BODY = f"{HEAD}main_layers: [tanh]\n"
SHARED = {one.name for one in SOLVER} | {"termination", "eval", "mask", "record"}


def offered_by(method: Description) -> set[str]:
    """What the method has of its own."""
    linear = {"linear_solver"} if isinstance(method, Iteration) and method.linear else set()
    return linear | {one.name for one in method.fields}


# The server sometimes offers the schema itself, by its title, where a mapping is still empty.
TITLE = "deqc spec, language version 1"


@pytest.mark.parametrize(
    ("text", "offered"),
    [
        (f"{HEAD}|", {section.name for section in SECTIONS} - {"deqc", "name", "input", "scale"}),
        (f"{HEAD}main_layers:\n  - conv2d:\n      |", {one.name for one in STEPS["conv2d"].fields}),
        (f"{BODY}solver:\n  method: |\n", set(SOLVERS)),
        (f"{BODY}solver:\n  |\n", SHARED | {"method"}),
        *[(f"{BODY}solver:\n  method: {name}\n  |\n", SHARED | offered_by(method)) for name, method in SOLVERS.items()],
        *[
            (
                f"{BODY}solver:\n  method: trbdf2\n  linear_solver:\n    method: {name}\n    |\n",
                {one.name for one in (*INNER, *method.fields)},
            )
            for name, method in INNER_SOLVERS.items()
        ],
        (f"{BODY}adjoint:\n  method: |\n", set(ADJOINTS)),
        (f"{BODY}adjoint:\n  |\n", {"method", "linear_solver", "assume"}),
        *[
            (
                f"{BODY}adjoint:\n  method: {name}\n  |\n",
                {one.name for one in method.fields} | ({"linear_solver"} if name == "implicit" else set()),
            )
            for name, method in ADJOINTS.items()
        ],
        *[
            (
                f"{BODY}adjoint:\n  linear_solver:\n    method: {name}\n    |\n",
                {one.name for one in (*LINEAR, *method.fields)},
            )
            for name, method in LINEAR_SOLVERS.items()
        ],
        (f"{BODY}jacobian_regularization:\n  quantity: |\n", set(QUANTITIES)),
        (f"{BODY}jacobian_regularization:\n  |\n", {one.name for one in JACOBIAN} | {"quantity", "normalize"}),
        *[
            (
                f"{BODY}jacobian_regularization:\n  quantity: {name}\n  |\n",
                {one.name for one in (*JACOBIAN, *quantity.fields)},
            )
            for name, quantity in QUANTITIES.items()
        ],
    ],
)
def test_what_may_stand_there_is_offered_and_nothing_else(editor: Editor, text: str, offered: set[str]) -> None:
    assert editor.completions(text) - {TITLE} == offered


@pytest.mark.parametrize("text", [f"{HEAD}main_layers:\n  - |", f"{HEAD}main_layers:\n  - li|: 4\n"])
def test_every_step_is_offered(editor: Editor, text: str) -> None:
    named = set(STEPS) if text.endswith("|") else {name for name, op in STEPS.items() if op.fields}
    assert named <= editor.completions(text)


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
