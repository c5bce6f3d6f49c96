"""torch.export takes the steps of every solver, for any batch."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.solvers.rows import ROWS, Row
from tests.solvers.small import inputs, model_of, text_of

# torch 2.13 exports no derivative of its own making in a loop, and halley takes a second one.
EXPORTED = [row for row in ROWS if row.method != "halley"]


@pytest.mark.parametrize(
    "row",
    [
        pytest.param(row, id=row.name, marks=() if row.method == "newton_krylov" else pytest.mark.slow)
        for row in EXPORTED
    ],
)
@pytest.mark.parametrize("strict", [True, False])
def test_every_solver(row: Row, strict: bool) -> None:
    solver = {"method": row.method, "max_steps": 30, "on_failure": "ignore", **row.options}
    model: Any = model_of(text_of(solver, "implicit"))
    batch = torch.export.Dim("batch")
    program = torch.export.export(model, (inputs(3),), dynamic_shapes=({0: batch},), strict=strict)
    torch.testing.assert_close(program.module()(inputs(5)), model(inputs(5)), rtol=1e-9, atol=1e-9)
