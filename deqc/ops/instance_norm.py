"""`instance_norm`: zero mean and unit variance over the pixels of each channel (Ulyanov, Vedaldi & Lempitsky 2016)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from deqc.ops.base import Attributes, Layer, Make, Op
from deqc.ops.normalization import AFFINE, EPS, OWN
from deqc.ops.shapes import images
from deqc.types import Type


class InstanceNorm(Op):
    """Each channel normalised by itself; lowered to `group_norm` with a group for every channel."""

    name = "instance_norm"
    summary = (
        "Zero mean and unit variance over the pixels of each channel, by itself (Ulyanov, Vedaldi & Lempitsky 2016)."
    )
    fields = (replace(AFFINE, default=False), EPS, *OWN)
    principal = "affine"

    def layer(self, attributes: Attributes, *types: Type) -> Layer | None:
        """nn.InstanceNorm2d."""
        channels, _, _ = images("instance_norm", types[0])
        if not attributes["affine"]:
            return None
        tail = "" if attributes["eps"] == 1e-5 else f", eps={attributes['eps']!r}"
        parameters = (("weight", (channels,)), ("bias", (channels,)))
        return Layer(f"nn.InstanceNorm2d({channels}{tail}, affine=True)", parameters)

    def lowered(self, make: Make, attributes: Attributes, *operands: Any) -> Any:
        """As many groups as channels."""
        return make("group_norm", *operands, groups=operands[0].type.shape[0], **attributes)


OP = InstanceNorm()
