"""`group_norm`: zero mean and unit variance over each group of channels (Wu & He 2018)."""

from __future__ import annotations

from typing import Any

from deqc.fields import Field, Kind
from deqc.ops.base import Attributes, Layer, ShapeError
from deqc.ops.code import Code, call
from deqc.ops.normalization import AFFINE, EPS, OWN, Normalization
from deqc.ops.shapes import images
from deqc.types import Type


class GroupNorm(Normalization):
    """y = gain · (x - mean) / sqrt(var + eps) + shift over each group of channels."""

    name = "group_norm"
    summary = (
        "Zero mean and unit variance over each group of channels, then a gain and shift by channel (Wu & He 2018)."
    )
    fields = (
        Field("groups", Kind.INT, "Groups of channels; their number divides the channels.", minimum=1, examples=(8,)),
        AFFINE,
        EPS,
        *OWN,
    )
    principal = "groups"
    channels = True
    rows = False
    function = "_group_norm"
    whole = False

    def layer(self, attributes: Attributes, *types: Type) -> Layer | None:
        """nn.GroupNorm."""
        channels, _, _ = images("group_norm", types[0])
        groups, eps = attributes["groups"], attributes["eps"]
        if channels % groups:
            raise ShapeError(f"group_norm with {groups} groups on {channels} channels", f"a divisor of {channels}")
        if not attributes["affine"]:
            return None
        tail = "" if eps == 1e-5 else f", eps={eps!r}"
        return Layer(f"nn.GroupNorm({groups}, {channels}{tail})", (("weight", (channels,)), ("bias", (channels,))))

    def scale_type(self, attributes: Attributes, x: Type) -> Type:
        """One number a channel."""
        return x.with_shape(x.shape[0], 1, 1)

    def meaning(self, torch: Any, attributes: Attributes, *tensors: Any) -> Any:
        """The definition."""
        x, *affine = tensors
        grouped = x.reshape(x.shape[0], attributes["groups"], -1)
        centred = grouped - grouped.mean(-1, keepdim=True)
        y = centred / (centred.square().mean(-1, keepdim=True) + attributes["eps"]).sqrt()
        y = y.reshape(x.shape)
        return y * affine[0][:, None, None] + affine[1][:, None, None] if affine else y

    def emit(self, attributes: Attributes, result: Type, *operands: Code) -> Code:
        """`_group_norm(x, groups, gain, shift)`."""
        eps = {} if attributes["eps"] == 1e-5 else {"eps": attributes["eps"]}
        return call("_group_norm", operands[0], attributes["groups"], *operands[1:], **eps)

    def pull_arguments(self, attributes: Attributes) -> tuple[int, ...]:
        """The number of groups."""
        return (attributes["groups"],)


OP = GroupNorm()
