"""`compaction`: samples that have ended leave the batch, and nothing but the cost of f changes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor

from deqc.compiler import compile_text
from deqc.explain import explain
from deqc.loading import import_source
from tests.solvers.mixed import Mixed, mixed
from tests.solvers.modules import module
from tests.solvers.rows import ROWS, Row

each = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
FIELDS = ("status", "steps", "nfe", "njvp", "residual_norm", "best_residual_norm", "trace")


@dataclass
class Narrowed:
    """A map that can turn to some of its samples, and counts for how many it is evaluated, and how often it turns."""

    whole: Mixed
    evaluations: int = 0
    turns: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.now = self.whole

    def __call__(self, z: Tensor) -> Tensor:
        self.evaluations += len(z)
        assert len(z) == len(self.now.b)
        return self.now(z)

    def narrow(self, rows: Tensor) -> None:
        self.turns.append(len(rows))
        self.now = self.whole.at(rows.tolist())

    def solve(self, row: Row, narrow: bool = True, **settings: Any) -> tuple[Tensor, Any, int]:
        """The solution, its record, and the evaluations of f, each sample's counted for itself."""
        self.evaluations = 0
        made = row.module(atol=1e-6, compaction=True, trace=True, **settings)
        z, record = made.fixed_point(
            self,
            self.whole.z0,
            jvp=lambda z: self.now.jvp(z),
            jacobian=lambda z: self.now.jacobian(z),
            narrow=self.narrow if narrow else None,
        )
        return z, record, self.evaluations


@each
def test_only_the_evaluations_change(row: Row) -> None:
    """To rounding, which on a vectorised tanh depends on the size of the batch."""
    f = Narrowed(mixed("easy hard solved easy easy nan easy easy hard easy easy easy easy infinite easy easy"))
    f.whole.s *= 0.9  # df/dz below 1 at all solutions: rounding is not amplified
    z, record, evaluations = f.solve(row)
    assert f.turns[-1] == 16, "the map is to be left as it was"
    assert min(f.turns) < 8
    plain_z, plain, all_evaluations = f.solve(row, narrow=False)
    torch.testing.assert_close(z, plain_z, rtol=1e-9, atol=1e-9, equal_nan=True)
    for name in FIELDS:
        torch.testing.assert_close(getattr(record, name), getattr(plain, name), rtol=1e-6, atol=1e-11, equal_nan=True)
    needed = int(record.nfe.sum())
    stages = 5 if row.method == "cascade" else 1
    assert needed <= evaluations < 2 * needed + 16 * stages
    assert evaluations < all_evaluations


def test_it_turns_each_time_that_half_have_ended() -> None:
    """Samples of f(z) = a z + 1 need the more steps, the larger a is."""

    def f(z: Tensor) -> Tensor:
        calls.append(len(z))
        return a[rows] * z + 1

    def narrow(left: Tensor) -> None:
        rows.copy_(left) if len(left) == len(rows) else rows.resize_(len(left)).copy_(left)

    a = torch.tensor([[0.1], [0.9], [0.5], [0.1], [0.1], [0.7], [0.1], [0.1]], dtype=torch.float64)
    rows = torch.arange(8)
    calls: list[int] = []
    made = module("picard", atol=1e-9, max_steps=400, compaction=True)
    z, record = made.fixed_point(f, torch.zeros_like(a), narrow=narrow)
    torch.testing.assert_close(z, 1 / (1 - a), rtol=1e-6, atol=0)
    first, second, third, last = (int(record.nfe[i]) for i in (0, 2, 5, 1))
    assert calls == [8] * first + [3] * (second - first) + [3] * (third - second) + [1] * (last - third)


SPEC = """\
deqc: 1
name: Conv
input: {{x: [3, 6, 6]{more}}}
scale: {scale}
main_layers: {main}
solver: {{atol: 1.0e-8, max_steps: 300, {solver}}}
adjoint: {adjoint}
"""
CONV = "[{sum: [[{conv2d: {out: 4, kernel: 3}}, {times: 0.5}], [$x, {conv2d: {out: 4, kernel: 3}}]]}, tanh]"


def model(solver: str, adjoint: str = "implicit", main: str = CONV, scale: str = "[4, 6, 6]", more: str = "") -> Any:
    text = SPEC.format(solver=solver, adjoint=adjoint, main=main, scale=scale, more=more)
    made = import_source(compile_text(text, "conv.yaml").source, "conv")
    torch.manual_seed(0)
    return made.Conv().double()


@pytest.mark.parametrize("method", ["anderson", "newton_krylov"])
def test_models_narrow_what_is_made_of_their_inputs(method: str) -> None:
    x = torch.randn(9, 3, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    x[3] *= 30
    x[:3] *= 0.01
    results = []
    for solver in (f"method: {method}", f"method: {method}, compaction: true"):
        one = model(solver)
        x_ = x.clone().requires_grad_()
        solution = one.solve(x_)
        solution.z_star.square().sum().backward()
        results.append((solution, x_.grad, [p.grad for p in one.parameters()]))
    (plain, *grads), (compacted, *other) = results
    assert len(plain.original.steps.unique()) > 1
    for name in ("status", "steps", "nfe", "njvp"):
        assert torch.equal(getattr(plain.original, name), getattr(compacted.original, name)), name
    torch.testing.assert_close(plain.z_star, compacted.z_star, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(grads, other, rtol=1e-9, atol=1e-10)


def test_masks_are_narrowed_too() -> None:
    """Where the mask is false a sample's entries may still be far off."""
    f = Narrowed(mixed("hard easy easy solved easy hard easy easy easy"))
    mask = torch.ones(9, 4, dtype=torch.bool)
    mask[[0, 2, 6], 1:] = False
    more = ", m: {shape: [6], dtype: bool}"
    made = [
        model(f"method: picard, mask: $m{c}", main="[tanh]", scale="[6]", more=more).fixed_point
        for c in ("", ", compaction: true")
    ]
    z, record = made[0](f, f.whole.z0, mask=mask)
    other_z, other = made[1](f, f.whole.z0, mask=mask, narrow=f.narrow)
    assert min(f.turns) < 9
    assert torch.equal(z, other_z)
    for name in FIELDS[:-1]:
        assert torch.equal(getattr(record, name), getattr(other, name)), name


def test_under_vmap_it_has_no_effect() -> None:
    one = model("method: anderson, compaction: true")
    x = torch.randn(4, 3, 3, 6, 6, dtype=torch.float64)
    together = torch.func.vmap(one)(x)
    torch.testing.assert_close(together, torch.stack([one(each_) for each_ in x]), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    ("settings", "adjoint", "note"),
    [
        ("picard", "implicit", "torch.func"),
        ("picard, coupling: batch", "implicit", "share"),
        ("torchdiffeq.dopri5", "implicit", "share"),
        ("picard", "unroll", "autograd goes through all steps"),
    ],
)
def test_where_it_has_no_effect_is_explained(settings: str, adjoint: str, note: str) -> None:
    text = SPEC.format(
        solver=f"method: {settings}, compaction: true", adjoint=adjoint, main=CONV, scale="[4, 6, 6]", more=""
    )
    compilation = compile_text(text, "conv.yaml")
    (told,) = (line for line in explain(compilation).splitlines() if "compaction" in line)
    assert note in told
    assert ("narrow" in compilation.source) == (note == "torch.func")


@pytest.mark.slow
def test_compiled_it_has_no_effect() -> None:
    one = model("method: anderson, compaction: true")
    x = torch.randn(3, 3, 6, 6, dtype=torch.float64, requires_grad=True)
    compiled: Any = torch.compile(one, fullgraph=True)
    torch.testing.assert_close(compiled(x), one(x), rtol=1e-6, atol=1e-7)
