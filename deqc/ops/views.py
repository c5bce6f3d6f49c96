"""What flatten and reshape share: the same numbers under another shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deqc.ops.base import Attributes, Make, Op, Value
from deqc.types import Type


class View(Op):
    """The same numbers under another shape."""

    view = True
    rows = False

    def flops(self, attributes: Attributes, types: Sequence[Type], result: Type) -> int:
        """None."""
        return 0

    def adjoint(self, make: Make, node: Value, g: Any) -> Sequence[Any]:
        """G under the old shape."""
        return (make("reshape", g, shape=node.operands[0].type.shape),)
