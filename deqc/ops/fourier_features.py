"""`fourier_features`: sines and cosines at random frequencies (Rahimi & Recht 2007; Tancik et al. 2020)."""

from __future__ import annotations

from math import pi
from typing import Any

from deqc.fields import Field, Kind
from deqc.ops.base import Attributes, Layer, Make, Op, ShapeError
from deqc.ops.weights import NAME
from deqc.types import Type


class FourierFeatures(Op):
    """y = (sin(2π W x), cos(2π W x)) with W ~ N(0, sigma²); lowered to `linear`, `sin`, `cos` and `concat`."""

    name = "fourier_features"
    summary = (
        "Sines, then cosines, of 2π W x on the last axis, with frequencies W that are drawn once from a normal "
        "distribution (Tancik et al. 2020)."
    )
    fields = (
        Field("out", Kind.INT, "Features of the result, half of them sines; even.", minimum=2, examples=(64,)),
        Field(
            "sigma",
            Kind.NUMBER,
            "The standard deviation of the frequencies: the larger, the finer the detail.",
            default=1.0,
            exclusive_minimum=0.0,
            examples=(10.0,),
        ),
        Field("trainable", Kind.BOOL, "Whether the frequencies are learned; else they are a buffer.", default=False),
        NAME,
    )
    principal = "out"
    unbatched = True

    def layer(self, attributes: Attributes, *types: Type) -> Layer | None:
        """The frequencies alone: torch has no such layer."""
        x, out = types[0], attributes["out"]
        if x.rank == 0:
            raise ShapeError("fourier_features needs a value with at least one axis")
        if out % 2:
            raise ShapeError(f"fourier_features with {out} features", "an even number: half of them are sines")
        weight = ("weight", (out // 2, x.shape[-1]))
        return Layer(None, (weight,), ("normal", {"std": float(attributes["sigma"])}), not attributes["trainable"])

    def lowered(self, make: Make, attributes: Attributes, *operands: Any) -> Any:
        """The product, then both functions side by side."""
        x, w = operands
        angles = make("times", make("linear", x, w, out=w.type.shape[0], bias=False), by=2 * pi)
        return make("concat", make("sin", angles), make("cos", angles), dim=x.type.rank - 1)


OP = FourierFeatures()
