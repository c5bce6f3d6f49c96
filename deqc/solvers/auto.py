"""The choice that the compiler makes once it knows the state's size."""

from deqc.solvers.base import Description

AUTO = Description(
    "auto",
    "Chosen when the spec is compiled: newton for dense states of at most 64 numbers, else anderson, also in "
    "mixed precision; tsit5 for a neural ODE. `deqc explain` shows what it became.",
    kinds=("deq", "neural_ode"),
)

AUTO_LINEAR = Description(
    "auto",
    "Chosen when the spec is compiled: lu for states of at most 64 numbers, of 32 or more with the factors of the last "
    "step where the solver is newton or halley; else gmres. `deqc explain` shows what it became.",
)
