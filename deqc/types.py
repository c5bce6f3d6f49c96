"""The type of a value: what it is for one sample, and whether each sample has its own."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod


@dataclass(frozen=True)
class Type:
    """`shape` is without the batch; `batched` says whether a batch dimension stands before it."""

    shape: tuple[int, ...]
    batched: bool = True
    dtype: str = "float"

    @property
    def size(self) -> int:
        """Numbers a sample."""
        return prod(self.shape)

    @property
    def rank(self) -> int:
        """Dimensions of a sample."""
        return len(self.shape)

    def with_shape(self, *shape: int) -> Type:
        """The same with another shape."""
        return Type(tuple(shape), self.batched, self.dtype)

    def __str__(self) -> str:
        sizes = ", ".join(map(str, (("B",) if self.batched else ()) + self.shape))
        return f"({sizes},)" if len(self.shape) + self.batched == 1 else f"({sizes})"


def show(shape: tuple[int, ...]) -> str:
    """A shape of one sample as a spec writes it: `[16, 8, 8]`."""
    return "[" + ", ".join(map(str, shape)) + "]"
