"""Every op's rule alone against finite differences, of first and of second order, along random directions.

All of them also with a batch of cotangents, which `is_grads_batched=True` leads through an older vmap than that of
torch.func: it knows fewer functions.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from tests.ops.compiled import Compiled
from tests.ops.table import ROWS, Row
from tests.ops.test_table import compiled


def by_rules(case: Compiled) -> Any:
    """f of z and of what it reads, whose derivatives are the generated ones and nothing else."""
    kind = type(case.weights())

    class Rules(torch.autograd.Function):
        @staticmethod
        def forward(z: Tensor, *w: Tensor) -> Tensor:
            value: Tensor = case.module.f(z, kind(*w))
            return value

        @staticmethod
        def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            ctx.save_for_backward(*inputs)

        @staticmethod
        def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, ...]:
            z, *w = ctx.saved_tensors
            return case.vjp(grads[0], z, kind(*w)), *case.module.pullback(grads[0], z, kind(*w))

    return Rules.apply


def leaves(case: Compiled) -> tuple[Tensor, ...]:
    return tuple(v.detach().clone().requires_grad_() for v in (case.state(), *case.weights()))


# The derivative of `detach` is not that of its value: test_adjoint.py. One row of each op; the others are slow.
SMOOTH = [row for row in ROWS if row.op != "detach"]
FIRST = {row.op: row for row in reversed(SMOOTH)}
rows = pytest.mark.parametrize(
    "row",
    [pytest.param(row, id=row.id, marks=[] if FIRST[row.op] is row else [pytest.mark.slow]) for row in SMOOTH],
)


@rows
def test_first_derivatives(row: Row) -> None:
    case = compiled(row, frozenset())
    assert torch.autograd.gradcheck(by_rules(case), leaves(case), fast_mode=True, check_batched_grad=True)


@rows
def test_second_derivatives(row: Row) -> None:
    case = compiled(row, frozenset())
    batched = row.op != "max_pool2d"  # in torch 2.13 its backward takes no batch of images that are channels last
    assert torch.autograd.gradgradcheck(by_rules(case), leaves(case), fast_mode=True, check_batched_grad=batched)
