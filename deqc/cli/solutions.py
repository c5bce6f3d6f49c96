"""What `deqc solve` says of solves: as rows of tables, and as a document for programs."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from deqc.cli.given import Given
    from deqc.compiler import Compilation
    from deqc.running import Run, Sample

RESIDUAL: Final = "residual"
TIME_LEFT: Final = "time left"  # of a neural ODE
_GROWTH: Final = 1.25  # of the steps that the second table shows, from each to the next


def head(measure: str) -> tuple[str, ...]:
    """What the columns of a table of solves hold; `measure` is what falls to zero."""
    return ("solver", "converged", "steps", "f", "products", measure, "")


def curves(measure: str) -> str:
    """The title of the table by step."""
    return f"{measure} of the worst sample, by step"


@dataclass(frozen=True)
class Solved:
    """One solver's work: the name that it was asked for by, its method, when it stops, and how it went."""

    label: str
    method: str
    goal: str
    run: Run

    @property
    def row(self) -> tuple[str, ...]:
        """The cells below `head`; the last says how those samples ended that did not converge."""
        samples = self.run.samples
        ends = Counter(sample.status for sample in samples)
        good = ends.pop("converged", 0)
        return (
            self.label,
            f"{good}/{len(samples)}",
            str(max((sample.steps for sample in samples), default=0)),
            str(self.run.calls),
            str(max((sample.njvp for sample in samples), default=0)),
            number(largest(sample.residual_norm for sample in samples)),
            ", ".join(f"{count} {status}" for status, count in ends.items()),
        )

    @property
    def worst(self) -> list[float]:
        """The largest residual norm of a sample at the start and after each step; one that has ended keeps its last."""
        traces = [sample.trace for sample in self.run.samples]
        steps = range(max(map(len, traces), default=0))
        return [largest(trace[min(step, len(trace) - 1)] for trace in traces if trace) for step in steps]


def largest(norms: Iterable[float]) -> float:
    """The largest; infinite where one is no number, 0 of none."""
    return max((norm if norm == norm else math.inf for norm in norms), default=0.0)


def number(norm: float) -> str:
    """A norm as tables show it."""
    return f"{norm:.1e}"


def by_step(curves: Sequence[tuple[str, Sequence[float]]]) -> list[tuple[str, ...]]:
    """A head and rows: the step, and each solver's residual there; every step at first, then fewer, and each last."""
    steps = {len(worst) - 1 for _, worst in curves if worst}
    longest, step = max(steps, default=-1), 0
    while step < longest:
        steps.add(step)
        step = max(step + 1, int(_GROWTH * step))
    rows = [(str(k), *(number(worst[k]) if k < len(worst) else "" for _, worst in curves)) for k in sorted(steps)]
    return [("step", *(label for label, _ in curves)), *rows]


def aligned(rows: Sequence[Sequence[str]], left: frozenset[int] = frozenset()) -> list[str]:
    """Rows of a table as lines: columns of numbers to the right, those in `left` to the left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(_cell(row[k], widths[k], k in left) for k in range(len(row))).rstrip() for row in rows]


def _cell(text: str, width: int, left: bool) -> str:
    return text.ljust(width) if left else text.rjust(width)


def document(compilation: Compilation, solved: Sequence[Solved], given: Given) -> str:
    """All that is known, as `schemas/solve-1.schema.json` describes it."""
    content = {
        **subject(compilation, given),
        "converged": all(one.run.converged for one in solved),
        "solvers": [_object(one) for one in solved],
    }
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def subject(compilation: Compilation, given: Given) -> dict[str, Any]:
    """What was run, and on what."""
    return {
        "model": compilation.spec.name,
        "sha256": compilation.plan.spec_sha256,
        "seed": given.seed,
        "inputs": given.inputs,
        "weights": given.weights,
    }


def sample(one: Sample) -> dict[str, Any]:
    """How the solve of one sample went."""
    return {
        "status": one.status,
        "steps": one.steps,
        "nfe": one.nfe,
        "njvp": one.njvp,
        "residual_norm": finite(one.residual_norm),
    }


def _object(one: Solved) -> dict[str, Any]:
    return {
        "solver": one.label,
        "method": one.method,
        "goal": one.goal,
        "converged": one.run.converged,
        "calls": one.run.calls,
        "seconds": one.run.seconds,
        "samples": [
            {
                **sample(each),
                "best_residual_norm": finite(each.best_residual_norm),
                "trace": [finite(norm) for norm in each.trace],
            }
            for each in one.run.samples
        ],
    }


def finite(value: float | None) -> float | None:
    """A number as JSON has it; None where it is no number, or there is none."""
    return value if value is not None and math.isfinite(value) else None
