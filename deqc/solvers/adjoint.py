"""Adjoint methods: how derivatives pass through the solution of z = f(z)."""

from deqc.fields import Field, Kind
from deqc.solvers.base import Description

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

UNROLL = Description(
    "unroll",
    "Ordinary backpropagation through every step of the solver: the derivative of what was computed, with memory that "
    "grows with the steps (Griewank & Walther 2008).",
    max_steps=None,
    unrolled="max_steps",
)

DISCRETE = Description(
    "discrete",
    "Backpropagates through the steps of a neural ODE's solver, whose lengths are constants to it: the derivative of "
    "what was computed, with memory that grows with the steps (Onken & Ruthotto 2020).",
    max_steps=None,
    unrolled="max_steps",
    kinds=("neural_ode",),
)

NONE = Description(
    "none",
    "No derivatives through the solution: it is a constant to autograd, for inference.",
    max_steps=None,
    kinds=("deq", "neural_ode"),
)
