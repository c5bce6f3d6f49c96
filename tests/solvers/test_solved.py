"""The table of which solver solves which problem is true."""

from __future__ import annotations

import pytest

from tests.solvers.problems import COLLECTION, PROBLEMS
from tests.solvers.rows import ROWS, Row
from tests.solvers.solved import FILE, STARTS, Start, solves, table, written


def test_the_table_has_every_solver_and_problem() -> None:
    for start in STARTS:
        assert list(written(start)) == [row.name for row in ROWS]
        assert {len(marks) for marks in written(start).values()} == {len(PROBLEMS)}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_what_is_solved_from_the_standard_start_still_is(row: Row) -> None:
    marks = written(STARTS[0])[row.name]
    solved = (problem for problem, mark in zip(PROBLEMS, marks, strict=True) if mark == "x")
    lost = [problem.name for problem in solved if solves(row, problem, STARTS[:1]) != [True]]
    assert lost == []


@pytest.mark.slow
def test_the_table_is_what_the_command_writes() -> None:
    assert FILE.read_text(encoding="utf-8") == table()


@pytest.mark.parametrize("start", [STARTS[0], STARTS[3]], ids=lambda start: start.title)
def test_the_cascade_solves_all_from_the_standard_start(start: Start) -> None:
    assert written(start)["cascade"] == "x" * len(PROBLEMS)


def test_a_single_method_solves_all_but_one_of_the_collection() -> None:
    """As the best single method of the best public library does."""
    most = max(marks[: len(COLLECTION)].count("x") for marks in written(STARTS[0]).values())
    assert most >= len(COLLECTION) - 1
