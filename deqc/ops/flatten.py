"""`flatten`: all entries in one row."""

from __future__ import annotations

from typing import Any

from deqc.ops.base import ANY, Attributes
from deqc.ops.code import Code, literal, method
from deqc.ops.views import View
from deqc.types import Type


class Flatten(View):
    """All entries of a sample in one row."""

    name = "flatten"
    dtypes = ANY
    unbatched = True
    summary = "All entries of a sample in one row: [3, 8, 8] becomes [192]."

    def infer(self, attributes: Attributes, *types: Type) -> Type:
        """(a, b, …) -> (a · b · …)."""
        return types[0].with_shape(types[0].size)

    def meaning(self, torch: Any, attributes: Attributes, *tensors: Any) -> Any:
        """Flatten behind the batch."""
        return tensors[0].flatten(int(attributes.get("batched", True)))

    def emit(self, attributes: Attributes, result: Type, *operands: Code) -> Code:
        """`x.reshape(-1, n)`; torch's older vmap, which batches gradients, knows no flatten."""
        return method(operands[0], "reshape", -1, *([literal(result.shape[0])] if result.batched else []))


OP = Flatten()
