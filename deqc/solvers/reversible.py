"""The reversible iteration."""

from dataclasses import replace

from deqc.solvers.base import Iteration
from deqc.solvers.picard import DAMPING

REVERSIBLE = Iteration(
    "reversible",
    "Two damped iterations that take turns, y <- y + damping (f(z) - y) and z <- z + damping (f(y) - z): every step "
    "can be undone, so that what led to the solution need not be kept (McCallum et al. 2025). Two evaluations of f a "
    "step.",
    (
        replace(
            DAMPING,
            text="How far each step goes towards the image of the map; 1 would leave nothing to undo the step from.",
            default=0.8,
            exclusive_maximum=1,
            examples=(0.8, 0.5),
        ),
    ),
    title="two damped iterations that take turns",
    remedy="a smaller damping, or anderson or newton",
    counts=True,
)
