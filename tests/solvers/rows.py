"""What each solver is expected to solve: one row for each, or more where options make another method of it.

A solver of `METHODS` without a row fails `test_rows.py`. The integrators of torchdiffeq are in `test_torchdiffeq.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType, ModuleType

from deqc.solvers import SOLVERS, Iteration
from deqc.solvers.trust_region import RADIUS
from tests.solvers.modules import module

ALL = "contractive near_one rotating expansive stiff"  # of tests.solvers.linear: a Newton-type method solves them all
METHODS = tuple(name for name, one in SOLVERS.items() if isinstance(one, Iteration) and not one.integrator)
FLOWS = "contractive near_one rotating stiff"  # those where z' = f(z) - z comes to rest


@dataclass(frozen=True)
class Row:
    """A solver with some of its options, and the families of linear maps that it has to solve."""

    method: str
    linear: str = ""
    options: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    max_steps: int = 1000

    @property
    def name(self) -> str:
        """By which tests and tables know it."""
        return ".".join([self.method, *(f"{key}={value}" for key, value in self.options.items())])

    @property
    def iteration(self) -> Iteration:
        """Its description."""
        method = SOLVERS[self.method]
        assert isinstance(method, Iteration)
        return method

    def module(self, **settings: object) -> ModuleType:
        """A module with it, to 1e-9 in the largest entry unless `settings` say otherwise."""
        ours = {"atol": 1e-9, "max_steps": self.max_steps, "on_failure": "ignore", **self.options}
        return module(self.method, **{**ours, **settings})


ROWS = (
    Row("picard", "contractive near_one rotating"),
    Row("anderson", ALL),
    Row("anderson", ALL, {"type": "i"}),
    Row("anderson", "contractive near_one rotating", {"safeguard": False}),
    Row("aitken", ALL),
    Row("reversible", "contractive near_one rotating", {"damping": 0.9}),
    Row("broyden", ALL),
    Row("broyden", ALL, {"update": "bad"}),
    Row("limited_memory_broyden", ALL),
    Row("klement", "contractive near_one stiff"),
    Row("dfsane", "contractive near_one expansive stiff"),
    Row("newton", ALL, max_steps=300),
    Row("newton", ALL, {"line_search": "backtracking"}, max_steps=300),
    Row("newton_krylov", ALL, max_steps=300),
    Row("newton_krylov", ALL, {"forcing": "eisenstat_walker", "line_search": "backtracking"}, max_steps=300),
    *(Row("trust_region", ALL, {"radius": radius}, max_steps=300) for radius in RADIUS),
    Row("levenberg_marquardt", ALL, max_steps=300),
    Row("levenberg_marquardt", ALL, {"geodesic": True}, max_steps=300),
    Row("pseudo_transient", FLOWS, max_steps=300),
    Row("halley", ALL, max_steps=300),
    Row("cascade", ALL, max_steps=100),
    Row("euler", "contractive near_one rotating", max_steps=2000),
    Row("heun", "contractive near_one rotating", max_steps=2000),
    Row("rk4", "contractive near_one rotating", max_steps=2000),
    Row("bs3", FLOWS),
    Row("tsit5", FLOWS),
    Row("dopri5", FLOWS),
    Row("vcab3", FLOWS, max_steps=2000),
    Row("vcabm3", FLOWS),
    Row("rock2", FLOWS),
    Row("implicit_euler", FLOWS),
    Row("trbdf2", FLOWS),
    Row("rosenbrock23", FLOWS),
)
