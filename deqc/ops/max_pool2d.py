"""`max_pool2d`: the largest number of each window."""

from __future__ import annotations

from deqc.ops.pooling import Pooling


class MaxPool2d(Pooling):
    """The largest number of each window of an image."""

    name = "max_pool2d"
    summary = "The largest number of each window of an image, channel by channel."
    torch_name = "max_pool2d"


OP = MaxPool2d()
