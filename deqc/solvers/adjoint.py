"""Adjoint methods: how derivatives pass through the solution of z = f(z)."""

from deqc.fields import Field, Kind
from deqc.solvers.base import Description
from deqc.solvers.linear import SHARING

ASSUME = Field(
    "assume",
    Kind.CHOICE,
    "What is known of df/dz and not seen from the spec: nothing, or that it is symmetric, which cg needs.",
    default="none",
    choices=("none", "symmetric"),
    examples=("symmetric",),
)

IMPLICIT = Description(
    "implicit",
    "The exact derivative by the implicit function theorem: u = (df/dz)^T u + g is solved at the solution, then one "
    "product with (df/dtheta)^T. Memory does not grow with the steps (Bai et al. 2019).",
    (ASSUME,),
    max_steps=None,
)

JFB = Description(
    "jfb",
    "Jacobian-free backpropagation: u = g, as if df/dz were zero. One backward pass through f at the solution; "
    "approximate, a descent direction where f is contractive enough (Fung et al. 2022).",
    max_steps=None,
)

PHANTOM = Description(
    "phantom",
    "Backpropagates through `steps` damped steps z <- z + damping (f(z) - z) taken from the solution: approximate, "
    "better with more steps (Geng et al. 2021).",
    (
        Field(
            "steps",
            Kind.INT,
            "How many steps are taken from the solution and kept for the backward pass.",
            default=5,
            minimum=1,
            maximum=1000,
            examples=(5, 1),
        ),
        Field(
            "damping",
            Kind.NUMBER,
            "How far each of these steps goes towards the image of the map.",
            default=1.0,
            exclusive_minimum=0,
            maximum=1,
            examples=(1.0, 0.8),
        ),
    ),
    max_steps=None,
    unrolled="steps",
)

SHINE = Description(
    "shine",
    "The estimate u = H^T g: what `broyden` or `limited_memory_broyden` has learnt of H = (I - df/dz)^-1 in the solve "
    "serves the gradient too. No backward solve; approximate, better with steps that refine it (Ramzi et al. 2022).",
    (
        Field(
            "fallback",
            Kind.NUMBER,
            "Where the estimate of a sample is longer than so many times g, it is taken to be wrong and u = g, as "
            "`jfb` has it; null trusts every estimate.",
            default=1.3,
            exclusive_minimum=0,
            nullable=True,
            examples=(1.3, 5.0),
        ),
        Field(
            "refine",
            Kind.INT,
            "How many steps of Broyden's method on u = (df/dz)^T u + g follow, from the estimate and with H^T as its "
            "first matrix; with many the gradient is exact.",
            default=0,
            minimum=0,
            maximum=1000,
            examples=(0, 5),
        ),
    ),
    max_steps=None,
    solvers=SHARING,
)

UNROLL = Description(
    "unroll",
    "Ordinary backpropagation through every step of the solver: the derivative of what was computed, with memory that "
    "grows with the steps (Griewank & Walther 2008).",
    (
        Field(
            "checkpoint",
            Kind.INT,
            "Of every so many steps only the first state is kept, and the steps are taken again in the backward pass; "
            "`sqrt` takes the square root of max_steps, which keeps least; 0 keeps all of every step.",
            default=0,
            minimum=0,
            choices=("sqrt",),
            examples=(0, 8, "sqrt"),
        ),
    ),
    max_steps=None,
    unrolled="max_steps",
)

REVERSIBLE_ADJOINT = Description(
    "reversible",
    "Undoes the steps of the solver `reversible`, the last one first, and differentiates each: the derivative of what "
    "was computed, with memory that does not grow with the steps. Rounding errors do (McCallum et al. 2025).",
    (
        Field(
            "drift",
            Kind.NUMBER,
            "A backward pass has missed where the start that it finds again is further from the true one than so many "
            "times the way from there to the solution: a warning, or what `on_failure` says.",
            default=1e-3,
            exclusive_minimum=0,
            examples=(1e-3, 1e-6),
        ),
    ),
    max_steps=None,
    solvers=("reversible",),
)

DISCRETE = Description(
    "discrete",
    "Backpropagates through the steps of a neural ODE's solver, whose lengths are constants to it: the derivative of "
    "what was computed, with memory that grows with the steps (Onken & Ruthotto 2020).",
    max_steps=None,
    unrolled="max_steps",
    kinds=("neural_ode",),
)

_KEPT = "keeps the steps that were taken"

GAUSS = Description(
    "gauss",
    "The gradient of a neural ODE's equation, not of its steps: lambda' = lambda - (df/dz)^T lambda is followed back "
    "along z(t), a cubic through the ends of the steps, and the gradient of the weights is its integral by Gauss's "
    "rule. Right to the solver's tolerances; keeps z at the ends of the steps, no activations (Pontryagin et al. 1962; "
    "Rackauckas et al. 2020).",
    max_steps=None,
    eager_back=_KEPT,
    kinds=("neural_ode",),
)

BACKSOLVE = Description(
    "backsolve",
    "As gauss, but z is followed back from the end too: memory does not grow with the steps, and what dies out on the "
    "way forth grows on the way back, so that it is for short times (Chen et al. 2018).",
    max_steps=None,
    eager_back=_KEPT,
    kinds=("neural_ode",),
)

NONE = Description(
    "none",
    "No derivatives through the solution: it is a constant to autograd, for inference.",
    max_steps=None,
    kinds=("deq", "neural_ode"),
)
