"""Picard iteration."""

from deqc.fields import Field, Kind
from deqc.solvers.base import Iteration

DAMPING = Field(
    "damping",
    Kind.NUMBER,
    "How far each step goes towards the image of the map: z + damping (f(z) - z). 1 is the plain iteration; a smaller "
    "value converges where f overshoots.",
    default=1.0,
    exclusive_minimum=0,
    exclusive_maximum=2,
    examples=(1.0, 0.7),
)

PICARD = Iteration(
    "picard",
    "z <- z + damping (f(z) - z), the plain fixed-point iteration: one evaluation of f a step. Converges where f is a "
    "contraction (Banach 1922; damped: Krasnoselskij 1955).",
    (DAMPING,),
    title="z <- z + DAMPING (f(z) - z)",
    remedy="a smaller damping, or anderson or newton",
)
