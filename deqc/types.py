"""The type of a value: what it is for one sample, and whether each sample has its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, TypeGuard, cast

BATCH = "B"  # how the size of the batch is shown, which shapes leave out
FLOAT = "float"  # the dtype of what layers compute with: that of the parameters


class UnknownSizeError(Exception):
    """Something had to be decided that depends on a size which is known at the call only."""


class Dim:
    """A size that is known at the call: a sum of products of dimension names, `16 * N` or `L + M`.

    It stands wherever a size may, and is typed as an int there: most rules only carry sizes along. What cannot be
    decided for every size, such as whether N is divisible by 8, raises UnknownSizeError. Names stand for 1 or more.
    """

    __slots__ = ("terms",)

    def __init__(self, terms: Mapping[tuple[str, ...], int]) -> None:
        order = sorted(terms.items(), key=lambda term: (-len(term[0]), term[0]))
        self.terms: tuple[tuple[tuple[str, ...], int], ...] = tuple(order)  # each product of names with its factor

    @property
    def names(self) -> frozenset[str]:
        """The names that it is made of."""
        return frozenset(name for product, _ in self.terms for name in product)

    @property
    def name(self) -> str | None:
        """The name, where it is nothing else."""
        (product, factor), *rest = self.terms
        return product[0] if not rest and factor == 1 and len(product) == 1 else None

    @property
    def product(self) -> bool:
        """Whether it is one product, no sum."""
        return len(self.terms) == 1

    def at(self, sizes: Mapping[str, int]) -> int:
        """The size where these are the sizes of the names."""
        return sum(factor * prod(sizes[name] for name in product) for product, factor in self.terms)

    def __add__(self, other: object) -> Any:
        found = dict(self.terms)
        for product, factor in _terms(other):
            found[product] = found.get(product, 0) + factor
        return _size(found)

    __radd__ = __add__

    def __neg__(self) -> Any:
        return self * -1

    def __sub__(self, other: Any) -> Any:
        return self + -1 * other

    def __rsub__(self, other: Any) -> Any:
        return -self + other

    def __mul__(self, other: object) -> Any:
        found: dict[tuple[str, ...], int] = {}
        for left, a in self.terms:
            for right, b in _terms(other):
                product = tuple(sorted((*left, *right)))
                found[product] = found.get(product, 0) + a * b
        return _size(found)

    __rmul__ = __mul__

    def __floordiv__(self, other: int) -> Any:
        if not isinstance(other, int) or any(factor % other for _, factor in self.terms):
            raise UnknownSizeError(f"{self} divided by {other}")
        return _size({product: factor // other for product, factor in self.terms})

    def __mod__(self, other: int) -> int:
        return 0 * cast(int, self // other)

    def __truediv__(self, other: object) -> Any:
        raise UnknownSizeError(f"{self} divided by {other}")

    def __rtruediv__(self, other: object) -> Any:
        raise UnknownSizeError(f"{other} divided by {self}")

    def __lt__(self, other: Any) -> bool:
        return _positive(other - self, f"{self} < {other}")

    def __gt__(self, other: Any) -> bool:
        return _positive(self - other, f"{self} > {other}")

    def __le__(self, other: Any) -> bool:
        return not self > other

    def __ge__(self, other: Any) -> bool:
        return not self < other

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Dim) and self.terms == other.terms

    def __hash__(self) -> int:
        return hash(self.terms)

    def __repr__(self) -> str:
        text = ""
        for product, factor in self.terms:
            sign = "-" if factor < 0 else "+"
            parts = [str(abs(factor))] if abs(factor) != 1 or not product else []
            term = " * ".join([*parts, *product])
            text += f" {sign} {term}" if text else f"-{term}" if factor < 0 else term
        return text


def _terms(size: object) -> tuple[tuple[tuple[str, ...], int], ...]:
    if isinstance(size, Dim):
        return size.terms
    if isinstance(size, int):
        return (((), size),)
    raise UnknownSizeError(f"a size with {size}")


def _size(terms: dict[tuple[str, ...], int]) -> Any:
    """An int where no name is left."""
    kept = {product: factor for product, factor in terms.items() if factor}
    return Dim(kept) if any(kept) else kept.get((), 0)


def _positive(size: Any, question: str) -> bool:
    """Whether it is more than 0 for all sizes of its names."""
    if not isinstance(size, Dim):
        return bool(size > 0)
    least = sum(factor for _, factor in size.terms)  # where all names are 1
    factors = [factor for product, factor in size.terms if product]
    if least > 0 and all(factor > 0 for factor in factors):
        return True
    if least <= 0 and all(factor < 0 for factor in factors):
        return False
    raise UnknownSizeError(f"whether {question}")


def dimension(name: str) -> int:
    """The size that a name stands for."""
    return cast(int, Dim({(name,): 1}))


def named(size: object) -> TypeGuard[Dim]:
    """Whether a size is known at the call only."""
    return isinstance(size, Dim)


def dims(value: object) -> Iterator[Dim]:
    """The sizes among constants, at any depth, that are known at the call only."""
    if isinstance(value, Dim):
        yield value
    elif isinstance(value, (tuple, list)):
        for one in value:
            yield from dims(one)
    elif isinstance(value, Mapping):
        yield from dims(tuple(value.values()))


def bound(value: Any, sizes: Mapping[str, int]) -> Any:
    """Constants with numbers for the names of dimensions."""
    if isinstance(value, Dim):
        return value.at(sizes)
    if isinstance(value, (tuple, list)):
        return type(value)(bound(one, sizes) for one in value)
    return value


@dataclass(frozen=True)
class Type:
    """`shape` is without the batch; `batched` says whether a batch dimension stands before it."""

    shape: tuple[int, ...]  # a `Dim` where the size is known at the call only
    batched: bool = True
    dtype: str = FLOAT
    sparse: bool = False

    @property
    def size(self) -> int:
        """Numbers a sample."""
        return prod(self.shape)

    @property
    def rank(self) -> int:
        """Dimensions of a sample."""
        return len(self.shape)

    @property
    def differentiable(self) -> bool:
        """Whether a gradient for it exists: not of whole numbers, truth values and sparse matrices."""
        return self.dtype == FLOAT and not self.sparse

    def with_shape(self, *shape: int) -> Type:
        """The same with another shape."""
        return Type(tuple(shape), self.batched, self.dtype, self.sparse)

    def __str__(self) -> str:
        sizes = ", ".join(map(str, ((BATCH,) if self.batched else ()) + self.shape))
        text = f"({sizes},)" if len(self.shape) + self.batched == 1 else f"({sizes})"
        kind = "" if self.dtype == FLOAT else f" {self.dtype}"
        return f"{text}{kind} sparse" if self.sparse else f"{text}{kind}"


def show(shape: tuple[int, ...]) -> str:
    """A shape of one sample as a spec writes it: `[16, 8, 8]`."""
    return "[" + ", ".join(map(str, shape)) + "]"
