"""What a sample gets and costs does not depend on its batch mates; batches of every dtype, size and layout."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.solvers.mixed import SIZE, Mixed, mixed
from tests.solvers.rows import ROWS, Row

each = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
FIELDS = ("status", "steps", "nfe", "njvp", "residual_norm", "best_residual_norm")


def solve(row: Row, f: Mixed, **settings: object) -> tuple[Tensor, dict[str, Tensor]]:
    """With the map's own derivatives, to 1e-6."""
    module = row.module(**{"atol": 1e-6, **settings})
    z, record = module.fixed_point(f, f.z0, jvp=f.jvp, jacobian=f.jacobian)
    return z, {name: getattr(record, name) for name in FIELDS}


@each
def test_mates_change_nothing(row: Row) -> None:
    """To the bit, where the batches are of the same size."""
    among_easy = mixed("easy easy solved easy easy")
    among_hard = mixed("easy infinite solved nan hard")
    z, record = solve(row, among_easy)
    beside, hard = solve(row, among_hard)
    assert record["status"].tolist() == [0] * 5
    for i in (0, 2):
        assert torch.equal(z[i], beside[i])
        for name in FIELDS:
            assert torch.equal(record[name][i], hard[name][i]), name
    assert torch.equal(beside[2], among_hard.z0[2])
    assert hard["steps"][2] == 0
    assert hard["residual_norm"][2] == 0
    assert hard["status"][[1, 3]].tolist() == [4, 4]
    assert hard["steps"][[1, 3]].tolist() == [0, 0]
    assert torch.equal(beside[1], among_hard.z0[1])  # it never had another finite iterate
    assert hard["steps"][4] > hard["steps"][0]


@each
@pytest.mark.parametrize("kind", ["easy", "hard", "solved", "infinite"])
def test_evaluations_are_counted_once(row: Row, kind: str) -> None:
    f = mixed(kind)
    z, record = solve(row, f)
    assert record["nfe"].tolist() == [f.calls]
    assert record["njvp"].tolist() == [f.products]
    if kind != "infinite":
        torch.testing.assert_close(record["residual_norm"], f.residual(z), rtol=1e-6, atol=1e-12)
    assert bool((record["best_residual_norm"] <= record["residual_norm"]).all() or kind == "infinite")
    assert (record["status"] == 0).tolist() == (record["residual_norm"] <= 1e-6).tolist()


@each
def test_so_are_those_inside_the_derivatives_that_torch_takes(row: Row) -> None:
    f = mixed("hard")
    _, record = row.module(atol=1e-6).fixed_point(f, f.z0)
    assert record.nfe.tolist() == [f.calls]
    assert int(getattr(record, "calls", f.calls)) == f.calls


@each
def test_each_sample_is_charged_what_it_costs_alone(row: Row) -> None:
    f = mixed("easy hard easy solved")
    z, record = solve(row, f)
    for i in range(4):
        alone = f.at(slice(i, i + 1))
        z_alone, record_alone = solve(row, alone)
        assert record_alone["nfe"].tolist() == [alone.calls] == record["nfe"][i : i + 1].tolist()
        for name in ("status", "steps", "njvp"):
            assert torch.equal(record_alone[name], record[name][i : i + 1]), name
        torch.testing.assert_close(z_alone, z[i : i + 1], rtol=1e-9, atol=1e-9)


@each
def test_one_hard_sample_costs_a_batch_its_own_steps(row: Row) -> None:
    f = mixed(" ".join(["easy"] * 31 + ["hard"]))
    _, record = solve(row, f)
    alone = f.at([31] * 32)  # f rounds as in a batch of that size
    solve(row, alone)
    easy = int(record["nfe"][:31].max())
    assert f.calls <= alone.calls + easy  # those that the easy ones need beside it
    assert easy < alone.calls
    assert int(record["nfe"][31]) == alone.calls


@each
@pytest.mark.parametrize(
    ("dtype", "atol"), [(torch.float64, 1e-10), (torch.float32, 1e-5), (torch.bfloat16, 3e-2)], ids=str
)
def test_dtypes(row: Row, dtype: torch.dtype, atol: float) -> None:
    f = mixed("easy easy easy", dtype)
    if dtype == torch.bfloat16:  # a step of h times a smaller residual is rounded to nothing
        atol /= float(str(row.options.get("step_size", 1)))
    z, record = solve(row, f, atol=atol)
    assert z.dtype == record["residual_norm"].dtype == dtype
    assert record["status"].tolist() == [0, 0, 0]
    assert float(f.residual(z).max()) <= 1.01 * atol


@each
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=str)
def test_empty_batches(row: Row, dtype: torch.dtype) -> None:
    z, record = solve(row, mixed("", dtype))
    assert z.shape == (0, SIZE)
    assert all(value.shape == (0,) for value in record.values())


@each
def test_derivatives_of_a_bare_map_are_torchs(row: Row) -> None:
    f = mixed("easy easy hard")
    z, record = row.module(atol=1e-6).fixed_point(f, f.z0)
    with_ours, ours = solve(row, f)
    torch.testing.assert_close(z, with_ours, rtol=1e-6, atol=1e-6)
    assert torch.equal(record.status, ours["status"])


@each
def test_layouts(row: Row) -> None:
    """A start that is not contiguous or has a stride of zero, and a map that returns such tensors; it is left alone."""
    f = mixed("easy easy easy")
    f.z0 = torch.full_like(f.z0, 0.3)
    z, record = solve(row, f)
    starts = {
        "columns": f.z0.t().contiguous().t(),
        "every other": torch.full((6, 2 * SIZE), 0.3, dtype=torch.float64)[::2, ::2],
        "expanded": torch.tensor(0.3, dtype=torch.float64).expand(3, SIZE),
    }
    for name, start in starts.items():
        for transposed in (False, True):
            module = row.module(atol=1e-6)
            given = start.clone()
            other, other_record = module.fixed_point(
                (lambda v: f(v).t().contiguous().t()) if transposed else f, start, jvp=f.jvp, jacobian=f.jacobian
            )
            torch.testing.assert_close(other, z, rtol=1e-9, atol=1e-9, msg=name)
            assert torch.equal(other_record.steps, record["steps"])
            assert torch.equal(start, given)
