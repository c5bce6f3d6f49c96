"""Which solver solves which test problem, as a table: `python -m tests.solvers.solved` writes `solved.md` anew.

That takes minutes; with names of methods behind it, it solves with these and with those that are not in the file yet.

Solved means: from that start, within the steps of the solver's row, to 1e-8 in the largest entry of F, in float64.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from tests.solvers.problems import PROBLEMS, Problem
from tests.solvers.rows import ROWS, Row

FILE = Path(__file__).parent / "solved.md"
TOLERANCE = 1e-8
WIDTH = 2 + max(len(row.name) for row in ROWS)


class Start(NamedTuple):
    """Where solves start and which map they are of: a section of the table."""

    title: str
    factor: int
    sign: int


STARTS = (
    Start("From the standard start", 1, -1),
    Start("From 10 times the standard start", 10, -1),
    Start("From 100 times the standard start", 100, -1),
    Start("From the standard start, f(z) = z + F(z)", 1, 1),
)

INTRODUCTION = """\
# Which solver solves which problem

The problems F(z) = 0 of `problems.py`, written as f(z) = z - F(z) except in the last section, to |F| <= 1e-8 in the
largest entry, in float64, with the steps and options of `rows.py`. `x` is solved, `.` is not; the number at the end
counts the solved ones. Written by `python -m tests.solvers.solved`, checked by `test_solved.py`.

"""


def solves(row: Row, problem: Problem, starts: Sequence[Start] = STARTS) -> list[bool]:
    """From which starts the solver says that it solved it, and F is as small as it says: one batch.

    Far out z - F(z) is z by rounding, so that f has fixed points that are no roots.
    """
    signs = torch.tensor([[start.sign] for start in starts], dtype=torch.float64)
    z0 = torch.stack([problem.from_start(start.factor) for start in starts])
    z, record = row.module(atol=TOLERANCE).fixed_point(problem.map(signs), z0)
    return [bool(one) for one in (record.status == 0) & (problem.residual(z).abs().amax(1) <= 1.01 * TOLERANCE)]


def line(row: Row, marks: str) -> str:
    """The row of a section."""
    return f"{row.name:{WIDTH}}{marks}  {marks.count('x')}"


def table(kept: Collection[str] = ()) -> str:
    """The whole file; the rows of those names stay as the file has them."""
    text = INTRODUCTION + "".join(f"{k}. {problem.name}\n" for k, problem in enumerate(PROBLEMS, 1))
    anew = {row.name: [solves(row, problem) for problem in PROBLEMS] for row in ROWS if row.name not in kept}
    for column, start in enumerate(STARTS):
        tens = " " * WIDTH + "".join(str(k // 10) if k % 10 == 0 else " " for k in range(1, len(PROBLEMS) + 1))
        ones = " " * WIDTH + "".join(str(k % 10) for k in range(1, len(PROBLEMS) + 1))
        old = written(start) if kept else {}
        marks = {name: "".join("x" if one[column] else "." for one in found) for name, found in anew.items()}
        lines = [line(row, {**old, **marks}[row.name]) for row in ROWS]
        text += "\n".join([f"\n## {start.title}\n", "```text", tens.rstrip(), ones, *lines, "```\n"])
    return text


def written(start: Start) -> dict[str, str]:
    """The marks of each row in that section of the file."""
    section = FILE.read_text(encoding="utf-8").split(f"## {start.title}\n")[1].split("```")[1]
    return {name: marks for name, marks, _ in (one.split() for one in section.splitlines()[3:])}


if __name__ == "__main__":
    torch.set_num_threads(1)
    names = sys.argv[1:]
    known = {name for name in written(STARTS[0]) if name.split(".")[0] not in names} if names else set()
    FILE.write_text(table(known & {row.name for row in ROWS}), encoding="utf-8")
