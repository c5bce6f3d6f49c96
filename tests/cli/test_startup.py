"""What is imported, and when: nothing that runs no model may pay for torch, nor a command for what it does not use."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest

from deqc.cli.main import COMMANDS, deqc

SPEC = Path(__file__).resolve().parents[2] / "examples/specs/multiscale.yaml"
RUN = "import sys; from deqc.cli.main import deqc; deqc({arguments!r}, standalone_mode=False); "
CASES = {
    "import": "import deqc, sys; ",
    "version": RUN.format(arguments=["--version"]),
    "schema": RUN.format(arguments=["schema"]),
    "check": RUN.format(arguments=["check", str(SPEC)]),
    "compile": RUN.format(arguments=["compile", "--stdout", str(SPEC)]),
    "explain": RUN.format(arguments=["explain", "--ir", str(SPEC)]),
    "python": f"import sys, deqc; deqc.compile({str(SPEC)!r}); deqc.check({str(SPEC)!r}); ",
}


def modules(program: str) -> set[str]:
    """The modules that a fresh interpreter holds after the program."""
    program += "sys.stderr.write(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stderr.split())


def imported(program: str) -> set[str]:
    """The packages that they are of."""
    return {name.partition(".")[0] for name in modules(program)}


@pytest.mark.parametrize("case", CASES)
def test_nothing_imports_torch_unless_it_runs_a_model(case: str) -> None:
    assert not imported(CASES[case]) & {"torch", "numpy", "rich", "matplotlib"}


@pytest.mark.parametrize("case", ["import", "version"])
def test_what_does_not_compile_does_not_import_the_compiler(case: str) -> None:
    assert not imported(CASES[case]) & {"yaml", "jinja2", "jsonschema"}


@pytest.mark.parametrize("case", ["version", "schema", "check", "compile"])
def test_a_command_reads_the_file_of_no_other_command(case: str) -> None:
    held = {name for name in COMMANDS if f"deqc.cli.{name}" in modules(CASES[case])}
    assert held == ({case} if case in COMMANDS else set())


def test_every_command_stands_in_the_table_under_its_name() -> None:
    context = click.Context(deqc)
    for name in deqc.list_commands(context):
        command = deqc.get_command(context, name)
        assert command is not None
        assert command.name == name
    assert deqc.get_command(context, "main") is None


def test_check_imports_nothing_that_writes_modules() -> None:
    held = modules(CASES["check"])
    assert "deqc.lower" in held
    assert not held & {"jinja2", "deqc.emit", "deqc.passes", "deqc.adjoint", "deqc.compiler"}
