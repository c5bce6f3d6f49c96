"""Every solver has a row, and every row is one of a solver."""

from __future__ import annotations

from tests.solvers.linear import FAMILIES
from tests.solvers.rows import METHODS, ROWS


def test_every_solver_has_a_row() -> None:
    assert {row.method for row in ROWS} == set(METHODS)


def test_rows_are_distinct_and_name_families_that_exist() -> None:
    names = [row.name for row in ROWS]
    assert len(set(names)) == len(names)
    assert {family for row in ROWS for family in row.linear.split()} <= set(FAMILIES)
