"""No name that a generated module uses itself can be the name of its class."""

from __future__ import annotations

import symtable
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest

from deqc.compiler import compile_text
from deqc.diagnostics import Problems, Span
from deqc.solvers import SOLVERS as METHODS
from deqc.spec.names import CLASS_NAMES, RESERVED, check_class_name
from tests.spec.reading import only, single

EXAMPLES = sorted((Path(__file__).parents[2] / "examples" / "specs").glob("*.yaml"))
SOLVERS = (
    "picard",
    "{method: newton, coupling: batch, on_failure: raise, termination: {mode: norm, norm: rms}}",
    "{method: anderson, termination: {mode: rel, norm: l2}}",
)
ADJOINTS = (
    "jfb",
    "unroll",
    "phantom",
    "none",
    *(f"{{linear_solver: {name}}}" for name in ("gmres", "bicgstab", "neumann", "lu", "picard", "anderson")),
)

TOGETHER = (  # a solver and an adjoint of it, with names that no other pair has
    ("newton", "{linear_solver: {method: lu, factors: last_step}}"),
    ("picard", "{linear_solver: {method: gmres, preconditioner: diagonal, memory: 5}}"),
    ("picard", "{method: unroll, checkpoint: 3}"),
    ("{method: picard, compaction: true}", "implicit"),
    ("{method: anderson, precision: mixed}", "implicit"),
    ("limited_memory_broyden", "{method: shine, refine: 3}"),
    ("reversible", "reversible"),
)


def sources() -> Iterator[str]:
    for path in EXAMPLES:
        yield compile_text(path.read_text(encoding="utf-8"), path.name).source
    for solver, adjoint in product(SOLVERS, ADJOINTS):
        layers = "[{sum: [{linear: 4}, $e]}, {variational_dropout: {p: 0.1}}, gelu]"
        more = "encoder: {e: [{linear: 4}, batch_norm]}\ninit: [$e]\nhead: [{linear: 2}]\n"
        more += f"solver: {solver}\nadjoint: {adjoint}"
        yield compile_text(single(layers, more), "m.yaml").source
    for solver, adjoint in TOGETHER:
        more = f"solver: {solver}\nadjoint: {adjoint}\n"
        yield compile_text(single("[{sum: [{linear: 4}, $x]}, tanh]", more), "m.yaml").source
    for method, description in METHODS.items():
        for kind in description.kinds:
            more = f"kind: {kind}\nsolver: {method}\nadjoint: none\n"
            more += "time: {saveat: [0.5]}\n" if kind == "neural_ode" else ""
            yield compile_text(single("[{sum: [{linear: 4}, $x]}, tanh]", more), "m.yaml").source


def global_names(table: symtable.SymbolTable) -> set[str]:
    """Every name that the module defines, or that a function of it reads from the module or from Python."""
    found = {one.get_name() for one in table.get_symbols() if table.get_type() == "module" or one.is_global()}
    return found.union(*(global_names(child) for child in table.get_children()))


def test_the_list_holds_every_name() -> None:
    for source in sources():
        table = symtable.symtable(source, "m", "exec")
        own = (
            next(line for line in source.splitlines() if "(nn.Module)" in line and "class _" not in line)
            .split()[1]
            .split("(")[0]
        )
        names = {name for name in global_names(table) if not name.startswith("_")}
        assert names - {own} <= CLASS_NAMES | RESERVED


@pytest.mark.parametrize("name", ["Status", "Tensor", "list", "ATOL", "RuntimeError", "math", "Weights", "torch"])
def test_names_that_are_taken(name: str) -> None:
    assert not check_class_name(name, Span("f", 1, 1, 1, 2), Problems())
    assert only(single("[tanh]").replace("name: M", f"name: {name}")).code == "E041"


@pytest.mark.parametrize("name", ["Torch", "Enum", "Random", "Class", "json"])
def test_names_whose_file_would_hide_a_module(name: str) -> None:
    told = only(single("[tanh]").replace("name: M", f"name: {name}"))
    assert told.code == "E041"
    assert f"{name.lower()}.py, would hide a module" in told.message or name == "Class"


@pytest.mark.parametrize("name", ["MDEQ", "Model", "mnist", "StatusNet"])
def test_names_that_are_free(name: str) -> None:
    assert check_class_name(name, Span("f", 1, 1, 1, 2), Problems())
