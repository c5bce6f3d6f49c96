"""torch.func.linearize, which traces a solve, takes the steps of every solver and the solves of every adjoint."""

from __future__ import annotations

import pytest
import torch
from torch.func import jvp, linearize

from deqc.solvers import LINEAR_SOLVERS
from tests.properties import with_parameters
from tests.solvers.rows import ROWS, Row
from tests.solvers.small import inputs, model_of, text_of

STEPS = 2  # traced, a loop takes every step it may


def same(text: str) -> None:
    """What linearize finds is what jvp finds, to rounding."""
    function, parameters = with_parameters(model_of(text), 1)
    at = inputs(), *parameters
    along = tuple(torch.ones_like(v) for v in at)
    torch.testing.assert_close(linearize(function, *at)[1](*along), jvp(function, at, along)[1], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_solver(row: Row) -> None:
    """Its steps, through which the adjoint `unroll` differentiates."""
    solver = {"method": row.method, "atol": 0, "max_steps": STEPS, "on_failure": "ignore", **row.options}
    same(text_of(solver, "unroll"))


@pytest.mark.parametrize("name", [name for name in LINEAR_SOLVERS if name != "auto"])
def test_every_linear_solver(name: str) -> None:
    """The solve of a derivative, to the last digit as far as it goes."""
    assume = {"assume": "symmetric"} if name == "cg" else {}
    adjoint = {"method": "implicit", "linear_solver": {"method": name}, **assume}
    same(text_of({"method": "newton", "max_steps": 20}, adjoint, "symmetric" if assume else "single"))
