"""The table of which solver solves which problem is true, whatever the rounding of the machine."""

from __future__ import annotations

import pytest

from tests.solvers.problems import COLLECTION, PROBLEMS
from tests.solvers.rows import ROWS, Row
from tests.solvers.solved import BY_CHANCE, FILE, SOLVED, STARTS, Start, marks, solves, table, written


def test_the_table_has_every_solver_and_problem() -> None:
    for start in STARTS:
        assert list(written(start)) == [row.name for row in ROWS]
        assert {len(found) for found in written(start).values()} == {len(PROBLEMS)}
    assert table([row.name for row in ROWS]) == FILE.read_text(encoding="utf-8")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_what_is_solved_from_the_standard_start_still_is(row: Row) -> None:
    found = written(STARTS[0])[row.name]
    solved = [problem for problem, mark in zip(PROBLEMS, found, strict=True) if mark == SOLVED]
    lost = [problem.name for problem in solved if not solves(row, problem, problem.from_start().unsqueeze(0)).all()]
    assert lost == []


@pytest.mark.slow
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_the_table_is_what_the_command_finds(row: Row) -> None:
    """Only what is solved by chance may be found to be solved from all starts, or from none."""
    for k, problem in enumerate(PROBLEMS):
        for start, mark in zip(STARTS, marks(row, problem), strict=True):
            assert BY_CHANCE in (mark, recorded := written(start)[row.name][k]) or mark == recorded, problem.name


@pytest.mark.parametrize("start", [STARTS[0], STARTS[3]], ids=lambda start: start.title)
def test_the_cascade_solves_all_from_the_standard_start(start: Start) -> None:
    """But the one in whose minimum of |F| methods that descend end, so that its first stage has to jump over it."""
    found = {problem.name: mark for problem, mark in zip(PROBLEMS, written(start)["cascade"], strict=True)}
    assert found.pop("freudenstein_roth") == BY_CHANCE
    assert set(found.values()) == {SOLVED}


def test_a_single_method_solves_all_but_one_of_the_collection() -> None:
    """As the best single method of the best public library does."""
    most = max(found[: len(COLLECTION)].count(SOLVED) for found in written(STARTS[0]).values())
    assert most >= len(COLLECTION) - 1
