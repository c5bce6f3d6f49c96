"""`deqc diff`: what changed in meaning, what breaks, and that torch agrees about the state_dict."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import deqc as package
from deqc.cli.main import deqc
from deqc.compiler import compile_text
from deqc.difference import difference

OLD = """\
deqc: 1
name: M
constants: {width: 4}
input: {x: [3], y: [4]}
parameters: {push: [4], pull: [4]}
encoder: {inject: [$x, {linear: "${width}"}]}
scale: [4]
main_layers:
  - {sum: [{linear: {out: 4, bias: false}}, $inject, $y, $push, $pull]}
  - {times: 0.5}
  - tanh
head: [{dropout: 0.1}, {linear: 2}]
solver: {method: anderson, max_steps: 40}
"""
NOTHING = "nothing breaks"
INIT = "  + 0.sum.0.linear.weight_init: {normal: {std: 0.1}}"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("old.yaml").write_text(OLD)


def call(*arguments: str, status: int = 0) -> Result:
    result = CliRunner().invoke(deqc, ["diff", *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == status, result.output
    return result


CASES = {
    # what is replaced by what, a line of the output, what breaks (None: nothing), whether the state_dict loads
    "settings": ("max_steps: 40", "max_steps: 50", "  ~ max_steps: 40 → 50", None, True),
    "method": ("method: anderson", "method: picard", "  ~ method: anderson → picard", None, True),
    "recorded": ("max_steps: 40", "max_steps: 40, record: [6]", "  + record: [6]", None, True),
    "dropout": ("dropout: 0.1", "dropout: 0.3", "  ~ dropout.p: 0.1 → 0.3", None, True),
    "init": ("bias: false}", "bias: false, weight_init: {normal: 0.1}}", INIT, None, True),
    "activation": ("- tanh", "- relu", "  ~ 0: tanh → relu", "computes something else", True),
    "factor": ("times: 0.5", "times: 0.25", "  ~ 0.times.by: 0.5 → 0.25", "computes something else", True),
    "step gone": ("  - tanh\n", "", "  - 0: tanh", "computes something else", True),
    "bias": ("4, bias: false", "4", "  ~ 0.sum.0.linear.bias: false → true", "1 is new", False),
    "head": ("linear: 2}", "linear: 5}", "  ~ linear.out: 2 → 5", "returns something else", False),
    "input order": ("x: [3], y: [4]", "y: [4], x: [3]", "  ~ order: x, y → y, x", "other arguments", True),
    "input shape": ("x: [3]", "x: [5]", "  ~ x: [3] → [5]", "other arguments", False),
    "parameter order": (
        "push: [4], pull: [4]",
        "pull: [4], push: [4]",
        "  ~ order: push, pull → pull, push",
        None,
        True,
    ),
    "name": ("name: M", "name: Other", "  ~ name: M → Other", "the class is called Other", True),
    "encoder": ('{linear: "${width}"}', '{linear: "${width}"}, tanh', "  + inject: tanh", "something else", True),
}


@pytest.mark.parametrize("case", CASES)
def test_what_changed_and_what_breaks(case: str) -> None:
    before, after, line, breaks, loads = CASES[case]
    assert before in OLD
    new = OLD.replace(before, after)
    Path("new.yaml").write_text(new)
    result = call("old.yaml", "new.yaml", status=0 if breaks is None else 1)
    assert line in result.stdout.splitlines()
    assert (NOTHING if breaks is None else breaks) in result.stdout.split("\n\n")[-1]
    found = difference(compile_text(OLD, "old.yaml"), compile_text(new, "new.yaml"))
    assert found.state_dict_loads is loads
    assert found.changes
    assert torch_loads(Path("old.yaml"), Path("new.yaml")) is loads


def torch_loads(old: Path, new: Path) -> bool:
    one: Any = package.load(old)()
    other: Any = package.load(new)()
    try:
        other.load_state_dict(one.state_dict(), strict=True)
    except RuntimeError:
        return False
    return True


@pytest.mark.parametrize(
    "new",
    [
        OLD,
        "# a comment\n" + OLD.replace("  - ", "  -   "),
        OLD.replace("{times: 0.5}", "{times: {by: 0.5}}"),
        OLD.replace("width", "size"),
        OLD.replace("solver:", 'description: "text"\nsolver:'),
    ],
)
def test_no_change_in_meaning(new: str) -> None:
    Path("new.yaml").write_text(new)
    assert call("old.yaml", "new.yaml").stdout == "old.yaml → new.yaml: no change in meaning\n"


def test_json() -> None:
    Path("new.yaml").write_text(OLD.replace("- tanh", "- relu"))
    document = json.loads(call("old.yaml", "new.yaml", "--format", "json", status=1).stdout)
    assert document["state_dict_loads"] is True
    assert document["same_meaning"] is False
    assert document["changes"] == [{"section": "main_layers", "place": "0", "before": "tanh", "after": "relu"}]
    assert document["old"]["sha256"] != document["new"]["sha256"]


def test_a_wrong_spec_is_told_in_the_format_asked_for() -> None:
    Path("new.yaml").write_text(OLD.replace("- tanh", "- tahn"))
    (found,) = json.loads(call("old.yaml", "new.yaml", "--format", "json", status=1).stdout)
    assert (found["file"], found["code"]) == ("new.yaml", "E042")
    assert "new.yaml:11:5: error[E042]" in call("old.yaml", "new.yaml", status=1).stderr


def test_another_scale() -> None:
    examples = Path(__file__).resolve().parents[2] / "examples/specs"
    text = (examples / "multiscale.yaml").read_text(encoding="utf-8")
    Path("new.yaml").write_text(text.replace("[1]]", "[2]]").replace("{dense: 1}", "{dense: 2}"))
    Path("was.yaml").write_text(text)
    result = call("was.yaml", "new.yaml", status=1).stdout
    assert "  ~ 3: [1] → [2]\n" in result
    assert "  ~ main_layers.3.dense.linear.weight: [1, 1] → [2, 2]\n" in result
    assert "the state has another shape" in result


def test_other_states_are_recorded() -> None:
    Path("was.yaml").write_text(OLD.replace("max_steps: 40", "max_steps: 40, record: [6, 12]"))
    Path("new.yaml").write_text(OLD.replace("max_steps: 40", "max_steps: 40, record: [6]"))
    result = call("was.yaml", "new.yaml", status=1).stdout
    assert "  ~ record: [6, 12] → [6]\n" in result
    assert "solve() records the states after other steps" in result


def git(*arguments: str) -> None:
    author = [
        "-c",
        "user.name=a",
        "-c",
        "user.email=a@b",
        "-c",
        "commit.gpgsign=false",
        "-c",
        "init.defaultBranch=main",
    ]
    subprocess.run(["git", *author, *arguments], check=True, capture_output=True)


def test_against_git() -> None:
    git("init")
    Path("models").mkdir()
    Path("models/m.yaml").write_text(OLD)
    git("add", "models")
    git("commit", "-m", "first")
    Path("models/m.yaml").write_text(OLD.replace("max_steps: 40", "max_steps: 50"))
    result = call("models/m.yaml", "--against", "HEAD").stdout
    assert result.startswith("HEAD:models/m.yaml → models/m.yaml\n")
    assert "~ max_steps: 40 → 50" in result
    assert "git has no 'old.yaml' at 'HEAD'" in call("old.yaml", "--against", "HEAD", status=2).stderr
    assert "git has no 'models/m.yaml' at 'nowhere'" in call("models/m.yaml", "--against", "nowhere", status=2).stderr
    assert "is no commit" in call("models/m.yaml", "--against=--help", status=2).stderr


def test_a_spec_at_a_commit_that_is_wrong_is_told_with_its_place() -> None:
    git("init")
    Path("m.yaml").write_text(OLD.replace("tanh", "tahn"))
    git("add", "m.yaml")
    git("commit", "-m", "first")
    Path("m.yaml").write_text(OLD)
    assert "HEAD:m.yaml:11:5" in call("m.yaml", "--against", "HEAD", status=1).stderr


@pytest.mark.parametrize(
    "arguments", [("old.yaml",), ("old.yaml", "old.yaml", "--against", "HEAD"), ("-", "--against", "x")]
)
def test_called_wrongly(arguments: tuple[str, ...]) -> None:
    call(*arguments, status=2)
