"""`conv1d`: a one-dimensional convolution over [channels, length]."""

from __future__ import annotations

from deqc.ops.convolution import Convolution, fields


class Conv1d(Convolution):
    """y = K * x + b; torch's nn.Conv1d."""

    name = "conv1d"
    rank = 1
    summary = "A convolution over [channels, length] with weights of its own: nn.Conv1d. Input channels are inferred."
    fields = (*fields(1), Convolution.MODE)


OP = Conv1d()
