"""Linear maps, whose fixed points are known."""

from __future__ import annotations

import pytest
import torch

from tests.solvers.linear import FAMILIES, linear
from tests.solvers.rows import ROWS, Row

EXPECTED = [pytest.param(row, family, id=f"{row.name}-{family}") for row in ROWS for family in row.linear.split()]
OTHERS = [
    pytest.param(row, family, id=f"{row.name}-{family}")
    for row in ROWS
    for family in FAMILIES
    if family not in row.linear.split()
]


@pytest.mark.parametrize("family", FAMILIES)
def test_the_spectra_are_what_they_are_called(family: str) -> None:
    values = torch.linalg.eigvals(linear(family).a)
    size, real = values.abs(), values.real
    assert bool((1 - values).abs().min() > 0.019)
    inside = {"contractive": 0.801, "near_one": 0.981, "rotating": 0.901}
    if family in inside:
        assert float(size.max()) < inside[family]
        assert bool((size.amax(1) > 0.4).all())
    if family == "rotating":
        assert bool((values.imag.abs() > 0.01).all())
        assert bool((real < 0).any())
    if family == "expansive":
        assert bool((real > 1.4).any(1).all())
        assert bool((real < 0).any(1).any())
    if family == "stiff":
        assert bool((real < -1).any(1).all())
        assert bool((real < 0.6).all())


@pytest.mark.parametrize(("row", "family"), EXPECTED)
def test_solves(row: Row, family: str) -> None:
    f = linear(family)
    z, record = row.module().fixed_point(f, torch.zeros_like(f.b))
    assert record.status.tolist() == [0] * 5
    # |z - z*| <= |(I - A)^-1| |f(z) - z|
    bound = 1e-9 * torch.linalg.matrix_norm(torch.linalg.inv(torch.eye(6) - f.a), torch.inf)
    assert bool(((z - f.solution).abs().amax(1) <= 1.001 * bound + 1e-12).all())


@pytest.mark.parametrize(("row", "family"), OTHERS)
def test_tells_the_truth_where_nothing_is_expected(row: Row, family: str) -> None:
    f = linear(family)
    z, record = row.module(max_steps=60).fixed_point(f, torch.zeros_like(f.b))
    residual = (f(z) - z).abs().amax(1)
    assert bool(z.isfinite().all())
    assert torch.equal(record.status == 0, record.residual_norm <= 1e-9)
    torch.testing.assert_close(record.residual_norm, residual, rtol=1e-6, atol=1e-12)
    assert bool((record.best_residual_norm <= record.residual_norm).all())
