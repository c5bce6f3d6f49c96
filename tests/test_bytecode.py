"""Compiled templates are kept beside their sources, and never taken for another text."""

from __future__ import annotations

import sys
from pathlib import Path

import jinja2
import pytest

from deqc.emit.bytecode import TemplateCache


def rendered(folder: Path) -> str:
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(folder), bytecode_cache=TemplateCache(folder))
    return environment.get_template("deep/a.jinja").render(x=1)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep/a.jinja").write_text("x is {{ x }}")
    return tmp_path


def test_kept_and_used(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert rendered(folder) == "x is 1"
    (kept,) = (folder / "__pycache__").iterdir()
    monkeypatch.setattr(jinja2.Environment, "compile", None)  # not needed a second time
    assert rendered(folder) == "x is 1"
    assert kept.name.startswith("deep.a.jinja.")


def test_another_text_is_compiled_again(folder: Path) -> None:
    rendered(folder)
    (folder / "deep/a.jinja").write_text("now {{ x }}")
    assert rendered(folder) == "now 1"
    assert len(list((folder / "__pycache__").iterdir())) == 1


@pytest.mark.parametrize("keep", [0, 1, 20, 60, 200])
def test_a_damaged_file_counts_as_nothing(folder: Path, keep: int) -> None:
    rendered(folder)
    (kept,) = (folder / "__pycache__").iterdir()
    kept.write_bytes(kept.read_bytes()[:keep])
    assert rendered(folder) == "x is 1"


def test_nothing_is_written_where_python_writes_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert rendered(folder) == "x is 1"
    assert not (folder / "__pycache__").exists()


def test_a_folder_that_cannot_be_made_is_no_fault(folder: Path) -> None:
    (folder / "__pycache__").write_text("a file in its place")
    assert rendered(folder) == "x is 1"
