"""When a solve ends, how, and at which iterate."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, cast

import pytest
import torch
from torch import Tensor

from deqc.settings import MODES
from deqc.solvers.cascade import CASCADE
from tests.solvers.linear import solved
from tests.solvers.modules import module

F64 = torch.float64
Map = Callable[[Tensor], Tensor]


def solve(f: Any, z0: list[list[float]], mode: str, method: str = "picard", **settings: Any) -> tuple[Tensor, Any]:
    """The iterate and its record; options of the stop test as `test`."""
    test = {"mode": mode, **settings.pop("test", {})}
    ours = {"atol": 1e-3, "rtol": 1e-3, "max_steps": 300, "on_failure": "ignore", **settings}
    made = module(method, termination=test, **ours)
    z, record = made.fixed_point(f, torch.tensor(z0, dtype=F64))
    return z, record


def half(z: Tensor) -> Tensor:
    """Contracts to 2."""
    return z / 2 + 1


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("norm", ["max", "l2", "rms"])
def test_stops_at_the_first_iterate_that_passes(mode: str, norm: str) -> None:
    z0 = [[8.0, -4.0], [2.0, 2.0], [2.1, 2.4]]
    z, record = solve(half, z0, mode, test={"norm": norm})
    measure = {"max": lambda r: r.abs().amax(1), "l2": lambda r: r.norm(dim=1), "rms": lambda r: r.norm(dim=1) / 2**0.5}
    for sample, start in enumerate(z0):
        at, steps = torch.tensor([start], dtype=F64), 0
        while True:
            r, image = half(at) - at, half(at)
            size, scale = measure[norm](r), measure[norm](image)
            ends = {
                "abs_norm": size <= 1e-3,
                "rel_norm": size <= 1e-3 * scale,
                "norm": (size <= 1e-3) | (size <= 1e-3 * scale),
                "abs": (r.abs() <= 1e-3).all(),
                "rel": (r.abs() <= 1e-3 * image.abs()).all(),
            }[mode.partition("_safe")[0]]
            if bool(ends):
                break
            at, steps = half(at), steps + 1
        assert int(record.steps[sample]) == steps
        assert int(record.nfe[sample]) == steps + 1
        assert torch.equal(z[sample], at[0])
        torch.testing.assert_close(record.residual_norm[sample], size[0])
    assert record.status.tolist() == [0, 0, 0]


@pytest.mark.parametrize("mode", ["abs_norm_safe", "abs_norm_safe_best", "rel_norm_safe", "rel_norm_safe_best"])
def test_a_sample_that_diverges_is_given_up(mode: str) -> None:
    """The residual of z -> z + 3 |z| z grows without end, that of its mate does not."""
    f: Map = lambda z: torch.where(z > 5, -3 * z, half(z))  # noqa: E731
    z, record = solve(f, [[10.0], [4.0]], mode, test={"divergence": 1e4})
    assert record.status.tolist()[1] == 0
    if mode.startswith("abs"):
        assert record.status.tolist()[0] == 0  # it flees to the side where f contracts
    g: Map = lambda z: torch.where(z.abs() > 5, -3 * z, half(z))  # noqa: E731
    z, record = solve(g, [[10.0], [4.0]], mode, test={"divergence": 1e4})
    if mode.startswith("rel"):  # |r| / |f(z)| stays as it is
        assert record.status.tolist() == [1, 0]
        return
    assert record.status.tolist() == [3, 0]
    steps = math.floor(math.log(1e4, 3)) + 1
    assert int(record.steps[0]) == steps
    assert float(z[0]) == (10.0 if mode.endswith("best") else 10.0 * (-3.0) ** steps)
    assert float(record.residual_norm[0]) == float((g(z) - z)[0].abs())
    assert float(record.best_residual_norm[0]) == 40


def test_without_a_safe_mode_it_goes_on() -> None:
    _, record = solve(lambda z: -3 * z, [[10.0]], "abs_norm", max_steps=60)
    assert record.status.tolist() == [1]


def test_a_sample_whose_steps_are_short_stalls() -> None:
    """z -> z + 1 has no fixed point; damped, its steps are shorter than the tolerance and its residual is 1."""
    z, record = solve(lambda z: z + 1, [[0.0], [3.0]], "abs_norm_safe", damping=1e-4, test={"stalled_steps": 7})
    assert record.status.tolist() == [2, 2]
    assert record.steps.tolist() == [7, 7]
    torch.testing.assert_close(z[:, 0], torch.tensor([7e-4, 3 + 7e-4], dtype=F64))


def test_a_residual_that_does_not_move_close_to_the_tolerance_stalls() -> None:
    """z -> -z keeps |r| = 2 |z|: two tolerances are close, five are not."""
    test = {"patience_steps": 20, "stalled_steps": 1000}
    _, record = solve(lambda z: -z, [[1e-3], [2.5e-3], [0.0]], "abs_norm_safe", max_steps=40, test=test)
    assert record.status.tolist() == [2, 1, 0]
    assert record.steps.tolist() == [20, 40, 0]


def test_one_that_moves_does_not() -> None:
    """A cycle of three, whose residuals are 2.9, 1.5 and 1.4 tolerances."""
    f: Map = lambda z: torch.where(z < 0.7e-3, z + 2.9e-3, torch.where(z > 2e-3, z - 1.5e-3, z - 1.4e-3))  # noqa: E731
    _, record = solve(f, [[0.0]], "abs_norm_safe", max_steps=60, test={"patience_steps": 10})
    assert record.status.tolist() == [1]


def test_the_best_iterate_is_returned() -> None:
    """The residual of Picard's iteration on z -> cos(4 z) goes up and down."""
    f: Map = lambda z: torch.cos(4 * z)  # noqa: E731
    z0 = torch.tensor([[0.3], [0.9]], dtype=F64)
    z, record = solve(f, z0.tolist(), "abs_norm_safe_best", max_steps=50, atol=1e-9, test={"stalled_steps": 1000})
    iterates = [z0]
    for _ in range(50):
        iterates.append(f(iterates[-1]))
    norms = torch.stack([(f(v) - v).abs().amax(1) for v in iterates])
    best = norms.argmin(0)
    assert bool((best < 50).all())
    assert torch.equal(z, torch.stack([iterates[int(k)][i] for i, k in enumerate(best)]))
    assert torch.equal(record.residual_norm, norms.amin(0))
    assert torch.equal(record.best_residual_norm, norms.amin(0))


@pytest.mark.parametrize("method", ["picard", "newton"])
def test_the_trace_holds_the_residual_of_every_step(method: str) -> None:
    z0 = [[8.0], [2.0], [2.1], [math.nan]]
    f: Map = lambda z: (z + 1).clamp_min(1e-3).sqrt()  # noqa: E731
    _, record = solve(f, z0, "abs_norm", method, trace=True, max_steps=30)
    assert record.trace.shape == (4, 31)
    for sample in range(3):
        steps = int(record.steps[sample])
        row = record.trace[sample]
        assert bool(row[steps + 1 :].isnan().all())
        assert row[steps] == record.residual_norm[sample]
        assert bool((row[:steps] > 1e-3).all())
        if method == "picard":
            at = torch.tensor([z0[sample]], dtype=F64)
            for k in range(steps + 1):
                assert float(row[k]) == float((f(at) - at).abs())
                at = f(at)
    assert bool(record.trace[3].isnan().all())


def test_the_trace_of_a_cascade_goes_on_from_stage_to_stage() -> None:
    z0 = [[0.0], [0.1], [900.0], [math.nan]]
    f: Map = lambda z: z - (3 * z).atan()  # noqa: E731
    first, options = CASCADE.stages[0]
    _, alone = solve(f, z0, "abs_norm", first.name, trace=True, max_steps=2, **options)
    _, record = solve(f, z0, "abs_norm", "cascade", trace=True, max_steps=2)
    assert record.status.tolist()[:2] == [0, 0]
    assert int(record.steps[2]) > 2, "the first stage must not solve it"
    assert torch.equal(record.trace[:, :3].nan_to_num(-1), alone.trace.nan_to_num(-1))
    for steps, row in zip(record.steps.tolist()[:3], record.trace, strict=False):
        assert row.isnan().tolist() == [k > steps for k in range(len(row))]
    assert float(record.trace[2].nan_to_num(math.inf).amin()) == float(record.best_residual_norm[2])


def test_there_is_no_trace_unless_asked() -> None:
    assert solve(half, [[1.0]], "abs_norm")[1].trace is None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "options"), [("cascade", {}), *(("trust_region", {"radius": one}) for one in ("simple", "bastin"))]
)
def test_traces_alike_when_compiled(method: str, options: dict[str, str]) -> None:
    made = module(method, trace=True, max_steps=2, on_failure="ignore", **options)
    f: Map = lambda z: z - (3 * z).atan()  # noqa: E731
    z0 = torch.tensor([[0.1], [900.0]], dtype=F64)
    eager = made.fixed_point(f, z0)[1].trace
    compiled = cast(Any, torch.compile(made.fixed_point, fullgraph=True))(f, z0)[1].trace
    torch.testing.assert_close(eager, compiled, equal_nan=True)


def test_a_backward_solve_is_watched_by_its_own_tolerance() -> None:
    """Its steps are shorter than the solve's loose tolerance long before it reaches its own."""
    linear = {"method": "picard", "rtol": 1e-9, "max_steps": 2000}
    made = module(
        "picard",
        termination="abs_norm_safe",
        atol=0.5,
        on_failure="ignore",
        adjoint={"method": "implicit", "linear_solver": linear},
    )
    b = torch.ones(1, 2, dtype=F64)
    x, record = solved(made, b, lambda goal: made._adjoint_solve(lambda x: 0.9 * x, b, goal))
    assert record.status.tolist() == [0]
    torch.testing.assert_close(x, 10 * b, rtol=1e-7, atol=0)


@pytest.mark.parametrize("mode", ["abs_norm_safe", "abs_norm_safe_best"])
def test_refused_steps_are_no_short_steps(mode: str) -> None:
    """Far from the root of arctan the region has to shrink 18 and 40 times before a step of NLsolve's kind fits.

    No step that is taken is shorter than the tolerance, so that the first of them would be enough to give up.
    """

    def f(z: Tensor) -> Tensor:
        return z - torch.atan(z)

    test = {"stalled_steps": 1}
    _, record = solve(f, [[30.0], [300.0]], mode, "trust_region", radius="hei", atol=1e-6, trace=True, test=test)
    repeated = (record.trace[:, 1:] == record.trace[:, :-1]).sum(1)
    assert bool((repeated > 10).all()), "the method must refuse steps"
    assert record.status.tolist() == [0, 0]
