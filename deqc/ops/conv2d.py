"""`conv2d`: a two-dimensional convolution over [channels, height, width]."""

from __future__ import annotations

from deqc.ops.convolution import Convolution, fields


class Conv2d(Convolution):
    """y = K * x + b; torch's nn.Conv2d."""

    name = "conv2d"
    rank = 2
    summary = (
        "A convolution over [channels, height, width] with weights of its own: nn.Conv2d. Input channels are inferred."
    )
    fields = (*fields(2), Convolution.MODE)


OP = Conv2d()
