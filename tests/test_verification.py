"""What `deqc.verification` measures, against closed forms, and that it finds what is wrong."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

from deqc import running
from deqc.cli.given import silent_settings
from deqc.compiler import compile_text
from deqc.solvers import LINEAR_SOLVERS, SOLVERS
from deqc.verification import Verification, extrapolation, krylov, verify
from deqc.verification.at_rest import partial_sum, reversible_steps
from deqc.verification.checks import EPS, ROUNDING, Check
from deqc.verification.equilibrium import equilibrium
from deqc.verification.tightened import digits

HALF = "{deqc: 1, name: Half, input: {x: [2]}, scale: [2], main_layers: [{sum: [{times: 0.5}, $x]}], solver: picard}"
TANH = """
deqc: 1
name: Small
input: {x: [3]}
scale: [4]
main_layers: [{sum: [[{linear: 4}, {times: 0.5}], [$x, {linear: 4}]]}, tanh]
head: [{linear: 2}]
"""


def verified(
    text: str,
    state: Mapping[str, Any] | None = None,
    sizes: Mapping[str, int] | None = None,
    inputs: Mapping[str, Tensor] | None = None,
) -> Verification:
    compilation = compile_text(text, "spec.yaml", settings=silent_settings())
    drawn = running.random_inputs(compilation.lowered, 3, sizes or {}, 0)
    return verify(compilation, state, {**drawn, **(inputs or {})}, 0)


def check(found: Verification, name: str) -> Check:
    (one,) = [one for one in found.checks if one.name == name]
    return one


def off(found: Verification) -> list[str]:
    return [one.name for one in found.checks if one.verdict == "off"]


def matrices(seed: int = 0) -> Tensor:
    """Three matrices of 30 rows with spectral radii of about 1, far from normal."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(3, 30, 30, dtype=torch.float64, generator=generator) / math.sqrt(30)


def test_linear_systems_by_products() -> None:
    j, b = matrices(), torch.ones(3, 30, dtype=torch.float64)
    b[1] = 0
    x, residual = krylov.solve(lambda v: (j @ v.unsqueeze(2)).squeeze(2), b, 1e-13)
    exact = torch.linalg.solve(torch.eye(30, dtype=torch.float64) - j, b.unsqueeze(2)).squeeze(2)
    assert (x - exact).abs().max() < 1e-10
    assert residual.max() <= 1e-13
    assert bool((x[1] == 0).all())


def test_the_spectral_radius_by_products_alone_where_the_largest_eigenvalues_are_complex() -> None:
    turn = torch.tensor([[0.0, -1.3], [1.3, 0.0]], dtype=torch.float64)
    j = torch.block_diag(turn, *torch.linspace(-0.9, 0.9, 98, dtype=torch.float64).view(-1, 1, 1)).expand(2, -1, -1)
    found = krylov.eigenvalues(lambda v: (j @ v.unsqueeze(2)).squeeze(2), torch.zeros(2, 100, dtype=torch.float64))
    radius = found.abs().amax(1)
    torch.testing.assert_close(radius, torch.full((2,), 1.3, dtype=torch.float64))


def test_a_krylov_space_that_ends_early_is_exact() -> None:
    radius = krylov.eigenvalues(lambda v: -0.7 * v, torch.zeros(2, 100, dtype=torch.float64)).abs().amax(1)
    torch.testing.assert_close(radius, torch.full((2,), 0.7, dtype=torch.float64))


def test_equilibria_that_repel_are_found_from_near_them() -> None:
    """z = 2 cos z - z / 2 has slopes far below -1 at its solution."""
    near = torch.full((2, 3), 0.8, dtype=torch.float64)
    z, left = equilibrium(lambda z: 2 * z.cos() - z / 2, near)
    assert left.max() < 1e-14
    assert (2 * z.cos() - 1.5 * z).abs().max() < 1e-14


def test_equilibria_are_found_where_the_whole_step_leads_too_far() -> None:
    """Of z = tanh(0.9995 z) + 1e-3 the slope is nearly 1 at 0, which makes Newton's first step from there 2."""
    z, left = equilibrium(lambda z: (0.9995 * z).tanh() + 1e-3, torch.zeros(2, 3, dtype=torch.float64))
    assert left.max() < 1e-14
    assert (z - 0.14).abs().max() < 0.01


def test_gradients_are_judged_where_f_is_nearly_singular() -> None:
    """There a residual within the tolerance is far from the equilibrium: z* is off, and the code is right."""
    f = "[{sum: [[{times: 0.9995}, tanh], [$x, {times: 1e-3}]]}]"
    text = f"{{deqc: 1, name: Near, input: {{x: [2]}}, scale: [2], main_layers: {f}, solver: newton}}"
    found = verified(text, inputs={"x": torch.tensor([[0.5, 0.2], [-0.4, 0.9], [0.1, 0.1]])})
    assert check(found, "z*").verdict == "off"
    assert check(found, "gradient").verdict == check(found, "finite differences").verdict == "good"


def test_where_there_is_no_equilibrium_something_is_left() -> None:
    _, left = equilibrium(lambda z: torch.stack([z[:, 0] + 1, z[:, 1] / 2], 1), torch.ones(1, 2, dtype=torch.float64))
    assert left.item() > 0.1
    _, left = equilibrium(lambda z: z * math.nan, torch.ones(1, 2, dtype=torch.float64))
    assert left.item() == math.inf


def test_the_partial_sum_is_the_gradient_of_damped_steps() -> None:
    j, z = matrices(), torch.zeros(3, 30, dtype=torch.float64)
    start, g = z.clone().requires_grad_(), torch.ones_like(z)
    b = torch.zeros_like(z).requires_grad_()
    for _ in range(4):
        z = z + 0.6 * ((j @ (z + 0 * start).unsqueeze(2)).squeeze(2) + b - z)
    (expected,) = torch.autograd.grad((g * z).sum(), b)
    found = partial_sum(lambda u: (j.mT @ u.unsqueeze(2)).squeeze(2), g, 4, 0.6)
    torch.testing.assert_close(found, expected)


def test_reversible_steps_are_each_sample_s_own() -> None:
    """Of f(z) = a z a step with damping d is a matrix on (y, z)."""
    a, d = 0.4, 0.7
    first = torch.tensor([[1 - d, d * a], [0.0, 1.0]], dtype=torch.float64)
    second = torch.tensor([[1.0, 0.0], [d * a, 1 - d]], dtype=torch.float64)
    found = reversible_steps(lambda z: a * z, torch.ones(3, 1, dtype=torch.float64), d, torch.tensor([0, 2, 3]))
    both = torch.ones(2, dtype=torch.float64)
    exact = [torch.linalg.matrix_power(second @ first, k) @ both for k in (0, 2, 3)]
    torch.testing.assert_close(found.squeeze(1), torch.stack(exact)[:, 1])


QUICK = ("anderson", "newton", "newton_krylov", "tsit5")


@pytest.mark.parametrize(
    "solver",
    [pytest.param(one, marks=() if one in QUICK else pytest.mark.slow) for one in SOLVERS if one != "auto"],
)
def test_every_solver_is_good(solver: str) -> None:
    found = verified(f"{TANH}solver: {{method: {solver}, max_steps: 300}}\n")
    assert off(found) == []
    assert found.size == 4


@pytest.mark.parametrize("solver", [name for name in LINEAR_SOLVERS if name not in ("auto", "cg")])
def test_every_linear_solver_is_good(solver: str) -> None:
    found = verified(f"{TANH}adjoint: {{method: implicit, linear_solver: {solver}}}\n")
    assert off(found) == []
    assert found.exactness == ("approximate" if solver == "neumann" else "exact")
    assert found.backward is not None
    assert found.backward.products > 0


@pytest.mark.parametrize("solver", ["picard", "newton", "anderson"])
def test_unrolled_steps_are_good(solver: str) -> None:
    found = verified(f"{TANH}solver: {{method: {solver}, eval: {{atol: 1e-4}}}}\nadjoint: unroll\n")
    assert off(found) == []
    assert check(found, "finite differences").verdict == "good"
    assert found.backward is None


REVERSIBLE = "solver: {{method: reversible, atol: {}, damping: {}, max_steps: {}}}\nadjoint: {}\n"


@pytest.mark.parametrize("damping", [0.8, 0.3])
def test_steps_that_are_undone_are_compared_with_the_same_steps(damping: float) -> None:
    found = verified(TANH + REVERSIBLE.format("1e-3", damping, 100, "reversible"))
    assert off(found) == []
    assert {check(found, name).verdict for name in ("gradient", "gradient as set", "finite differences")} == {"good"}
    assert check(found, "gradient").remark.startswith(f"of the first {8 if damping == 0.8 else 36} steps; worst: ")


def test_a_gradient_of_steps_that_end_short_of_the_equilibrium_is_measured() -> None:
    """z = z / 2 + x is within its tolerance of 2 x as it stands, and its derivative by 1 / 2 is far from complete."""
    text = HALF.replace("{times: 0.5}", "{linear: {out: 2, bias: false}}")
    weight, x = torch.eye(2) / 2, torch.full((3, 2), 0.05)
    for solver in ("reversible, atol: 0.01, damping: 0.5", "picard, atol: 0.01, damping: 0.5"):
        adjoint = "reversible" if solver.startswith("reversible") else "unroll"
        text_of = text.replace("solver: picard", f"adjoint: {adjoint}, solver: {{method: {solver}}}")
        found = verified(text_of, {"main_layers.0.sum.0.linear.weight": weight}, inputs={"x": x})
        assert off(found) == []
        as_set = check(found, "gradient as set")
        assert as_set.verdict == "approximate"
        assert (as_set.error or 0) > (as_set.limit or 0.1)
        assert as_set.remark.startswith("that of the steps taken, which end short of z*; worst: ")


@pytest.mark.parametrize("drift", ["1e-3", "1e12"])
def test_steps_that_are_undone_with_a_drift_are_off(drift: str) -> None:
    """Thirty steps with damping 0.8 make rounding 5^30 times as large; the module need not say so itself."""
    steps = REVERSIBLE.format("0", 0.8, 30, f"{{method: reversible, drift: {drift}}}")
    found = verified(TANH.replace("times: 0.5", "times: 2.0") + steps)
    as_set = check(found, "gradient as set")
    assert "gradient as set" in off(found)
    assert "undone, the steps are others" in as_set.remark
    assert ("misses its tolerance" in as_set.remark) == (drift == "1e-3")
    assert check(found, "gradient").verdict == "good"


def test_unrolled_steps_that_do_not_come_to_rest_are_not_judged() -> None:
    found = verified(f"{TANH}solver: {{method: euler, step_size: 0.01, max_steps: 2000}}\nadjoint: unroll\n")
    assert check(found, "gradient").verdict == "approximate"
    assert "does not come to rest" in check(found, "finite differences").remark


@pytest.mark.parametrize(
    ("adjoint", "error"),
    [
        ("jfb", 1 / 2),
        ("{method: phantom, steps: 3}", 1 / 8),
        ("{method: phantom, steps: 2, damping: 0.5}", (3 / 4) ** 2),
        ("{linear_solver: {method: neumann, max_steps: 4, rtol: 1e-9}}", 1 / 16),
    ],
)
def test_an_approximate_adjoint_is_told_with_its_error(adjoint: str, error: float) -> None:
    """Of z = z / 2 + x the exact derivative is 2, and what is left of its series is known."""
    found = verified(HALF.replace("}], solver", f"}}], adjoint: {adjoint}, solver"))
    assert off(found) == []
    assert check(found, "gradient").error == pytest.approx(0, abs=ROUNDING)
    as_set = check(found, "gradient as set")
    assert as_set.verdict == "approximate"
    assert as_set.error == pytest.approx(error)
    assert check(found, "finite differences").verdict == "does not apply"
    assert found.exactness == "approximate"


@pytest.mark.parametrize("solver", ["broyden", "{method: limited_memory_broyden, alpha: 2.0, eval: {alpha: 3.0}}"])
@pytest.mark.parametrize("refine", [0, 2])
def test_an_estimate_is_compared_with_what_it_is_where_nothing_was_learnt(solver: str, refine: int) -> None:
    found = verified(f"{TANH}solver: {solver}\nadjoint: {{method: shine, fallback: null, refine: {refine}}}\n")
    assert off(found) == []
    assert check(found, "gradient").error == pytest.approx(0, abs=ROUNDING)
    assert check(found, "gradient as set").verdict == "approximate"


def test_an_adjoint_that_passes_no_gradient() -> None:
    found = verified(TANH + "adjoint: none\n")
    assert off(found) == []
    assert [check(found, name).verdict for name in ("f", "z*", "gradient", "float32")] == [
        "good",
        "good",
        "does not apply",
        "good",
    ]


def test_a_symmetry_that_is_only_claimed_is_found_out() -> None:
    found = verified(TANH + "adjoint: {method: implicit, assume: symmetric, linear_solver: cg}\n")
    assert {"gradient", "finite differences"} <= set(off(found))


def test_a_loose_tolerance_costs_what_is_measured() -> None:
    errors = [
        check(verified(f"{TANH}solver: {{method: picard, atol: {tolerance}}}\n"), "gradient as set").error or 0
        for tolerance in ("1e-2", "1e-4", "1e-8")
    ]
    assert errors[0] > 10 * errors[1] > 100 * errors[2] > 0


def test_the_limits_are_half_of_the_digits() -> None:
    found = verified(TANH + "solver: {method: picard, atol: 1e-6, rtol: 1e-6}\n")
    assert [check(found, name).limit for name in ("f", "z*", "gradient", "gradient as set", "finite differences")] == [
        ROUNDING,
        pytest.approx(1e-3),
        ROUNDING,
        pytest.approx(1e-3),
        math.cbrt(EPS),
    ]
    loose = verified(TANH + "solver: {method: picard, eval: {atol: 1e-2}}\n")
    assert check(loose, "z*").limit == pytest.approx(1e-1)
    relative = verified(TANH + "solver: {method: picard, atol: 1e-1, rtol: 1e-4, termination: rel_norm}\n")
    assert check(relative, "z*").limit == pytest.approx(1e-2)


def test_a_solve_that_fails_is_off() -> None:
    found = verified(TANH + "solver: {method: picard, atol: 1e-9, max_steps: 2}\n")
    assert off(found) == ["z*"]
    assert check(found, "z*").remark == "0/3 converged, 3 max_steps"
    assert check(found, "gradient").verdict == "good"


def test_a_backward_solve_that_fails_is_off() -> None:
    found = verified(TANH + "adjoint: {linear_solver: {method: gmres, max_steps: 1, rtol: 1e-9}}\n")
    assert off(found) == ["gradient as set"]
    assert check(found, "gradient as set").remark.startswith("the backward solve misses its tolerance on 3/3")


def test_float32_that_does_not_reach_the_tolerance_is_off() -> None:
    """f(z) = x - 3z, which float32 rounds to multiples of g = 2^-11, the distance of its numbers near 6000.

    With x = 4kg + 2g it is z for no z: of multiples of g, x - 4z is 2g at least; others are off by g/2 at least.
    """
    layers = "[{sum: [{times: -3.0}, $x]}, {plus: 6000.0}, relu, {plus: -6000.0}]"
    solver = "{method: newton, atol: 1e-6}"
    text = f"{{deqc: 1, name: Coarse, input: {{x: [2]}}, scale: [2], main_layers: {layers}, solver: {solver}}}"
    found = verified(text, inputs={"x": torch.tensor([[1, 2], [3, 4], [5, 6]]) + 2 * 2.0**-11})
    assert off(found) == ["float32"]
    assert "0/3 converged" in check(found, "float32").remark


def test_where_there_is_no_equilibrium_no_gradient_is_judged() -> None:
    found = verified(HALF.replace("times: 0.5", "times: 1.0"))
    assert "z*" in off(found)
    assert check(found, "gradient").verdict == "does not apply"
    assert found.spectrum is None
    wrong = verified(HALF, inputs={"x": torch.tensor([[math.nan, 1.0], [1.0, 1.0]])})
    assert "z*" in off(wrong)
    assert "near 1 the reference finds no equilibrium" in check(wrong, "z*").remark


def test_where_i_minus_the_jacobian_is_singular_there_is_no_gradient() -> None:
    """Of z = z every z is a solution."""
    found = verified(HALF.replace("times: 0.5", "times: 1.0"), inputs={"x": torch.zeros(3, 2)})
    assert {"gradient", "float32"} == set(off(found))
    assert "singular" in check(found, "gradient").remark
    assert found.spectrum is not None
    assert found.spectrum.distance == pytest.approx([0] * 3)


def test_what_is_zero_but_for_rounding_is_measured_against_the_loss() -> None:
    """Of a single number its sign is left, so that nothing passes but rounding."""
    found = verified(TANH.replace("tanh]", "{reshape: [4, 1]}, {normalize: 1}, {reshape: [4]}, {times: 0.5}]"))
    assert off(found) == []
    norms = {one.name: one.norm for one in found.gradients}
    assert norms["main_layers.0.sum.0.linear.weight"] < 1e-9
    assert norms["head.linear.weight"] > 0.1


def test_the_spectrum() -> None:
    """A rotation by a right angle, shortened to 0.8: eigenvalues 0.8 i and -0.8 i."""
    text = "{deqc: 1, name: Turn, input: {x: [2]}, scale: [2], main_layers: [{sum: [{linear: 2}, $x]}], solver: newton}"
    layer = "main_layers.0.sum.0.linear"
    state = {f"{layer}.weight": torch.tensor([[0.0, -0.8], [0.8, 0.0]]), f"{layer}.bias": torch.zeros(2)}
    found = verified(text, state)
    assert off(found) == []
    assert found.spectrum is not None
    assert found.spectrum.radius == pytest.approx([0.8] * 3)
    assert found.spectrum.distance == pytest.approx([math.sqrt(1.64)] * 3)


def test_a_large_state_is_looked_at_by_products_alone() -> None:
    found = verified(TANH.replace("scale: [4]", "scale: [300]").replace("{linear: 4}", "{linear: 300}"))
    assert off(found) == []
    assert found.spectrum is not None
    assert found.spectrum.distance is None
    assert all(0.1 < radius < 1 for radius in found.spectrum.radius)


def test_what_is_detached_is_not_differenced() -> None:
    found = verified(HALF.replace("{times: 0.5}", "[{times: 0.2}, detach], {times: 0.3}"))
    assert off(found) == []
    assert "detaches" in check(found, "finite differences").remark


def test_kinks_are_told_from_mistakes() -> None:
    """Weights of zeros put every relu at its kink."""
    text = TANH.replace("[$x, {linear: 4}]", "[$x, {linear: {out: 4, bias: false, weight_init: zeros}}, relu]")
    found = verified(text)
    assert off(found) == []
    assert "kink" in check(found, "finite differences").remark


def test_inputs_of_every_kind() -> None:
    text = """
deqc: 1
name: Kinds
input:
  words: {shape: [L], dtype: int64}
  mask: {shape: [N], dtype: bool}
  adjacency: {shape: [N, N], batch: false, layout: sparse_csr}
  u: [N, 4]
encoder: {w: [$words, {embedding: {count: 3, out: 4}}, {reduce: {op: mean, dim: 0}}, {reshape: [1, 4]}]}
scale: [N, 4]
main_layers:
  - {sum: [[{matmul: {left: $adjacency}}, {times: 0.3}], $u, [$w, {expand: $u}]]}
  - {variational_dropout: 0.5}
  - tanh
head: {a: [{linear: 2}, {dropout: 0.5}], b: identity}
solver: {method: picard, mask: $mask}
"""
    for padded in (0, 2):
        mask = (torch.arange(6) < 6 - padded).expand(3, -1)
        found = verified(text, sizes={"L": 5, "N": 6}, inputs={"mask": mask})
        assert off(found) == []
        norms = {one.name: one.norm for one in found.gradients}
        assert norms["input u"] > 0
        assert (norms["head.a.linear.weight"] > 0) == (not padded)


TIME = """
deqc: 1
name: Way
kind: neural_ode
input: {x: [3]}
scales: [[4], [2]]
init: [[$x, {linear: 4}], null]
main_layers: [[{sum: [{linear: 4}, [$x, {linear: 4}]]}, tanh], [{linear: 2}, tanh]]
mapping_layers: {down: {linear: 2}, up: {linear: 4}}
head: [$z.0, {linear: 2}]
"""
GROWTH = """
deqc: 1
name: Growth
kind: neural_ode
input: {x: [2]}
scale: [2]
init: [$x]
time: {stop: 2, dynamics: derivative}
"""


def ways() -> list[Any]:
    """Every way of a neural ODE's solver to decide on its steps, with every adjoint."""
    solvers = ("tsit5", "{method: rk4, step_size: 0.1}", "{method: bs3, eval: {atol: 1.0e-5}}")
    slow = ("euler", "vcab3", "rock2", "rosenbrock23", "trbdf2", "torchdiffeq.dopri5", "torchdiffeq.rk4")
    both = [(solver, adjoint) for solver in solvers for adjoint in ("discrete", "gauss", "backsolve")]
    more = [pytest.param(solver, "discrete", marks=pytest.mark.slow) for solver in (*slow, "implicit_euler")]
    options = "step_rtol: 1.0e-5", "integrator: rk4, step_size: 0.1", "integrator: bosh3"
    backs = [f"{{method: odeint_adjoint, {one}}}" for one in options]
    bosh3 = ("torchdiffeq.bosh3", "discrete"), ("{method: torchdiffeq.rk4, step_size: 0.1}", backs[2])
    return [*both, *(("torchdiffeq.dopri5", back) for back in backs), *bosh3, *more]


@pytest.mark.parametrize(("solver", "adjoint"), ways())
def test_neural_odes_are_good(solver: str, adjoint: str) -> None:
    found = verified(f"{TIME}time: {{saveat: [0, 0.4, 1]}}\nsolver: {solver}\nadjoint: {adjoint}\n")
    assert off(found) == []
    assert [one.name for one in found.checks] == [
        "f",
        "z(t)",
        "z(t) as set",
        "gradient",
        "gradient as set",
        "finite differences",
        "float32",
    ]
    assert {one.verdict for one in found.checks} == {"good"}
    assert found.size == 6
    assert (found.backward is None) == (adjoint == "discrete")


@pytest.mark.parametrize(("theirs", "own"), [("bosh3", "bs3"), ("dopri5", "dopri5"), ("adaptive_heun", "trbdf2")])
def test_integrators_of_torchdiffeq_are_as_exact_as_deqc_s_of_their_order(theirs: str, own: str) -> None:
    """On the way back too: the gradient is as exact as the lower of both orders lets it be."""
    back = f"{{method: odeint_adjoint, integrator: {theirs}}}"
    specs = (own, "discrete"), (f"torchdiffeq.{theirs}", "odeint_adjoint"), ("torchdiffeq.dopri8", back)
    found = {
        digits(compile_text(f"{TIME}solver: {solver}\nadjoint: {adjoint}\n", "way.yaml")) for solver, adjoint in specs
    }
    assert len(found) == 1


def test_the_errors_of_even_steps_are_those_of_the_closed_form() -> None:
    """z' = a z by Euler's steps h is (1 + a h)^n; z(2) = exp(2 a) x, and both have derivatives."""
    a, n = -0.75, 8
    text = GROWTH + f"main_layers: [{{times: {a}}}]\nsolver: {{method: euler, step_size: {2 / n}}}\n"
    found = verified(text, inputs={"x": torch.ones(3, 2)})
    exact, computed = math.exp(2 * a), (1 + 2 * a / n) ** n
    assert check(found, "z(t) as set").error == pytest.approx(abs(computed - exact))
    assert check(found, "gradient as set").error == pytest.approx(abs(computed - exact) / exact)
    tight = (1 + 2 * a / (10 * n)) ** (10 * n)
    assert check(found, "z(t)").error == pytest.approx(abs(tight - exact))
    assert check(found, "gradient").limit == pytest.approx(abs(computed - tight) / tight / 2)
    assert found.spectrum is not None
    assert found.spectrum.radius == pytest.approx([-a] * 3)
    assert found.spectrum.abscissa == pytest.approx([a] * 3)
    assert found.spectrum.distance is None


def test_saved_states_count() -> None:
    """Those of z' = z, from 1 by one step of Euler's method to each of the times: 3/2 and 3."""
    text = GROWTH.replace("dynamics", "saveat: [1], dynamics") + "main_layers: [{times: 1.0}]\n"
    found = verified(text + "solver: {method: euler, step_size: 1}\n", inputs={"x": torch.full((3, 2), 0.1)})
    assert check(found, "z(t) as set").error == pytest.approx(0.1 * (math.exp(2) - 4))
    alone = verified(
        text.replace("stop: 2", "stop: 1.0000001") + "solver: {method: euler, step_size: 1}\n",
        inputs={"x": torch.full((3, 2), 0.1)},
    )
    assert check(alone, "z(t) as set").error == pytest.approx(0.1 * (math.e - 2), rel=1e-5)


SADDLE = """
deqc: 1
name: Saddle
kind: neural_ode
input: {x: [1]}
scales: [[1], [1]]
init: [$x, $x]
time: {stop: 1.3, dynamics: derivative}
main_layers: [{times: 6.0}, {times: -1.0}]
mapping_layers: [[identity, null], [[{mul: [identity, identity]}, {times: -8.0}], identity]]
"""


@pytest.mark.parametrize("adjoint", ["discrete", "gauss", "backsolve"])
def test_a_tolerance_is_too_loose_where_errors_grow(adjoint: str) -> None:
    """z_0' = 6 z_0 - 8 z_1^2 and z_1' = -z_1 from (1, 1) is (exp(-2 t), exp(-t)), and errors grow by exp(6 t)."""
    x = {"x": torch.ones(3, 1)}
    settings = "solver: {{method: {0}, atol: {1}, rtol: {1}}}\nadjoint: {2}\n"
    choices = ("bs3", "1e-2"), ("tsit5", "1e-9")
    loose, good = (verified(SADDLE + settings.format(*choice, adjoint), inputs=x) for choice in choices)
    assert "z(t) as set" in off(loose)
    assert {check(loose, name).verdict for name in ("f", "z(t)", "gradient")} == {"good"}
    assert off(good) == []
    assert (check(loose, "gradient as set").error or 0) > 100 * (check(good, "gradient as set").error or 1)


def test_even_steps_that_are_too_long_are_off() -> None:
    text = GROWTH + "main_layers: [{times: -30.0}]\nsolver: {method: euler, step_size: 0.1}\n"
    found = verified(text, inputs={"x": torch.ones(3, 2)})
    assert {"z(t) as set", "gradient as set"} == set(off(found))


def test_a_way_that_does_not_get_there_is_off() -> None:
    found = verified(TIME + "solver: {method: tsit5, atol: 1e-9, max_steps: 2}\n")
    assert "z(t) as set" in off(found)
    assert check(found, "z(t) as set").remark == "0/3 converged, 3 max_steps"
    assert check(found, "z(t)").verdict == "good"


def test_where_the_way_ends_early_no_gradient_is_judged() -> None:
    """z' = z^2 from 1 is infinite at t = 1; from 1/10 it goes on."""
    text = GROWTH + "main_layers: [{mul: [identity, identity]}]\nsolver: {method: tsit5, max_steps: 300}\n"
    found = verified(text, inputs={"x": torch.tensor([[1.0, 0.1], [0.1, 0.1], [0.1, 0.1]])})
    assert "z(t) as set" in off(found)
    assert check(found, "z(t)").remark == "of 1 the reference does not get to the end"
    assert check(found, "gradient").verdict == "does not apply"
    assert found.spectrum is None


def test_ways_by_extrapolation() -> None:
    """z' = A z, stiff in one direction, against the exponential of matrices; so are the derivatives."""
    a = torch.tensor([[-80.0, 0.0, 0.0], [1.0, 0.2, 3.0], [0.0, -3.0, 0.2]], dtype=torch.float64, requires_grad=True)
    z = torch.tensor([[1.0, 2.0, -1.0], [0.5, 0.0, 1.0]], dtype=torch.float64, requires_grad=True)

    def rate(z: Tensor) -> Tensor:
        return z @ a.mT

    legs, alive = extrapolation.steps(rate, z, (-0.5, 0.0, 1.0))
    assert alive.tolist() == [True, True]
    states, u = [z], torch.ones_like(z)
    for leg in legs:
        states += leg.halved.follow(rate, states[-1].detach())[-1:]
    exact = z @ torch.linalg.matrix_exp(1.5 * a).mT
    torch.testing.assert_close(states[-1], exact.detach(), rtol=1e-11, atol=1e-11)
    total = torch.zeros_like(a)
    for leg, start in zip(reversed(legs), (states[1], states[0]), strict=True):
        u, (pulled,) = leg.halved.pull(rate, leg.halved.follow(rate, start.detach()), u, [a])
        total = total + pulled
    expected = torch.autograd.grad(exact.sum(), (z, a))
    torch.testing.assert_close(u, expected[0], rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(total, expected[1], rtol=1e-10, atol=1e-10)


def test_a_sample_without_a_way_does_not_stop_the_others() -> None:
    start = torch.tensor([[1.0], [0.25], [math.nan]], dtype=torch.float64)
    (leg,), alive = extrapolation.steps(lambda z: z * z, start, (0.0, 2.0))
    assert alive.tolist() == [False, True, False]
    assert leg.follow(lambda z: z * z, start[1:2])[-1].item() == pytest.approx(0.5, rel=1e-11)
