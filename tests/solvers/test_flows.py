"""Methods that follow z' = f(z) - z: their order, their control of steps, and how they come to rest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy
import pytest
import torch
from scipy.integrate import solve_ivp
from torch import Tensor

import deqc
from tests.solvers.linear import Linear, linear
from tests.solvers.modules import SPEC, module

FIXED = ("euler", "heun", "rk4")
EXPLICIT = ("bs3", "tsit5", "dopri5", "vcab3", "vcabm3", "rock2")
CONTROLLED = (*EXPLICIT, "implicit_euler", "trbdf2", "rosenbrock23")
ORDERS = {"euler": 1, "heun": 2, "rk4": 4, "bs3": 3, "tsit5": 5, "dopri5": 5, "vcab3": 3, "vcabm3": 3, "rock2": 2}
Map = Callable[[Tensor], Tensor]


def pendulum(z: Tensor) -> Tensor:
    """A map f with f(z) - z the rates of two damped pendulums, one of them coupled to the other."""
    a, u, b, v = z.unbind(1)
    return z + torch.stack([u, -torch.sin(a) - 0.1 * u, v, -2 * torch.sin(b) + torch.sin(a - b) * torch.cos(v)], 1)


START = torch.tensor([[1.0, 0.3, -0.5, 0.8], [-0.4, 1.0, 0.9, 0.1]], dtype=torch.float64)


def rate(z: numpy.ndarray) -> numpy.ndarray:
    at = torch.from_numpy(z).view(2, 4)
    rates: numpy.ndarray = (pendulum(at) - at).numpy()
    return rates


def reference(time: float) -> Tensor:
    """Where the pendulums are then, by SciPy."""

    found = solve_ivp(
        lambda _, z: rate(z).ravel(), (0, time), START.flatten().numpy(), "DOP853", rtol=1e-13, atol=1e-13
    )
    return torch.from_numpy(found.y[:, -1]).view(2, 4)


def stepper(method: str, error: Callable[[Tensor, Tensor], Tensor] = lambda e, h: 0.5 + 0 * h) -> Any:
    """The solver of the method, with another error than its own; by default every step is taken."""
    it = module(method)
    kind = {"vcab3": "_Adams", "vcabm3": "_Adams", "rock2": "_Rock2"}.get(method, "_RungeKutta")
    more: dict[str, object] = {}
    if method == "rock2":
        more = {"max_stages": 10, "coefficients": START.new_tensor(it.COEFFICIENTS)}
    told = type("Told", (getattr(it, kind),), {"error": lambda self, e, h, *_: error(e, h)})
    return told(step_rtol=0.0, step_atol=1.0, **more)


class Walk:
    """A solution that goes on by steps of sizes that are told it."""

    def __init__(self, solver: Any) -> None:
        self.solver, self.z, self.fz = solver, START, pendulum(START)
        self.memory = solver.init(pendulum, self.z, self.fz)

    def step(self, h: float) -> bool:
        """One step in time, of as many steps of the solver as it takes; whether it was taken."""
        kept = self.memory[1:]
        while True:
            told = torch.full_like(START[:, 0], h)
            new = self.solver.step(pendulum, self.z, self.fz, torch.tensor([True, True]), told, *kept)
            self.memory, kept = new.memory, new.memory[1:]
            if new.taken.all():
                self.z, self.fz = new.z, new.fz
                return True
            if not torch.equal(self.memory[0], told):
                return False


def integrate(method: str, steps: list[float]) -> Tensor:
    """The end of these steps in time."""
    if method in FIXED:
        z, fz = START, pendulum(START)
        for h in steps:
            z, fz, *_ = module(method)._FixedStep(h).step(pendulum, z, fz, torch.tensor([True, True]))
        return z
    walk = Walk(stepper(method))
    assert all(walk.step(h) for h in steps)
    return walk.z


@pytest.mark.parametrize(("method", "even"), [*((m, True) for m in ORDERS), *((m, False) for m in EXPLICIT)])
def test_order(method: str, even: bool) -> None:
    """Halving the steps divides the error by 2^order."""
    exact, errors = reference(2.0), []
    for count in (40, 80):
        wave = numpy.ones(count) if even else 1 + 0.4 * numpy.sin(numpy.arange(count) * 6 * numpy.pi / count)
        errors.append(float((integrate(method, list(2.0 * wave / wave.sum())) - exact).abs().max()))
    found = numpy.log2(errors[0] / errors[1])
    assert ORDERS[method] - 0.3 < found < ORDERS[method] + (0.8 if method == "tsit5" else 0.4)  # whose h^6 is small


@pytest.mark.parametrize(("method", "order"), [("bs3", 2), ("tsit5", 4), ("dopri5", 4)])
def test_order_of_the_error_of_a_pair(method: str, order: int) -> None:
    """Over h, it is that of the embedded method: one less than that of a step."""
    it = module(method)
    sizes = []
    for h in (0.1, 0.05):
        rates = it._stages(pendulum, START, pendulum(START), h)[2]
        sizes.append(float(it._combined(it.ERROR, rates).norm()))
    assert numpy.log2(sizes[0] / sizes[1]) == pytest.approx(order, abs=0.3)


def bogacki_shampine(z: numpy.ndarray, h: float) -> numpy.ndarray:
    k1 = rate(z)
    k2 = rate(z + h / 2 * k1)
    k3 = rate(z + 3 * h / 4 * k2)
    end: numpy.ndarray = z + h / 9 * (2 * k1 + 3 * k2 + 4 * k3)
    return end


def adams(steps: list[float], corrected: bool) -> numpy.ndarray:
    """The recursion for modified divided differences (Hairer, Norsett & Wanner 1993, equations III.5.9 and 5.10)."""
    z = START.numpy()
    star: list[numpy.ndarray] = []
    for n, h in enumerate(steps):
        back = [steps[n - i] for i in range(n + 1)]  # h now, and the steps before
        phi, beta = [rate(z)], 1.0
        now = [phi[0]]
        for i in range(1, min(n + 1, 3)):
            beta *= sum(back[:i]) / sum(back[1 : i + 1])
            phi.append(phi[-1] - star[i - 1])
            now.append(beta * phi[-1])
        star = now
        if n < 2:
            z = bogacki_shampine(z, h)
            continue
        c = [[1 / q for q in range(1, 6)], [1 / (q * (q + 1)) for q in range(1, 5)]]
        for i in (2, 3):
            c.append([c[-1][q] - h / sum(back[:i]) * c[-1][q + 1] for q in range(len(c[-1]) - 1)])
        g = [h * row[0] for row in c]
        if not corrected:
            z = z + sum(g[i] * star[i] for i in range(3))
            continue
        predictor = z + g[0] * star[0] + g[1] * star[1]
        third = rate(predictor) - star[0] - star[1]
        z = predictor + g[2] * third
    return z


@pytest.mark.parametrize(("method", "corrected"), [("vcab3", False), ("vcabm3", True)])
def test_adams_methods_are_the_recursion(method: str, corrected: bool) -> None:
    steps = [0.1, 0.13, 0.08, 0.2, 0.05, 0.11, 0.11, 0.3, 0.02]
    found = integrate(method, steps)
    torch.testing.assert_close(found, torch.from_numpy(adams(steps, corrected)), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("method", "corrected"), [("vcab3", False), ("vcabm3", True)])
def test_adams_methods_forget_steps_that_are_not_taken(method: str, corrected: bool) -> None:
    """A step that is refused leaves the differences as they were, while starting and later."""
    walk = Walk(stepper(method, lambda e, h: torch.where(h > 1, torch.inf, 0.5)))
    steps = [0.1, 0.13, 0.08, 0.2, 0.05]
    for h in steps:
        assert not walk.step(5.0)
        assert walk.step(h)
    torch.testing.assert_close(walk.z, torch.from_numpy(adams(steps, corrected)), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("method", "order"), [("vcab3", 2), ("vcabm3", 3)])
def test_order_of_the_error_of_an_adams_method(method: str, order: int) -> None:
    """Over h: vcab3's is its last term, vcabm3's the one that it leaves out."""
    sizes = []
    for h in (0.04, 0.02):
        seen: list[Tensor] = []
        walk = Walk(stepper(method, lambda e, h, seen=seen: (seen.append(e), 0.5 + 0 * h)[1]))  # type: ignore[misc]
        for _ in range(round(1.6 / h)):
            walk.step(h)
        sizes.append(float(seen[-1].norm()))
    assert numpy.log2(sizes[0] / sizes[1]) == pytest.approx(order, abs=0.2)


def contraction(size: int, scale: float, seed: int = 0) -> tuple[Map, Tensor]:
    """f(z) = tanh(W z + b) for eight samples, and the start at zero."""
    generator = torch.Generator().manual_seed(seed)
    w = scale / size**0.5 * torch.randn(size, size, generator=generator, dtype=torch.float64)
    b = torch.randn(8, size, generator=generator, dtype=torch.float64)
    return lambda z: torch.tanh(z @ w.t() + b), torch.zeros_like(b)


# Steps with the settings of DeepEquilibriumNetworks.jl, counted by a NumPy version of its formulas; None: it never
# ends. The two steps in which Adams methods start count as six and four here.
SEED = {"tsit5": (14, 17), "vcab3": (43 + 4, 46 + 4), "vcabm3": (None, None)}


@pytest.mark.parametrize("method", SEED)
@pytest.mark.parametrize("case", [0, 1])
def test_the_settings_of_the_seed_give_its_steps(method: str, case: int) -> None:
    f, z0 = contraction((16, 64)[case], (0.5, 0.8)[case])
    it = module(method, steady_state="seed", coupling="batch", max_steps=400, on_failure="ignore")
    record = it.fixed_point(f, z0)[1]
    expected = SEED[method][case]
    if expected is None:
        assert record.status.tolist() == [1] * 8
    else:
        assert record.status.tolist() == [0] * 8
        assert abs(int(record.steps.max()) - expected) <= 3


@pytest.mark.parametrize(("method", "stable"), [("euler", 0.06), ("heun", 0.06), ("rk4", 0.085)])
def test_fixed_steps_come_to_rest_where_they_are_small_enough(method: str, stable: float) -> None:
    f = linear("stiff")  # whose z' falls at rates of up to 29.5
    for step_size, rests in ((stable, True), (3.5, False)):
        solve = module(method, step_size=step_size, max_steps=700, atol=1e-9, on_failure="ignore").fixed_point
        record = solve(f, torch.zeros_like(f.b))[1]
        assert (record.status == 0).tolist() == [rests] * 5
    torch.testing.assert_close(
        module(method, step_size=stable, atol=1e-12).fixed_point(f, torch.zeros_like(f.b))[0], f.solution
    )


@pytest.mark.parametrize("method", CONTROLLED)
@pytest.mark.parametrize("case", [0, 1])
@pytest.mark.parametrize("atol", [1e-3, 1e-6, 1e-9])
def test_relaxed_steps_come_to_rest(method: str, case: int, atol: float) -> None:
    """At a rate that does not depend on the tolerance."""
    f, z0 = contraction((16, 64)[case], (0.5, 0.8)[case])
    record = module(method, atol=atol, on_failure="ignore").fixed_point(f, z0)[1]
    assert record.status.tolist() == [0] * 8
    most = {"bs3": 40, "tsit5": 36, "dopri5": 32, "vcab3": 160, "vcabm3": 60, "rock2": 120}
    most |= {"implicit_euler": 40, "trbdf2": 84, "rosenbrock23": 28}
    assert int(record.steps.max()) <= most[method] * {1e-3: 0.5, 1e-6: 0.75, 1e-9: 1.0}[atol]


@pytest.mark.parametrize("method", CONTROLLED)
@pytest.mark.parametrize("steady_state", ["relaxed", "seed"])
def test_a_stiff_sample_does_not_change_the_others(method: str, steady_state: str) -> None:
    """By no bit; where gmres solves for the steps by no more than the rounding of the products with its vectors."""
    easy, hard = linear("contractive"), linear("stiff")
    mixed = Linear(torch.cat([hard.a[:1], easy.a[1:]]), torch.cat([hard.b[:1], easy.b[1:]]))
    solve = module(method, steady_state=steady_state, max_steps=200, on_failure="ignore", atol=1e-2).fixed_point
    (z, record), (other_z, other) = (solve(f, torch.zeros_like(f.b)) for f in (easy, mixed))
    rounding = 1e-12 if method in ("implicit_euler", "trbdf2", "rosenbrock23") else 0.0
    torch.testing.assert_close(z[1:], other_z[1:], rtol=rounding, atol=0)
    assert torch.equal(record.steps[1:], other.steps[1:])
    assert torch.equal(record.nfe[1:], other.nfe[1:])


@pytest.mark.parametrize("method", CONTROLLED)
def test_coupled_samples_take_the_same_steps(method: str) -> None:
    f = linear("stiff")
    alone = module(method, on_failure="ignore").fixed_point(f, torch.zeros_like(f.b))[1]
    joint = module(method, coupling="batch", on_failure="ignore").fixed_point(f, torch.zeros_like(f.b))[1]
    assert len(set(alone.steps.tolist())) > 1
    assert len(set(joint.steps.tolist())) == 1
    assert joint.status.tolist() == [0] * 5


@pytest.mark.parametrize(
    ("method", "settings"),
    [*((m, {}) for m in (*FIXED, *CONTROLLED)), *((m, {"steady_state": "seed"}) for m in CONTROLLED)],
)
def test_every_evaluation_is_counted(method: str, settings: dict[str, object]) -> None:
    f, z0 = contraction(16, 0.5)
    calls = 0

    def counted(z: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        return f(z)

    record = module(method, max_steps=30, on_failure="ignore", **settings).fixed_point(counted, z0)[1]
    assert int(record.calls) == calls
    if method == "rock2":  # whose samples differ in the stages of a step
        assert int(record.nfe.max()) <= calls
        assert bool((record.nfe >= 5 + len(settings) + 4 * record.steps).all())
        return
    assert calls == int(record.nfe.max())
    a_step = {"heun": 2, "rk4": 4, "bs3": 3, "tsit5": 6, "dopri5": 6, "vcabm3": 2}.get(method, 1)
    a_step = {"implicit_euler": 2, "trbdf2": 2, "rosenbrock23": 3}.get(method, a_step)  # with torch's for products
    assert torch.equal(record.nfe, 1 + len(settings) + a_step * record.steps)


@pytest.mark.parametrize("method", CONTROLLED)
def test_steps_out_of_the_domain_of_f_are_refused(method: str) -> None:
    """There is no logarithm below zero, where the first steps lead."""

    def f(z: Tensor) -> Tensor:
        return z - 30 * (z + torch.log(z) - 0.5)

    z0 = torch.full((2, 1), 8.0, dtype=torch.float64)
    z, record = module(method, atol=1e-8, on_failure="ignore").fixed_point(f, z0)
    assert record.status.tolist() == [0, 0]
    torch.testing.assert_close(f(z), z, rtol=0, atol=1e-8)


@pytest.mark.parametrize("method", CONTROLLED)
def test_steps_that_shrink_to_nothing_end(method: str) -> None:
    """f exists at the start of the second sample alone."""
    z0 = torch.tensor([[0.0], [1.0]], dtype=torch.float64)

    def f(z: Tensor) -> Tensor:
        return torch.where((z == z0) | (z0 == 0), 0.5 * z + 0.1, torch.nan)

    z, record = module(method, on_failure="ignore").fixed_point(f, z0)
    assert record.status.tolist() == [0, 2]
    assert float(z[1]) == 1.0
    assert int(record.steps[1]) < 200


def test_the_control_of_steps() -> None:
    """The PI controller with the exponents 0.7 / p and 0.4 / p, said again."""
    it = module("tsit5")
    solver = it._RungeKutta(step_rtol=0.1, step_atol=0.0)
    h, past = torch.tensor([0.3, 0.3, 0.3, 0.3, 0.3]), torch.tensor([0.2, 0.2, 1e-4, 0.2, 0.2])
    most, error = torch.tensor([10.0, 10.0, 1e4, 10.0, 10.0]), torch.tensor([0.5, 1e-12, 1e-9, 3.0, torch.inf])
    later, kept, growth = solver.after(h, past, most, error)
    grown = 0.3 * 0.9 * 0.2**0.08 / 0.5**0.14
    torch.testing.assert_close(
        later, torch.tensor([grown, 3.0, 0.3 * 0.9 * 1e-4**0.08 / 1e-9**0.14, 0.3 * 0.9 / 3**0.14, 0.3 * 0.2])
    )
    assert kept.tolist() == pytest.approx([0.5, 1e-4, 1e-4, 0.2, 0.2])
    assert growth.tolist() == [10, 10, 10, 10, 10]


def test_the_first_step_of_the_seed() -> None:
    """Hairer's rule with the exponent 1 / p, said again in NumPy."""
    it = module("bs3", steady_state="seed")
    solver = it._RungeKutta(step_rtol=1e-3, step_atol=1e-2)

    def rms(v: numpy.ndarray) -> float:
        return float(numpy.sqrt((v**2).mean()))

    starts = torch.stack([START[0], torch.zeros(4, dtype=torch.float64), START[1]])
    push = torch.tensor([0.0, 0.5, 0.0, 0.0], dtype=torch.float64)

    def f(z: Tensor) -> Tensor:
        return pendulum(z) + push

    h = solver.start(f, starts, f(starts))[0]
    for z, found in zip(starts, h, strict=True):
        r0, at = (f(z[None]) - z)[0].numpy(), z.numpy()
        scale = 1e-2 + 1e-3 * abs(at)
        d0, d1 = rms(at / scale), rms(r0 / scale)
        first = 1e-6 if min(d0, d1) < 1e-5 else 0.01 * d0 / d1
        probe = z + first * torch.from_numpy(r0)
        d2 = rms(((f(probe[None]) - probe)[0].numpy() - r0) / scale) / first
        assert float(found) == pytest.approx(min(100 * first, (0.01 / max(d1, d2)) ** (1 / 3)))
    assert float(h[1]) == pytest.approx(1e-4)


@pytest.mark.parametrize("method", [*FIXED, *CONTROLLED])
def test_gradients_through_the_steps(method: str) -> None:
    """By backpropagation and by differences, the control of steps included."""
    solve = module(method, adjoint="unroll", max_steps=7, atol=1e-12, on_failure="ignore").fixed_point
    f, z0 = contraction(4, 0.5)

    def end(shift: Tensor) -> Tensor:
        z: Tensor = solve(lambda z: f(z + shift), z0)[0]
        return z

    shift = 0.1 * torch.arange(4, dtype=torch.float64)
    assert torch.autograd.gradcheck(end, shift.requires_grad_(), atol=1e-6)


@pytest.mark.parametrize(
    ("solver", "alone"),
    [
        ("tsit5, steady_state: seed, eval: {atol: 1.0e-5}", "tsit5, steady_state: seed, atol: 1.0e-5"),
        ("bs3, eval: {step_rtol: 0.01}", "bs3, step_rtol: 0.01"),
        ("rock2, step_rtol: 0.5, max_stages: 3, eval: {max_stages: 12}", "rock2, step_rtol: 0.5, max_stages: 12"),
    ],
)
def test_steps_in_eval_mode(solver: str, alone: str) -> None:
    """Tolerances follow from those of the mode, and tables reach as far as either mode needs."""
    torch.manual_seed(0)
    loaded = [
        deqc.load(SPEC.format(solver=f"{{method: {text}}}", adjoint="none"))().double() for text in (solver, alone)
    ]
    both: Any = loaded[0]
    other: Any = loaded[1]
    with torch.no_grad():
        next(both.parameters()).copy_(torch.tensor([[-20.0, 0.0], [0.0, 0.9]]))  # stiff, so that stages are needed
    other.load_state_dict(both.state_dict())
    x = torch.randn(3, 2, dtype=torch.float64)
    assert torch.equal(both.eval().solve(x).output, other.solve(x).output)
    assert not torch.equal(both.train().solve(x).output, other.solve(x).output)
