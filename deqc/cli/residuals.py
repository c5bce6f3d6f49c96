"""Shows solves while they run: a table that grows at a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import click

from deqc.cli.reading import wants_color
from deqc.cli.solutions import Solved, aligned, by_step, curves, head, number

if TYPE_CHECKING:
    from rich.console import Group


class Silent:
    """Shows nothing."""

    def begin(self, label: str) -> None:
        """The solve by this solver begins."""

    def step(self, step: int, worst: float, converged: int) -> None:
        """A step was taken; the largest residual norm of a sample, and how many samples have converged."""

    def end(self, solved: Solved) -> None:
        """The solve has ended."""

    def __enter__(self) -> Silent:
        return self

    def __exit__(self, *_: object) -> None:
        """All solves have ended, or one could not run."""


class Lines(Silent):
    """A line for each solve as it ends, then the residuals by step."""

    def __init__(self, title: str, labels: list[str], measure: str) -> None:
        self._title, self._measure = title, measure
        self._widths = tuple("_" * width for width in (max(map(len, (*labels, "solver"))), 9, 5, 5, 8, len(measure), 0))
        self._solved: list[Solved] = []

    def end(self, solved: Solved) -> None:
        """Prints its line, the first below title and head."""
        if not self._solved:
            click.echo(f"{self._title}\n\n{self._line(head(self._measure))}")
        self._solved.append(solved)
        click.echo(self._line(solved.row))

    def __exit__(self, *_: object) -> None:
        """Prints the second table."""
        if self._solved:
            rows = by_step([(one.label, one.worst) for one in self._solved])
            click.echo("\n".join(["", curves(self._measure), *aligned(rows)]))

    def _line(self, row: tuple[str, ...]) -> str:
        return aligned([self._widths, row], _LEFT)[1]


class Live(Silent):
    """The same at a terminal, drawn anew several times a second."""

    def __init__(self, title: str, measure: str) -> None:
        from rich.console import Console
        from rich.live import Live as Display

        self._title, self._measure = title, measure
        self._solved: list[Solved] = []
        self._label, self._worst, self._converged = "", list[float](), 0
        color = wants_color(sys.stdout)
        console = Console(file=sys.stdout, no_color=not color, highlight=False, markup=False, soft_wrap=False)
        self._display = Display(console=console, get_renderable=self._drawn, refresh_per_second=8)

    def begin(self, label: str) -> None:
        """Another row."""
        self._worst, self._label, self._converged = [], label, 0

    def step(self, step: int, worst: float, converged: int) -> None:
        """Seen when the table is drawn next."""
        self._worst.append(worst)
        self._converged = converged

    def end(self, solved: Solved) -> None:
        """Its row as it stays."""
        self._label = ""
        self._solved.append(solved)

    def __enter__(self) -> Silent:
        self._display.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Leaves the table as it is."""
        self._label = ""
        self._display.stop()

    def _drawn(self) -> Group:
        """Both tables as far as they are known."""
        from rich.console import Group
        from rich.text import Text

        rows = [one.row for one in self._solved]
        falling = [(one.label, one.worst) for one in self._solved]
        if self._label:
            worst = list(self._worst)
            falling.append((self._label, worst))
            last = number(worst[-1]) if worst else ""
            rows.append((self._label, str(self._converged), str(max(len(worst) - 1, 0)), "", "", last, _RUNNING))
        above, title = _table([head(self._measure), *rows]), Text(curves(self._measure))
        return Group(Text(self._title), Text(), above, Text(), title, _table(by_step(falling)))


def _table(rows: list[tuple[str, ...]]) -> Any:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    solves = rows[0][0] == "solver"
    for index, name in enumerate(rows[0]):
        table.add_column(name, justify="left" if solves and index in _LEFT else "right", no_wrap=True)
    for row in rows[1:]:
        table.add_row(*row, style="red" if solves and row[-1] not in ("", _RUNNING) else None)
    return table


_RUNNING = "running"
_LEFT = frozenset({0, 6})  # the solver, and how samples ended


def display(title: str, labels: list[str], measure: str) -> Silent:
    """What shows solves here: drawn anew where standard output is a terminal that can and rich is installed."""
    if sys.stdout.isatty() and os.environ.get("TERM") != "dumb":
        try:
            return Live(title, measure)
        except ImportError:
            pass
    return Lines(title, labels, measure)
