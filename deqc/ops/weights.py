"""What may be said of weights: how they start, what they are made of, and where a projection keeps them.

Three tables of variants; each has a name, options and a sentence. A parametrisation W = g(raw) is differentiable and
computed once a solve; a constraint acts by `project_()` after a step of an optimiser.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod, sqrt
from typing import Any, Final

from deqc.fields import Field, Kind, Variant
from deqc.ops.base import Attributes, Make, Op, ShapeError
from deqc.ops.code import Code, Text, call, literal, method, product, subtract, transposed
from deqc.types import Type, show

Shape = tuple[int, ...]
Options = Mapping[str, Any]


def _number(name: str, text: str, **rules: Any) -> Field:
    return Field(name, Kind.NUMBER, text, **rules)


INITS: Final[dict[str, Variant]] = {
    one.name: one
    for one in (
        Variant(
            "kaiming_uniform", "Uniform on ±1/√fan_in, torch's own start of linear layers and convolutions.", (), None
        ),
        Variant(
            "normal",
            "Normal with mean 0.",
            (_number("std", "The standard deviation.", exclusive_minimum=0.0, examples=(0.01,)),),
            "std",
        ),
        Variant(
            "uniform",
            "Uniform between two numbers.",
            (
                _number("low", "The least value.", examples=(-0.05,)),
                _number("high", "The largest value.", examples=(0.05,)),
            ),
            None,
        ),
        Variant(
            "uniform_fan_in",
            "Uniform on ±scale/fan_in, as the first layer of a SIREN starts (Sitzmann et al. 2020).",
            (_number("scale", "The scale.", default=1.0, exclusive_minimum=0.0, examples=(1.0,)),),
            "scale",
        ),
        Variant("constant", "One number everywhere.", (_number("value", "The number.", examples=(0.1,)),), "value"),
        Variant(
            "xavier",
            "Uniform on ±gain·√(6/(fan_in + fan_out)) (Glorot & Bengio 2010).",
            (_number("gain", "The gain.", default=1.0, exclusive_minimum=0.0),),
            "gain",
        ),
        Variant(
            "orthogonal",
            "A random orthogonal matrix times a gain; further axes count as columns (Saxe et al. 2014).",
            (_number("gain", "The gain.", default=1.0, exclusive_minimum=0.0),),
            "gain",
        ),
        Variant("zeros", "Zero everywhere.", (), None),
    )
}


def initial(name: str, options: Options, shape: Shape, weight: Code) -> Code | None:
    """The call that fills a tensor with its start; raises ShapeError where the shape does not allow it."""
    matrices = ("kaiming_uniform", "uniform_fan_in", "xavier", "orthogonal")
    if name in matrices and len(shape) < 2:
        others = ", ".join(sorted(INITS.keys() - set(matrices)))
        raise ShapeError(f"{name} needs a weight of two or more axes, this one has the shape {show(shape)}", others)
    fan_in = max(prod(shape[1:]), 1)
    match name:
        case "normal":
            return call("nn.init.normal_", weight, std=options["std"])
        case "uniform":
            return call("nn.init.uniform_", weight, options["low"], options["high"])
        case "constant":
            return call("nn.init.constant_", weight, options["value"])
        case "zeros":
            return call("nn.init.zeros_", weight)
        case "xavier":
            gain = {} if options["gain"] == 1 else {"gain": options["gain"]}
            return call("nn.init.xavier_uniform_", weight, **gain)
        case "orthogonal":
            gain = {} if options["gain"] == 1 else {"gain": options["gain"]}
            return call("nn.init.orthogonal_", weight, **gain)
        case _:
            bound = options["scale"] / fan_in if name == "uniform_fan_in" else 1 / sqrt(fan_in)
            return call("nn.init.uniform_", weight, -bound, bound)


def is_zero(name: str, options: Options) -> bool:
    """Whether a tensor starts at zero everywhere."""
    if name == "uniform":
        return bool(options["low"] == options["high"] == 0)
    return name == "zeros" or (name == "constant" and options["value"] == 0)


@dataclass(frozen=True)
class Parametrization(Variant):
    """W = g(raw): the tensors that stand in its place, how they are made of W, and the op that makes W of them."""

    parts: Mapping[str, Callable[[Shape, Options], Shape]] = field(default_factory=dict)  # suffix -> shape
    buffers: frozenset[str] = frozenset()  # those parts that are not learned
    square: bool = False  # whether it takes square matrices only
    divides: bool = False  # whether it divides by a norm of the weight
    prepare: str = ""  # the function that takes a layer's weight apart


def _whole(shape: Shape, options: Options) -> Shape:
    return shape


def _along(shape: Shape, options: Options) -> Shape:
    dim = options["dim"] % len(shape)
    return tuple(n if k == dim else 1 for k, n in enumerate(shape))


PARAMETRIZATIONS: Final[dict[str, Parametrization]] = {
    one.name: one
    for one in (
        Parametrization(
            "weight_norm",
            "W = g v/|v|, a length and a direction for each entry of one axis (Salimans & Kingma 2016).",
            (Field("dim", Kind.INT, "The axis whose entries have a length each; 0 is that of outputs.", default=0),),
            "dim",
            {"g": _along, "v": _whole},
            divides=True,
            prepare="_into_norm_and_direction",
        ),
        Parametrization(
            "spectral_norm",
            "W = target V/σ(V), σ the largest singular value by power iteration (Miyato et al. 2018). Its vectors are "
            "buffers, turned by every forward in training mode.",
            (
                _number("target", "The largest singular value that W has.", default=1.0, exclusive_minimum=0.0),
                Field("iterations", Kind.INT, "Power iterations in a forward.", default=1, minimum=1),
            ),
            "target",
            {
                "raw": _whole,
                "left": lambda shape, options: (shape[0],),
                "right": lambda shape, options: (prod(shape[1:]),),
            },
            frozenset({"left", "right"}),
            divides=True,
            prepare="_into_raw_and_singular_vectors",
        ),
        Parametrization(
            "nonneg",
            "W = softplus(V), entrywise above zero.",
            (),
            None,
            {"raw": _whole},
            prepare="_into_softplus",
        ),
        Parametrization(
            "skew", "W = V - Vᵀ, a square matrix.", (), None, {"raw": _whole}, square=True, prepare="_into_raw"
        ),
        Parametrization(
            "orthogonal",
            "W = exp(V - Vᵀ), a square orthogonal matrix of determinant 1 (Lezcano-Casado & Martínez-Rubio 2019).",
            (),
            None,
            {"raw": _whole},
            square=True,
            prepare="_into_raw",
        ),
    )
}

CONSTRAINTS: Final[dict[str, Variant]] = {
    one.name: one
    for one in (
        Variant("nonneg", "No entry below zero.", (), None),
        Variant(
            "inf_norm_ball",
            "The absolute values of each row add up to the radius at most, so that |W x| ≤ radius |x| in the maximum "
            "norm; rows are projected by Duchi et al. (2008).",
            (_number("radius", "The radius.", default=1.0, exclusive_minimum=0.0, examples=(0.95,)),),
            "radius",
        ),
        Variant(
            "spectral_ball",
            "No singular value above the radius.",
            (_number("radius", "The radius.", default=1.0, exclusive_minimum=0.0, examples=(0.95,)),),
            "radius",
        ),
    )
}


def projection(name: str, options: Options, weight: Code) -> Code:
    """The statement that moves a weight to the nearest one that obeys a constraint."""
    if name == "nonneg":
        return method(weight, "clamp_", min=0)
    return method(weight, "copy_", call(f"_{name}", weight, options["radius"]))


WEIGHT_FIELDS: Final = (
    Field(
        "weight_init",
        Kind.VARIANT,
        "How the weight starts; torch's own way if absent.",
        default=None,
        variants=INITS,
        examples=({"normal": {"std": 0.01}}, "orthogonal"),
    ),
    Field(
        "bias_init",
        Kind.VARIANT,
        "How the bias starts; torch's own way if absent.",
        default=None,
        variants={name: one for name, one in INITS.items() if name in ("normal", "uniform", "constant", "zeros")},
        examples=("zeros",),
    ),
    Field(
        "parametrize",
        Kind.VARIANT,
        "What the weight is made of, W = g(raw), computed once a solve.",
        default=None,
        variants=PARAMETRIZATIONS,
        examples=("weight_norm", {"spectral_norm": {"target": 0.9}}),
    ),
    Field(
        "constraint",
        Kind.VARIANT,
        "Where the weight has to stay: `model.project_()` moves it there, to be called after a step of an optimiser.",
        default=None,
        variants=CONSTRAINTS,
        examples=("nonneg", {"inf_norm_ball": 0.95}),
    ),
)
NAME: Final = Field(
    "name", Kind.WORD, "Its name in the paths of parameters, in place of the step's.", default=None, examples=("query",)
)
SAID: Final = frozenset(one.name for one in (*WEIGHT_FIELDS, NAME))


def norm_axes(options: Options, shape: Shape) -> Text:
    """All axes but that of the lengths, as a tuple."""
    return literal(tuple(k for k in range(len(shape)) if k != options["dim"] % len(shape)))


class SpectralNorm(Op):
    """W = target V/(uᵀ V v), V as a matrix; u and v are constants."""

    name = "spectral_norm"
    summary = "target V/σ, σ = uᵀ V v."
    step = False
    rows = False
    has_rule = False
    function = "_spectral_norm"

    def infer(self, attributes: Attributes, *types: Type) -> Type:
        """The shape of V."""
        return types[0]

    def meaning(self, torch: Any, attributes: Attributes, *tensors: Any) -> Any:
        """The definition."""
        raw, u, v = tensors
        return raw * (attributes["target"] / (u @ raw.flatten(1) @ v))

    def emit(self, attributes: Attributes, result: Type, *operands: Code) -> Code:
        """`_spectral_norm(raw, left, right)`, times the target."""
        value = call("_spectral_norm", *operands)
        return value if attributes["target"] == 1 else product(literal(attributes["target"]), value)


class Skew(Op):
    """W = V - Vᵀ, or its exponential."""

    step = False
    rows = False
    has_rule = False
    repeats = True

    def __init__(self, name: str, exponential: bool) -> None:
        self.name, self.exponential = name, exponential
        self.summary = "exp(V - Vᵀ)." if exponential else "V - Vᵀ."

    def meaning(self, torch: Any, attributes: Attributes, *tensors: Any) -> Any:
        """The definition."""
        skew = tensors[0] - tensors[0].mT
        return torch.linalg.matrix_exp(skew) if self.exponential else skew

    def emit(self, attributes: Attributes, result: Type, *operands: Code) -> Code:
        """`v - v.transpose(-2, -1)`."""
        skew = subtract(operands[0], transposed(operands[0]))
        return call("torch.linalg.matrix_exp", skew) if self.exponential else skew


class WeightNorm(Op):
    """W = g v/|v|."""

    name = "weight_norm"
    summary = "g v/|v|, a weight out of length and direction."
    step = False
    rows = False
    has_rule = False
    function = "_weight_norm"
    companions = (SpectralNorm(), Skew("skew", False), Skew("orthogonal", True))

    def infer(self, attributes: Attributes, *types: Type) -> Type:
        """The shape of v."""
        return types[1]

    def meaning(self, torch: Any, attributes: Attributes, *tensors: Any) -> Any:
        """The definition."""
        g, v = tensors
        dims = [k for k in range(v.ndim) if k != attributes["dim"] % v.ndim]
        return v * (g / v.square().sum(dims, keepdim=True).sqrt())

    def emit(self, attributes: Attributes, result: Type, *operands: Code) -> Code:
        """`_weight_norm(g, v, dims)`."""
        return call("_weight_norm", *operands, norm_axes(attributes, result.shape))


def made(make: Make, name: str, options: Options, raw: Sequence[Any]) -> Any:
    """The weight that a parametrisation makes of its parts."""
    match name:
        case "weight_norm":
            return make("weight_norm", *raw, dim=options["dim"])
        case "spectral_norm":
            return make("spectral_norm", *raw, target=options["target"])
        case "nonneg":
            return make("softplus", *raw)
        case _:
            return make(name, *raw)


OP = WeightNorm()
