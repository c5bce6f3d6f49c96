"""The exact adjoints with the solvers, scales and starts they are proven for, each to the last digits of float64."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any, NamedTuple

import pytest

from tests.solvers.small import text_of

TIGHT = {"atol": 1e-13, "rtol": 1e-13}

# Of a backward solve by iteration: to rounding. Batched, it takes all of its steps, so that there are few to spare.
STEPS = {"gmres": 12, "bicgstab": 12, "cg": 12, "anderson": 16, "broyden": 20, "limited_memory_broyden": 20}
STEPS |= {"picard": 45, "neumann": 45}  # with so many terms its series is exact
LINEAR: dict[str, dict[str, object]] = {
    **{name: {"method": name, "rtol": 1e-14, "max_steps": steps} for name, steps in STEPS.items()},
    "lu": {"method": "lu"},
    "auto": {"method": "auto", "rtol": 1e-14},
}
IMPLICIT: dict[str, object] = {name: {"method": "implicit", "linear_solver": one} for name, one in LINEAR.items()}
IMPLICIT["cg"] = {"method": "implicit", "assume": "symmetric", "linear_solver": LINEAR["cg"]}
OF_THE_STEPS: dict[str, object] = {"unroll": "unroll", "unroll again": {"method": "unroll", "checkpoint": 5}}
SOLVERS: dict[str, object] = {
    "newton": {"method": "newton", **TIGHT, "max_steps": 12},
    "anderson": {"method": "anderson", **TIGHT, "max_steps": 30},
    "vcab3": {"method": "vcab3", **TIGHT, "max_steps": 800},
    # as many steps as can be undone: each makes rounding errors 1 / (1 - damping) times larger
    "reversible": {"method": "reversible", "damping": 0.65, "atol": 0, "max_steps": 25, "on_failure": "ignore"},
    "rk4": {"method": "rk4", "step_size": 1 / 16},
}
SCALES, STARTS = ("single", "multi"), ("zeros", "chain")


class Exact(NamedTuple):
    """An adjoint with a solver on a model."""

    adjoint: str
    solver: str
    scales: str
    start: str

    @property
    def kind(self) -> str:
        """`rk4` is the solver of neural ODEs here."""
        return "neural_ode" if self.solver == "rk4" else "deq"

    @property
    def once(self) -> bool:
        """Whether the adjoint has first derivatives in reverse mode alone."""
        return self.adjoint in ("reversible", "gauss", "backsolve")

    @property
    def text(self) -> str:
        """The spec."""
        adjoint = {**IMPLICIT, **OF_THE_STEPS}.get(self.adjoint, self.adjoint)
        # cg is for a symmetric df/dz, which that of the first two models is not
        scales = (
            {"single": "symmetric", "multi": "symmetric multi"}[self.scales] if self.adjoint == "cg" else self.scales
        )
        return text_of(SOLVERS[self.solver], adjoint, scales, self.start, self.kind)


def every() -> Iterator[Exact]:
    """The whole product, without what the language refuses."""
    of_deq = [*product((*IMPLICIT, *OF_THE_STEPS), ("newton", "anderson", "vcab3")), ("reversible", "reversible")]
    of_ode = [(adjoint, "rk4") for adjoint in ("discrete", "gauss", "backsolve")]
    for (adjoint, solver), scales, start in product([*of_deq, *of_ode], SCALES, STARTS):
        yield Exact(adjoint, solver, scales, start)


# One of each adjoint, and each solver, number of scales and start among them: the rest of the product is slow.
QUICK = {
    "gmres": ("newton", "multi", "zeros"),
    "lu": ("anderson", "multi", "chain"),
    "bicgstab": ("newton", "single", "chain"),
    "cg": ("anderson", "multi", "chain"),
    "picard": ("newton", "single", "zeros"),
    "anderson": ("anderson", "single", "chain"),
    "broyden": ("newton", "multi", "chain"),
    "limited_memory_broyden": ("anderson", "single", "zeros"),
    "auto": ("vcab3", "single", "zeros"),
    "neumann": ("newton", "single", "chain"),
    "unroll": ("newton", "single", "chain"),
    "unroll again": ("anderson", "single", "zeros"),
    "reversible": ("reversible", "multi", "chain"),
    "discrete": ("rk4", "single", "chain"),
    "gauss": ("rk4", "multi", "zeros"),
    "backsolve": ("rk4", "single", "chain"),
}


def cases(*left: str) -> list[Any]:
    """The product; all but the quick ones are slow, and those of the adjoints that are `left` to the slow tests."""
    return [
        pytest.param(one, id="-".join(one), marks=[] if one in _quick(*left) else [pytest.mark.slow]) for one in every()
    ]


def _quick(*left: str) -> set[Exact]:
    return {Exact(adjoint, *rest) for adjoint, rest in QUICK.items() if adjoint not in left}
