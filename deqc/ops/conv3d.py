"""`conv3d`: a three-dimensional convolution over [channels, depth, height, width]."""

from __future__ import annotations

from deqc.ops.convolution import Convolution, fields


class Conv3d(Convolution):
    """y = K * x + b; torch's nn.Conv3d."""

    name = "conv3d"
    rank = 3
    summary = (
        "A convolution over [channels, depth, height, width] with weights of its own: "
        "nn.Conv3d. Input channels are inferred."
    )
    fields = (*fields(3), Convolution.MODE)


OP = Conv3d()
