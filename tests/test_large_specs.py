"""The work of a compilation is linear in the entries of a spec, whatever the machine: it is counted, not timed."""

from __future__ import annotations

import cProfile
import pstats
import runpy
from pathlib import Path
from typing import Any

import pytest

from deqc.compiler import compile_text

BENCHMARK: dict[str, Any] = runpy.run_path(str(Path(__file__).resolve().parents[1] / "benchmarks/large_specs.py"))
# Fewer than 12 dense scales run as one packed vector, another program: what grows is looked at from there on.
CASES = {"dense": (12, 24), "convolutional": (8, 16), "chain": (100, 400)}


def calls(text: str) -> tuple[int, int]:
    """How many functions a compilation calls, and how many lines it writes."""
    with cProfile.Profile() as profiler:
        source = compile_text(text, "large.yaml").source
    total: int = pstats.Stats(profiler).total_calls  # type: ignore[attr-defined]
    return total, source.count("\n")


@pytest.mark.parametrize("kind", CASES)
def test_four_times_the_entries_are_at_most_four_times_the_work_and_the_output(kind: str) -> None:
    spec, _, power = BENCHMARK["KINDS"][kind]
    small, large = CASES[kind]
    assert (large / small) ** power == 4
    calls(spec(small))  # what is made once a process
    (work, lines), (more_work, more_lines) = calls(spec(small)), calls(spec(large))
    assert more_work < 4 * work, f"{work} calls become {more_work}"
    assert more_lines < 4 * lines, f"{lines} lines become {more_lines}"
