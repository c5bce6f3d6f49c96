"""Models with every solver: what they warn of, and inputs of every dtype, size and layout, forward and backward."""

from __future__ import annotations

import re
import warnings
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.solvers.rows import ROWS, Row

each = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
F64 = torch.float64
X = torch.linspace(-1, 1, 6, dtype=F64).reshape(3, 2)


def model(row: Row, dtype: torch.dtype = F64, **settings: object) -> Any:
    """A model with weights that make f a contraction, the same at every call."""
    made = row.module(**{"adjoint": {"linear_solver": "lu"}, "atol": 1e-8, **settings}).Bed()
    weights = torch.tensor([[0.3, -0.4], [0.2, 0.1]], dtype=F64)
    with torch.no_grad():
        for k, parameter in enumerate(made.parameters()):
            parameter.copy_(weights / (k + 1) if parameter.ndim == 2 else weights[0])
    return made.to(dtype)


def gradients(made: Any, x: Tensor) -> list[Tensor]:
    """Of the input and of every weight."""
    x = x.detach().requires_grad_()
    return list(torch.autograd.grad(made(x).square().sum(), [x, *made.parameters()]))


@each
def test_a_failure_is_told_with_its_numbers_and_a_remedy(row: Row) -> None:
    """How many samples, why each ended, the worst residual, the tolerance, what to try."""
    made = model(row, atol=0, max_steps=1, on_failure="warn", adjoint="none")
    x = torch.cat([X, torch.full((1, 2), torch.nan, dtype=F64)])
    with pytest.warns(UserWarning, match="the solve") as caught:
        record = made.solve(x).original
    (told,) = [str(one.message) for one in caught]
    names = ["converged", "max_steps", "stalled", "diverged", "non_finite"]
    counts = {name: record.status.tolist().count(value) for value, name in enumerate(names) if value}
    ends = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    failed = sum(counts.values())
    assert failed >= 2
    assert counts["non_finite"] == 1
    assert told.startswith(
        f"Bed: the solve missed max |f(z) - z| <= 0.0 in 1 steps on {failed} of 4 samples ({ends}); "
    )
    assert "the worst residual norm is inf" in told
    assert told.endswith(f"Try more max_steps, a looser tolerance, {row.iteration.remedy}; see solve(...).original.")
    with pytest.warns(UserWarning, match="the solve") as caught:
        record = made.solve(X).original
    worst = re.search(r"the worst residual norm is (\S+)\. ", str(caught[0].message))
    assert worst is not None
    assert worst[1] == f"{float(record.residual_norm.max()):.1e}"


@each
def test_what_is_told_may_be_raised_and_left_unsaid(row: Row) -> None:
    with pytest.raises(RuntimeError, match=re.escape(f"{row.iteration.remedy}; see")):
        model(row, atol=0, max_steps=1, on_failure="raise")(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model(row, atol=0, max_steps=1, on_failure="ignore", adjoint="none")(X)
        model(row, on_failure="warn")(X)  # converged


@each
@pytest.mark.parametrize(
    ("dtype", "batch"), [(F64, 0), (F64, 1), (F64, 3), (torch.float32, 3), (torch.bfloat16, 3)], ids=str
)
def test_dtypes_and_batches(row: Row, dtype: torch.dtype, batch: int) -> None:
    """Gradients are those of float64, of each sample what they are in a larger batch."""
    atol = {F64: 1e-10, torch.float32: 1e-5, torch.bfloat16: 3e-2}[dtype]
    if dtype == torch.bfloat16:  # a step of h times a smaller residual is rounded to nothing
        atol /= float(str(row.options.get("step_size", 1)))
    made = model(row, dtype, atol=atol)
    solution = made.solve(X[:batch].to(dtype))
    assert solution.output.dtype == solution.original.residual_norm.dtype == dtype
    assert solution.original.status.tolist() == [0] * batch
    found = gradients(made, X[:batch].to(dtype))
    assert [one.dtype for one in found] == [dtype] * len(found)
    expected = gradients(model(ROWS[0], atol=1e-12), X[:batch])
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one.to(F64), other, rtol=0, atol=10 * atol if dtype != F64 else 1e-8)


@each
def test_layouts(row: Row) -> None:
    """An input that is not contiguous, or has a stride of zero."""
    made = model(row)
    for x in (X.t().contiguous().t(), torch.stack([X, X], 2)[..., 0], torch.tensor(0.3, dtype=F64).expand(3, 2)):
        assert x.stride() != (2, 1)
        torch.testing.assert_close(gradients(made, x), gradients(made, x.clone().contiguous()), rtol=1e-9, atol=1e-10)


@each
def test_a_nan_in_one_sample_stays_there(row: Row) -> None:
    """The others' solutions to the bit, and their gradients."""
    made, x = model(row), X.clone()
    x[1, 0] = torch.nan
    found, expected = made.solve(x), made.solve(X)
    assert found.original.status.tolist() == [0, 4, 0]
    assert torch.equal(found.output[[0, 2]], expected.output[[0, 2]])
    x.requires_grad_()
    (of_x,) = torch.autograd.grad(made(x)[[0, 2]].square().sum(), x)
    torch.testing.assert_close(of_x[[0, 2]], gradients(made, X)[0][[0, 2]], rtol=1e-9, atol=1e-10)
