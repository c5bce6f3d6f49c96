"""Several solvers, one after the other, on the samples that those before it have not solved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from deqc.solvers.base import Iteration, Part, camel_case
from deqc.solvers.levenberg_marquardt import LEVENBERG_MARQUARDT
from deqc.solvers.newton import NEWTON
from deqc.solvers.pseudo_transient import PSEUDO_TRANSIENT
from deqc.solvers.trust_region import TRUST_REGION


@dataclass(frozen=True)
class Cascade(Iteration):
    """An iteration of several stages, each a solver with its options."""

    stages: tuple[tuple[Iteration, Mapping[str, str]], ...] = ()

    def parts(self, options: Mapping[str, str]) -> tuple[Part, ...]:
        """The classes of all stages."""
        return tuple(Part(one.name, self._class_name(one, own), own) for one, own in self.stages)

    def made(self) -> list[str]:
        """The stages as a module makes them."""
        return [
            f"{self._class_name(one, own)}({', '.join(['jacobian', *(own[name] for name in one.numbers)])})"
            for one, own in self.stages
        ]

    def _class_name(self, one: Iteration, options: Mapping[str, str]) -> str:
        if sum(stage is one for stage, _ in self.stages) == 1:
            return one.class_name
        return one.class_name + camel_case(options["radius"])


CASCADE = Cascade(
    "cascade",
    "Several solvers with a dense Jacobian in turn, each on the samples that those before it have not solved: newton, "
    "trust_region by two radii, levenberg_marquardt, pseudo_transient. What solves most; `max_steps` is each stage's "
    "(as the polyalgorithms of Pal et al. 2024).",
    max_steps=100,
    title="several methods in turn, each from z0 on the samples that are not solved yet",
    remedy="another start z0",
    note="Of a sample that no stage solves the best of their ends is returned. Where compiled, a stage with no sample "
    "left still calls f once.",
    reads="jacobian",
    ends=True,
    refuses=True,
    counts=True,
    helpers=("_dense_solve", "_dogleg", "_dot", "_size", "_times"),
    constants=LEVENBERG_MARQUARDT.constants,
    stages=(
        (NEWTON, {"line_search": "none"}),  # gets out of minima of |f(z) - z| in which those that descend end
        *((TRUST_REGION, {"radius": radius}) for radius in ("nlsolve", "bastin")),  # those that solve most
        (LEVENBERG_MARQUARDT, {"geodesic": "False"}),
        (PSEUDO_TRANSIENT, {"step_size": "1.0"}),
    ),
)
