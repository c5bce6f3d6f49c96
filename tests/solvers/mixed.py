"""Batches whose samples differ in how hard they are: f(z) = s tanh(z) + c sin(z of the entry before) + b."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

SIZE = 4


@dataclass
class Mixed:
    """The map, with its derivatives in closed form; counts the calls of each.

    A call inside of k nested derivatives by torch counts as k products too.
    """

    s: Tensor  # (B, 1)
    c: Tensor  # (B, 1)
    b: Tensor  # (B, D)
    z0: Tensor  # (B, D)
    calls: int = field(default=0)
    products: int = field(default=0)  # with df/dz; a dense one counts as D

    def __call__(self, z: Tensor) -> Tensor:
        self.calls += 1
        self.products += max(torch._C._functorch.maybe_get_level(z), 0)
        return self.s * torch.tanh(z) + self.c * torch.sin(z.roll(1, 1)) + self.b

    def jacobian(self, z: Tensor) -> Tensor:
        """df/dz, (B, D, D)."""
        self.products += z.shape[1]
        eye = torch.eye(z.shape[1], dtype=z.dtype)
        own = (self.s * (1 - torch.tanh(z) ** 2)).unsqueeze(2) * eye
        return own + (self.c * torch.cos(z.roll(1, 1))).unsqueeze(2) * eye.roll(1, 0)

    def jvp(self, z: Tensor) -> Mixed.Product:
        """V -> (df/dz) v."""
        return self.Product(self, z)

    @dataclass
    class Product:
        """df/dz at z."""

        f: Mixed
        z: Tensor

        def __call__(self, v: Tensor) -> Tensor:
            self.f.products += 1
            f, z = self.f, self.z
            return f.s * (1 - torch.tanh(z) ** 2) * v + f.c * torch.cos(z.roll(1, 1)) * v.roll(1, 1)

    def residual(self, z: Tensor) -> Tensor:
        """|f(z) - z| of each sample, uncounted."""
        calls = self.calls
        norm = (self(z) - z).abs().amax(1)
        self.calls = calls
        return norm

    def at(self, samples: slice | list[int]) -> Mixed:
        """The map of these samples alone, its counts at zero."""
        return Mixed(self.s[samples], self.c[samples], self.b[samples], self.z0[samples])


def mixed(kinds: str, dtype: torch.dtype = torch.float64, seed: int = 0) -> Mixed:
    """One sample for each word; those of the same kind at the same place of the batch are the same.

    easy      contracts well
    hard      from further away, and df/dz has the eigenvalue 1 at the solution 0: every method takes more steps
    solved    starts at its solution
    infinite  f is infinite
    nan       starts from a NaN
    """
    words = kinds.split()
    generator = torch.Generator().manual_seed(seed)
    b = 0.5 * torch.randn(len(words), SIZE, generator=generator, dtype=torch.float64)
    s = torch.full((len(words), 1), 0.4, dtype=torch.float64)
    c = torch.full((len(words), 1), 0.2, dtype=torch.float64)
    z0 = torch.zeros_like(b)
    for i, word in enumerate(words):
        if word in ("hard", "solved"):
            s[i], b[i] = 0.8, 0
            z0[i] = torch.tensor([2.0, 1.0, 0.5, -1.0]) if word == "hard" else 0
        elif word == "infinite":
            b[i, 1] = torch.inf
        elif word == "nan":
            z0[i, 2] = torch.nan
        else:
            assert word == "easy"
    return Mixed(s.to(dtype), c.to(dtype), b.to(dtype), z0.to(dtype))
