"""Klement's method."""

from deqc.solvers.base import Iteration
from deqc.solvers.broyden import ALPHA

KLEMENT = Iteration(
    "klement",
    "Steps to z + (f(z) - z) / j, where j stands for the diagonal of I - df/dz and learns from the secant slope of "
    "each entry, the more the further it moved: one evaluation of f a step, for maps whose entries depend little on "
    "each other (Klement 2014, with the diagonal of Broyden's update, Broyden 1965).",
    (ALPHA,),
    title="Klement's method, a secant method in each entry",
    remedy="a larger alpha, or broyden or newton",
    constants={"SLOPES": (1e-4, 1e4)},  # least and largest |j|: at 0 there is no step
)
