"""The descriptions of settings and methods: complete, consistent, and the defaults of the language."""

from __future__ import annotations

import pytest

from deqc.fields import Field, Kind
from deqc.settings import JACOBIAN, LINEAR, PLANNED, SECTIONS, SOLVER, TERMINATION
from deqc.solvers import ADJOINTS, LINEAR_SOLVERS, QUANTITIES, SOLVERS, Description, Iteration
from deqc.solvers.flow import Flow

METHODS = [*SOLVERS.values(), *ADJOINTS.values(), *LINEAR_SOLVERS.values(), *QUANTITIES.values()]
FIELDS = [*SOLVER, *TERMINATION, *LINEAR, *JACOBIAN, *(one for method in METHODS for one in method.fields)]


def within(field: Field, value: object) -> bool:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return True
    lower = field.minimum is None or value >= field.minimum
    above = field.exclusive_minimum is None or value > field.exclusive_minimum
    upper = field.maximum is None or value <= field.maximum
    below = field.exclusive_maximum is None or value < field.exclusive_maximum
    return lower and above and upper and below


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
def test_defaults_obey_their_own_rules(field: Field) -> None:
    assert within(field, field.default)
    assert all(within(field, example) for example in field.examples)
    if field.kind is Kind.CHOICE:
        assert field.default in (None, *field.choices)
    if field.kind is Kind.NUMBER:
        assert field.default is None or isinstance(field.default, float)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_a_method_says_what_it_does_and_who_found_it(method: Description) -> None:
    assert method.summary.endswith(".")
    if method.name not in ("auto", "none"):
        source = method.summary + (SOLVERS[method.name].summary if method.name in SOLVERS else "")
        assert any(year.isdigit() and len(year) == 4 for year in source.replace(")", " ").replace(",", " ").split())


def test_the_defaults_of_the_language() -> None:
    shared = {field.name: field.default for field in SOLVER}
    told = {"coupling": "sample", "on_failure": "warn", "trace": False, "compaction": False, "precision": "full"}
    assert shared == {"atol": 1e-3, "rtol": 1e-3, "max_steps": None, **told}
    later = {"levenberg_marquardt": 200, "pseudo_transient": 100, "cascade": 100}  # slow by their nature
    later |= {name: 1000 for name, method in SOLVERS.items() if isinstance(method, Flow)}
    assert {name: method.max_steps for name, method in SOLVERS.items()} == {**dict.fromkeys(SOLVERS, 32), **later}
    assert {field.name: field.default for field in TERMINATION} == {"mode": "abs_norm", "norm": "max"}
    assert {field.name: field.default for field in LINEAR} == {"max_steps": None, "rtol": None, "atol": 0.0}
    assert ADJOINTS["phantom"].defaults == {"steps": 5, "damping": 1.0}
    assert SOLVERS["anderson"].defaults == {
        "history": 5,
        "ridge": 1e-4,
        "damping": 1.0,
        "type": "ii",
        "safeguard": True,
    }
    own = {"mode": "vjp", "samples": 1, "distribution": "normal", "through_solution": True, "seed": 0}
    assert {field.name: field.default for field in JACOBIAN} == own
    assert [one.defaults for one in QUANTITIES.values()] == [{"normalize": "state"}] * 2 + [{"steps": 20}]
    assert SOLVERS["picard"].defaults == {"damping": 1.0}


def test_what_is_available_is_not_planned() -> None:
    tables = {"solver": SOLVERS, "adjoint": ADJOINTS, "linear_solver": LINEAR_SOLVERS}
    for place, table in tables.items():
        assert not PLANNED[place] & table.keys()
    assert not PLANNED["section"] & {section.name for section in SECTIONS}
    assert not PLANNED["termination"] & {mode for field in TERMINATION for mode in field.choices}


def coefficients(method: Iteration) -> set[tuple[str, object]]:
    """All that the method may bring into a module."""
    brought = [one.constants for choices in method.chosen.values() for one in choices.values()]
    return {(name, value) for constants in (method.constants, *brought) for name, value in constants.items()}


def test_a_solver_and_that_of_the_adjoint_mean_the_same_by_a_constant() -> None:
    """Both stand in one module."""
    solvers = [method for method in SOLVERS.values() if isinstance(method, Iteration)]
    for linear in (method for method in LINEAR_SOLVERS.values() if isinstance(method, Iteration)):
        for solver in solvers:
            together = coefficients(linear) | coefficients(solver)
            assert len(dict(together)) == len(together), (linear.name, solver.name)
