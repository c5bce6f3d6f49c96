"""The passes in the order they run; each is one file with one definition, and can be switched off by its name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from deqc.ir.graph import Program
from deqc.ir.verify import verify
from deqc.passes.absorb import absorb
from deqc.passes.dead import dead
from deqc.passes.fold import fold
from deqc.passes.fuse_sources import fuse_sources
from deqc.passes.fuse_targets import fuse_targets
from deqc.passes.hoist import hoist
from deqc.passes.pack import pack
from deqc.passes.share import share


@dataclass(frozen=True)
class Pass:
    """A rewriting of programs that keeps their meaning."""

    name: str
    summary: str
    run: Callable[[Program], Program]


PIPELINE: tuple[Pass, ...] = (
    Pass("fold", "constant folding: steps that do nothing, and numbers known now", fold),
    Pass("share", "common subexpressions: equal values are computed once", share),
    Pass("pack", "small dense scales as one vector, with block matrices for weights", pack),
    Pass("fuse_targets", "purely linear mappings into one target as one product over the joined sources", fuse_targets),
    Pass("fuse_sources", "layers that share a source as one product or convolution with stacked outputs", fuse_sources),
    Pass("absorb", "what is added to a product and does not depend on z becomes its bias", absorb),
    Pass("hoist", "everything that does not depend on z is computed once a solve", hoist),
    Pass("dead", "dead code: what no result needs", dead),
)


def optimise(
    program: Program, disable: frozenset[str] = frozenset(), watch: Callable[[str, Program], None] | None = None
) -> Program:
    """The program after every pass that is not disabled; `watch` sees it after each."""
    verify(program, "lowering")
    for step in PIPELINE:
        if step.name not in disable:
            program = step.run(program)
            verify(program, step.name)
            if watch is not None:
                watch(step.name, program)
    return program
