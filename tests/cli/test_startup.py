"""What is imported, and when: nothing that runs no model may pay for torch, nor a command for what it does not use."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SPEC = Path(__file__).resolve().parents[2] / "examples/specs/multiscale.yaml"
RUN = "import sys; from deqc.cli.main import deqc; deqc({arguments!r}, standalone_mode=False); "
CASES = {
    "import": "import deqc, sys; ",
    "version": "import sys; from deqc.cli.main import deqc; ",
    "schema": RUN.format(arguments=["schema"]),
    "check": RUN.format(arguments=["check", str(SPEC)]),
    "compile": RUN.format(arguments=["compile", "--stdout", str(SPEC)]),
    "explain": RUN.format(arguments=["explain", "--ir", str(SPEC)]),
    "python": f"import sys, deqc; deqc.compile({str(SPEC)!r}); deqc.check({str(SPEC)!r}); ",
}


def imported(program: str) -> set[str]:
    """The top-level packages that a fresh interpreter holds after the program."""
    program += "sys.stderr.write(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in done.stderr.split()}


@pytest.mark.parametrize("case", CASES)
def test_nothing_imports_torch_unless_it_runs_a_model(case: str) -> None:
    assert not imported(CASES[case]) & {"torch", "numpy", "rich", "matplotlib"}


@pytest.mark.parametrize("case", ["import", "version"])
def test_what_does_not_compile_does_not_import_the_compiler(case: str) -> None:
    assert not imported(CASES[case]) & {"yaml", "jinja2", "jsonschema"}
