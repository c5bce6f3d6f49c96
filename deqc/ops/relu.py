"""`relu`: y = max(x, 0)."""

from __future__ import annotations

from deqc.ops.activation import Activation, positive
from deqc.ops.base import Attributes
from deqc.ops.code import Code


class Relu(Activation):
    """y = max(x, 0)."""

    name = "relu"
    summary = "y = max(x, 0)."
    torch_name = "torch.relu"
    reads = "output"
    zero_preserving = True

    def derivative(self, attributes: Attributes, v: Code) -> Code:
        """1 where y > 0."""
        return positive(v)


OP = Relu()
