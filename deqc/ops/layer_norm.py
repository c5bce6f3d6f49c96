"""`layer_norm`: zero mean and unit variance over the last axis (Ba, Kiros & Hinton 2016)."""

from __future__ import annotations

from typing import Any

from deqc.ops.base import Attributes, Layer
from deqc.ops.code import Code, call
from deqc.ops.normalization import AFFINE, EPS, OWN, Normalization
from deqc.types import Type


class LayerNorm(Normalization):
    """y = gain · (x - mean) / sqrt(var + eps) + shift over the last axis."""

    name = "layer_norm"
    unbatched = True
    summary = "Zero mean and unit variance over the last axis, then a learned gain and shift (Ba, Kiros & Hinton 2016)."
    fields = (AFFINE, EPS, *OWN)
    principal = "affine"
    function = "_layer_norm"
    whole = False

    def layer(self, attributes: Attributes, *types: Type) -> Layer | None:
        """nn.LayerNorm."""
        x = types[0]
        if not attributes["affine"]:
            return None
        n, eps = x.shape[-1], attributes["eps"]
        tail = "" if eps == 1e-5 else f", eps={eps!r}"
        return Layer(f"nn.LayerNorm({n}{tail})", (("weight", (n,)), ("bias", (n,))))

    def meaning(self, torch: Any, attributes: Attributes, *tensors: Any) -> Any:
        """The definition."""
        x, *affine = tensors
        centred = x - x.mean(-1, keepdim=True)
        y = centred / (centred.square().mean(-1, keepdim=True) + attributes["eps"]).sqrt()
        return y * affine[0] + affine[1] if affine else y

    def emit(self, attributes: Attributes, result: Type, *operands: Code) -> Code:
        """`_layer_norm(x, gain, shift)`."""
        eps = {} if attributes["eps"] == 1e-5 else {"eps": attributes["eps"]}
        return call("_layer_norm", *operands, **eps)


OP = LayerNorm()
