"""`deqc init`: the starters compile, learn, are laid out, and never replace a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner, Result

import deqc as package
from deqc.cli.init import KINDS
from deqc.cli.main import deqc
from deqc.compiler import compile_text
from deqc.front import check_text
from deqc.layout import format_text


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def call(*arguments: str, status: int = 0) -> Result:
    result = CliRunner().invoke(deqc, ["init", *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == status, result.output
    return result


@pytest.mark.parametrize("kind", KINDS)
def test_a_starter_is_right_and_laid_out(kind: str) -> None:
    call(kind, "my_net")
    text = Path("my_net.yaml").read_text(encoding="utf-8")
    assert check_text(text, "my_net.yaml") == []
    assert format_text(text, "my_net.yaml") == text
    assert compile_text(text, "my_net.yaml").spec.name == "MyNet"
    assert max(map(len, text.splitlines())) <= 120


@pytest.mark.parametrize("kind", KINDS)
def test_a_starter_learns(kind: str) -> None:
    call(kind, "my_net")
    torch.manual_seed(0)
    spec = compile_text(Path("my_net.yaml").read_text(encoding="utf-8"), "my_net.yaml").spec
    model: Any = package.load(Path("my_net.yaml"))()
    target = torch.arange(20) % 10
    x = torch.stack([0.3 * torch.randn(spec.inputs[0].shape.sizes) + 0.3 * int(label) for label in target])
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(25):
        loss = torch.nn.functional.cross_entropy(model(x), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]
    assert (model.solve(x).original.status == 0).all(), "the solve still converges"


def test_the_schema_lies_beside_it() -> None:
    assert call("dense", "m").stdout == (
        "m.yaml written; next: deqc compile m.yaml\ndeqc-1.schema.json written, which editors read for completion\n"
    )
    first = Path("m.yaml").read_text().splitlines()[0]
    assert json.loads(Path(first.split("$schema=")[1]).read_text())["title"].startswith("deqc spec")
    Path("deqc-1.schema.json").write_text("mine")
    call("dense", "other")
    assert Path("deqc-1.schema.json").read_text() == "mine"


def test_no_file_is_replaced() -> None:
    Path("my_model.yaml").write_text("mine")
    assert "'my_model.yaml' exists and stays as it is" in call("dense", "my_model", status=2).stderr
    assert "exists" in call("dense", "MyModel", status=2).stderr
    assert Path("my_model.yaml").read_text() == "mine"


@pytest.mark.parametrize(
    "name", ["my model", "../up", "1st", "_hidden", "a.yaml", "ünder", "", "a\nb", "state", "x" * 65]
)
def test_what_is_no_name(name: str) -> None:
    result = call("dense", name, status=2)
    assert "name" in result.stderr
    assert list(Path().iterdir()) == []


def test_a_dash_prints() -> None:
    assert call("dense", "-").stdout.startswith("# yaml-language-server: $schema=deqc-1.schema.json\n")
    assert list(Path().iterdir()) == []


def test_an_unknown_kind_is_told_those_there_are() -> None:
    assert "'dense', 'multiscale', 'conv'" in call("dens", "m", status=2).stderr
