"""`deqc fmt` in place, as a check, as a difference and in a pipe."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from deqc.cli.main import deqc

TIDY = "deqc: 1\nname: M\ninput: {x: [3]}\nscale: [3]\nmain_layers: [{linear: 3}, tanh]\n"
MESSY = "deqc:   1 # one\nname: M\ninput: {x: [3]}\nscale: [ 3 ]\nmain_layers: [{linear: 3},\n   tanh]\n"
LAID_OUT = TIDY.replace("deqc: 1", "deqc: 1  # one")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("tidy.yaml").write_text(TIDY)
    Path("messy.yaml").write_text(MESSY)
    Path("wrong.yaml").write_text("deqc: [1\n")


def call(*arguments: str, status: int = 0, text: str | None = None) -> Result:
    result = CliRunner().invoke(deqc, ["fmt", *arguments], input=text)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == status, result.output
    return result


def test_in_place() -> None:
    Path("messy.yaml").chmod(0o640)
    assert call("tidy.yaml", "messy.yaml").stdout == "messy.yaml laid out\n"
    assert Path("messy.yaml").read_text() == LAID_OUT
    assert Path("messy.yaml").stat().st_mode & 0o777 == 0o640
    assert call("tidy.yaml", "messy.yaml").stdout == ""


def test_check_names_the_files_and_writes_nothing() -> None:
    result = call("--check", "tidy.yaml", "messy.yaml", status=1)
    assert result.stderr == "messy.yaml is not laid out: run `deqc fmt messy.yaml`\n"
    assert Path("messy.yaml").read_text() == MESSY
    assert call("--check", "tidy.yaml").output == ""


def test_diff() -> None:
    result = call("--diff", "tidy.yaml", "messy.yaml", status=1)
    assert "-deqc:   1 # one\n+deqc: 1  # one\n" in result.stdout
    assert "--- messy.yaml\n" in result.stdout
    assert Path("messy.yaml").read_text() == MESSY


def test_in_a_pipe() -> None:
    assert call("-", text=MESSY).stdout == LAID_OUT
    assert call("-", text=TIDY).stdout == TIDY
    assert "<stdin> is not laid out" in call("--check", "-", text=MESSY, status=1).stderr


def test_a_spec_that_is_no_yaml_stays_and_the_others_are_laid_out() -> None:
    result = call("wrong.yaml", "messy.yaml", status=1)
    assert "wrong.yaml:" in result.stderr
    assert Path("wrong.yaml").read_text() == "deqc: [1\n"
    assert Path("messy.yaml").read_text() == LAID_OUT


def test_windows_line_ends() -> None:
    Path("tidy.yaml").write_bytes(TIDY.replace("\n", "\r\n").encode())
    call("tidy.yaml")
    assert Path("tidy.yaml").read_bytes() == TIDY.encode()


def test_a_difference_moves_no_cursor() -> None:
    """Neither of what is laid out, nor of a module that somebody has edited."""
    spec = "deqc: 1\nname: M\ninput: {x: [2]}\nscale:   [2]\nmain_layers: [{linear: 2}] # \u00ad\n"
    Path("m.yaml").write_text(spec, encoding="utf-8")
    runner = CliRunner()
    told = runner.invoke(deqc, ["fmt", "--diff", "m.yaml"]).output
    assert "+scale: [2]" in told
    assert all(one.isprintable() or one == "\n" for one in told)
    assert runner.invoke(deqc, ["compile", "m.yaml"]).exit_code == 0
    module = Path("m.py")
    module.write_text(module.read_text(encoding="utf-8") + "# \x1b[2J\x1b]0;owned\x07\n", encoding="utf-8")
    told = runner.invoke(deqc, ["compile", "--check", "m.yaml"]).output
    assert "owned" in told
    assert all(one.isprintable() or one == "\n" for one in told)
