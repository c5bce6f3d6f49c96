"""What README and documentation show is so: their pages run (`tests.snippets`)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest
import tables
import torch

import deqc
from deqc.compiler import compile_text
from deqc.diagnostics import Severity
from deqc.ir.sizes import names
from deqc.loading import import_model
from deqc.ops import STEPS
from deqc.ops.base import INIT
from deqc.running import random_inputs
from tests import snippets

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    ROOT / "README.md",
    *sorted(path for path in (ROOT / "docs").rglob("*.md") if "_build" not in path.parts),
]

SPEC = """
```yaml
deqc: 1
name: M
input: {x: [2]}
scale: [2]
main_layers: [{sum: [{linear: 2}, $x]}, tanh]
```
"""


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_page_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    snippets.run(path, tmp_path, monkeypatch)


@pytest.mark.parametrize("path", tables.pages(), ids=lambda path: path.stem)
def test_the_reference_is_what_the_tables_say(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert tables.filled(text) == text, "run `make schema`"


def test_every_table_is_on_a_page() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in tables.pages())
    assert all(f"<!-- table: {name} -->" in text for name in tables.TABLES)


def test_it_builds_without_a_warning(tmp_path: Path) -> None:
    call = [
        sys.executable,
        "-m",
        "sphinx",
        "--builder",
        "html",
        "--fail-on-warning",
        "--nitpicky",
        "--quiet",
        "--fresh-env",
    ]
    done = subprocess.run([*call, "docs", tmp_path], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "nn.Linear" in (tmp_path / "reference" / "steps.html").read_text(encoding="utf-8")


def test_the_patterns_converge() -> None:
    page = (ROOT / "docs" / "how-to" / "patterns.md").read_text(encoding="utf-8")
    for block in snippets.blocks(page):
        torch.manual_seed(0)
        compilation = compile_text(block.text, "pattern")
        program = compilation.lowered
        inputs = random_inputs(program, 4, dict.fromkeys(names(i.type for i in program.inputs), 6), seed=0)
        if "adjacency" in inputs:
            inputs["adjacency"] = inputs["adjacency"].abs()
        solution = cast(Any, import_model(compilation)()).solve(**inputs)
        solution.output.sum().backward()
        for record in (solution.original, solution.original.adjoint):
            assert record.status.tolist() == [0] * 4, block.text


@pytest.mark.parametrize("name", STEPS)
def test_the_example_of_a_step_is_right(name: str) -> None:
    step = tables.flow(tables.example(STEPS[name]), nested=True)
    place = "init" if STEPS[name].where == {INIT} else "encoder"
    found = []
    whole = "{shape: [8], dtype: int64}"
    for shape in ("[8]", "[64]", "[4, 8]", "[8, 8]", "[8, 8, 8]", "[1, 28, 28]", "[2, 4, 4, 4]", whole):
        section = f"init: [{step}]" if place == "init" else f"encoder: {{v: [$x, {step}]}}"
        weights = "parameters: {content_bias: [8, 8], position_bias: [8, 8]}"
        head = f"deqc: 1\nname: M\ninput: {{x: {shape}}}\n{weights}\nscale: [4]"
        spec = f"{head}\n{section}\nmain_layers: [{{linear: 4}}]\n"
        found.append([one for one in deqc.check(spec) if one.severity is Severity.ERROR])
    assert [] in found, found[0]


WRONG = {
    "a wrong spec": "```yaml\ndeqc: 1\nname: M\n```",
    "a right spec that should be wrong": f"<!-- refused: E021 -->\n{SPEC}",
    "a wrong setting": f"{SPEC}\n```yaml\nsolver: nwton\n```",
    "a fault in Python": "```python\n1 / 0\n```",
    "another text printed": "```python\nprint(1)\n```\n\n```text\n2\n```",
    "a command that fails": f"{SPEC}\n```console\n$ deqc check n.yaml\n```",
    "another text of a command": f"{SPEC}\n```console\n$ deqc compile m.yaml\nn.py written\n```",
    "code that is not in the file": f"{SPEC}\n<!-- excerpt: m.py -->\n```python\ndef g():\n```",
}


@pytest.mark.parametrize("page", WRONG.values(), ids=WRONG)
def test_a_page_that_is_not_so_fails(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "page.md"
    path.write_text(page, encoding="utf-8")
    with pytest.raises((pytest.fail.Exception, ZeroDivisionError)):
        snippets.run(path, tmp_path, monkeypatch)


def test_a_right_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "page.md"
    path.write_text(
        f"{SPEC}\n```yaml\nsolver: picard\n```\n```console\n$ deqc compile m.yaml\nm.py written\n```\n"
        "```python\nfrom m import M\nprint(M.__name__)\n```\n```text\nM\n```\n",
        encoding="utf-8",
    )
    snippets.run(path, tmp_path, monkeypatch)
    assert "m" not in sys.modules
