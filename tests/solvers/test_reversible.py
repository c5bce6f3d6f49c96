"""The reversible iteration can be undone, and is what its formula says."""

from __future__ import annotations

import torch

from tests.solvers.modules import module

F64 = torch.float64
DAMPING = 0.7


def f(z: torch.Tensor) -> torch.Tensor:
    """A contraction."""
    return 0.6 * torch.cos(z) + 0.3


def test_the_steps_are_the_formulas_and_can_be_undone() -> None:
    z0 = torch.tensor([[1.5, -2.0], [0.2, 0.9]], dtype=F64)
    made = module("reversible", damping=DAMPING, atol=0.0, max_steps=7, on_failure="ignore")
    z, record = made.fixed_point(f, z0)
    y, at = z0, z0
    for _ in range(7):
        y = (1 - DAMPING) * y + DAMPING * f(at)
        at = (1 - DAMPING) * at + DAMPING * f(y)
    torch.testing.assert_close(z, at, rtol=1e-14, atol=1e-14)
    assert record.nfe.tolist() == [15, 15]
    for _ in range(7):
        at = (at - DAMPING * f(y)) / (1 - DAMPING)
        y = (y - DAMPING * f(at)) / (1 - DAMPING)
    torch.testing.assert_close(at, z0, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(y, z0, rtol=1e-9, atol=1e-9)
