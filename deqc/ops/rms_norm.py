"""`rms_norm`: unit root mean square over the last axis (Zhang & Sennrich 2019)."""

from __future__ import annotations

from typing import Any

from deqc.ops.base import Attributes, Layer
from deqc.ops.code import Code, Text, add, call, literal, method
from deqc.ops.normalization import AFFINE, EPS, OWN, Normalization
from deqc.types import Type


class RmsNorm(Normalization):
    """y = gain · x / sqrt(mean(x²) + eps) over the last axis."""

    name = "rms_norm"
    unbatched = True
    summary = "Unit root mean square over the last axis, then a learned gain (Zhang & Sennrich 2019)."
    fields = (AFFINE, EPS, OWN[0], OWN[-1])
    principal = "affine"
    calls_for_scale = False

    def layer(self, attributes: Attributes, *types: Type) -> Layer | None:
        """nn.RMSNorm."""
        x = types[0]
        if not attributes["affine"]:
            return None
        n = x.shape[-1]
        return Layer(f"nn.RMSNorm({n}, eps={attributes['eps']!r})", (("weight", (n,)),))

    def meaning(self, torch: Any, attributes: Attributes, *tensors: Any) -> Any:
        """The definition."""
        x, *affine = tensors
        y = x / (x.square().mean(-1, keepdim=True) + attributes["eps"]).sqrt()
        return y * affine[0] if affine else y

    def emit(self, attributes: Attributes, result: Type, *operands: Code) -> Code:
        """`F.rms_norm(x, (n,), gain, eps)`."""
        tail = operands[1:] or (Text("None"),)
        return call("F.rms_norm", operands[0], literal((result.shape[-1],)), *tail, attributes["eps"])

    def scale(self, attributes: Attributes, x: Code) -> Code:
        """1 / sqrt(mean(x²) + eps)."""
        mean = method(method(x, "square"), "mean", -1, keepdim=Text("True"))
        return method(add(mean, literal(attributes["eps"])), "rsqrt")


OP = RmsNorm()
