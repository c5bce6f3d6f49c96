"""Which solver solves which test problem, as a table: `python -m tests.solvers.solved` writes `solved.md` anew.

That takes a quarter of an hour; with names of methods behind it, it solves with these and with those that are not in
the file yet.

Solved means: from that start, within the steps of the solver's row, to 1e-8 in the largest entry of F, in float64, and
from each start beside it that differs by some roundings: how a sum is rounded, which differs between machines, decides
on none of what counts as solved.
"""

from __future__ import annotations

import sys
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

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

SOLVED, BY_CHANCE, UNSOLVED = "x~."
PERTURBATIONS = (1e-12, 1e-10)
EACH = 16  # starts by each of them, of each kind

INTRODUCTION = """\
# Which solver solves which problem

The problems F(z) = 0 of `problems.py`, written as f(z) = z - F(z) except in the last section, to |F| <= 1e-8 in the
largest entry, in float64, with the steps and options of `rows.py`. Each is solved from the start and from 64 starts
that differ from it by 1e-12 or 1e-10. `x` is solved from all of them, `~` from some, so that the rounding of the
machine decides, `.` from none; the number at the end counts the `x`. Written by `python -m tests.solvers.solved`,
checked by `test_solved.py`.

"""


def around(start: Tensor) -> Tensor:
    """The start and those beside it, (B, D): entries times 1 + e, where those that are zero stay so, or plus e."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(len(PERTURBATIONS), 2, EACH, start.numel(), generator=generator, dtype=torch.float64)
    scale = torch.stack([start.abs(), start.abs().clamp(min=1)]).unsqueeze(1)
    sizes = torch.tensor(PERTURBATIONS, dtype=torch.float64).view(-1, 1, 1, 1)
    return torch.cat([start.unsqueeze(0), (start + sizes * scale * noise).flatten(0, 2)])


def solves(row: Row, problem: Problem, z0: Tensor, sign: int | Tensor = -1) -> Tensor:
    """From which starts the solver says that it solved it, and F is as small as it says: one batch.

    Far out z - F(z) is z by rounding, so that f has fixed points that are no roots.
    """
    z, record = row.module(atol=TOLERANCE).fixed_point(problem.map(sign), z0)
    found: Tensor = (record.status == 0) & (problem.residual(z).abs().amax(1) <= 1.01 * TOLERANCE)
    return found


def marks(row: Row, problem: Problem) -> str:
    """The mark of each section."""
    z0 = torch.stack([around(problem.from_start(start.factor)) for start in STARTS])
    signs = torch.tensor([[start.sign] for start in STARTS], dtype=torch.float64).repeat_interleave(z0.shape[1], 0)
    found = solves(row, problem, z0.flatten(0, 1), signs).view(len(STARTS), -1).tolist()
    return "".join(SOLVED if all(one) else BY_CHANCE if any(one) else UNSOLVED for one in found)


def line(row: Row, found: str) -> str:
    """The row of a section."""
    return f"{row.name:{WIDTH}}{found}  {found.count(SOLVED)}"


def table(kept: Collection[str] = ()) -> str:
    """The whole file; the rows of those names stay as the file has them."""
    text = INTRODUCTION + "".join(f"{k}. {problem.name}\n" for k, problem in enumerate(PROBLEMS, 1))
    anew = {row.name: [marks(row, problem) for problem in PROBLEMS] for row in ROWS if row.name not in kept}
    for column, start in enumerate(STARTS):
        tens = " " * WIDTH + "".join(str(k // 10) if k % 10 == 0 else " " for k in range(1, len(PROBLEMS) + 1))
        ones = " " * WIDTH + "".join(str(k % 10) for k in range(1, len(PROBLEMS) + 1))
        old = written(start) if kept else {}
        new = {name: "".join(one[column] for one in found) for name, found in anew.items()}
        lines = [line(row, {**old, **new}[row.name]) for row in ROWS]
        text += "\n".join([f"\n## {start.title}\n", "```text", tens.rstrip(), ones, *lines, "```\n"])
    return text


def written(start: Start) -> dict[str, str]:
    """The marks of each row in that section of the file."""
    section = FILE.read_text(encoding="utf-8").split(f"## {start.title}\n")[1].split("```")[1]
    return {name: found for name, found, _ in (one.split() for one in section.splitlines()[3:])}


if __name__ == "__main__":
    torch.set_num_threads(1)
    names = sys.argv[1:]
    known = {name for name in written(STARTS[0]) if name.split(".")[0] not in names} if names else set()
    FILE.write_text(table(known & {row.name for row in ROWS}), encoding="utf-8")
