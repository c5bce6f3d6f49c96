"""What each solver of the table needs on maps of a chosen size and spectrum: the table of docs/how-to/solvers.md.

f(z) = z* + A tanh(z - z*) has the derivative A at its solution z*, and flattens away from it. A cell is what a sample
needs in the median to |f(z) - z| <= 1e-6: evaluations of f, and behind a plus the products with df/dz. Both are
counted, not timed: a product costs about as much as f, a small f is outweighed by what the solver itself does.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import torch
from torch import Tensor

from deqc.solvers import SOLVERS
from tests.solvers.linear import FAMILIES, linear
from tests.solvers.modules import module
from tests.solvers.rows import METHODS

PAGE = Path(__file__).resolve().parents[1] / "docs/how-to/solvers.md"
SIZES = (8, 128)
BATCH, MAX_STEPS = 8, 100
DEAR = frozenset({"halley"})  # a matrix of second derivatives a step: not for large states
_PLACE = re.compile(r"(<!-- measured -->\n\n).*?(\n\n<!-- end -->)", re.DOTALL)


def measured(method: str, family: str, size: int) -> str:
    """A cell: the median of what samples need, or how many of them were solved where not all were."""
    maps = linear(family, BATCH, size)
    solution = maps.solution

    def f(z: Tensor) -> Tensor:
        return solution + (maps.a @ (z - solution).tanh().unsqueeze(2)).squeeze(2)

    def jacobian(z: Tensor) -> Tensor:
        return maps.a * (1 - (z - solution).tanh().square()).unsqueeze(1)

    steps = max(MAX_STEPS, SOLVERS[method].max_steps or 0)
    made = module(method, atol=1e-6, max_steps=steps, on_failure="ignore")
    record = made.fixed_point(f, torch.zeros_like(solution), jacobian=jacobian)[1]
    good = int((record.status == 0).sum())
    if good < BATCH:
        return f"{good} of {BATCH}" if good else "–"
    products = int(record.njvp.median())
    return f"{int(record.nfe.median())}" + (f" + {products}" if products else "")


def table(size: int) -> str:
    """One row a solver, one column a spectrum."""
    methods = [name for name in METHODS if size < 64 or name not in DEAR]
    lines = [["", *(family.replace("_", " ") for family in FAMILIES)], ["---"] * (len(FAMILIES) + 1)]
    for name in methods:
        lines.append([f"`{name}`", *(measured(name, family, size) for family in FAMILIES)])
        print(" | ".join(lines[-1]), flush=True)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    """Prints the tables; a minute or two."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--write", action="store_true", help="put them into docs/how-to/solvers.md")
    write = parser.parse_args().write
    text = "\n\n".join(f"A state of {size} numbers:\n\n{table(size)}" for size in SIZES)
    if write:
        page, count = _PLACE.subn(lambda found: found[1] + text + found[2], PAGE.read_text(encoding="utf-8"))
        assert count == 1, "the page has one place for the tables"
        PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
