"""What the generated adjoint saves: each linear solver with deqc's own products, and with those of torch.func.vjp.

Both sides are one generated module, in eager mode, with the same weights, state and cotangent: on the other side
`linearize`, `vjp` and `jacobian` give way to what a hand-written adjoint has, the pullback of `torch.func.vjp` and the
Jacobian that `torch.func.vmap` makes of it. Rounds alternate between the sides; a time is the least of them. A row has
the steps of the slowest sample and the microseconds a step, with what is done once for the solve shared out among them.
The rows `one product` are u -> (df/dz)^T u alone, without any solver.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from deqc.compiler import compile_text
from deqc.loading import import_source

DENSE = """\
deqc: 1
name: Model
input: {{x: [16]}}
scale: [{size}]
main_layers: [{{sum: [{{linear: {{out: {size}, bias: false}}}}, [$x, {{linear: {size}}}]]}}, tanh]
adjoint: {{linear_solver: {{method: {method}, rtol: 1.0e-4, max_steps: 100}}}}
"""
MULTISCALE = """\
deqc: 1
name: Model
input: {{x: [16]}}
scales: [[{size}], [{half}]]
main_layers:
  - [{{sum: [{{linear: {{out: {size}, bias: false}}}}, [$x, {{linear: {size}}}]]}}, tanh]
  - [{{linear: {half}}}, tanh]
mapping_layers:
  - [identity, {{linear: {half}}}]
  - [{{linear: {size}}}, identity]
adjoint: {{linear_solver: {{method: {method}, rtol: 1.0e-4, max_steps: 100}}}}
"""
CONVOLUTION = """\
deqc: 1
name: Model
input: {{x: [3, 16, 16]}}
scale: [{size}, 16, 16]
main_layers:
  - sum:
    - {{conv2d: {{out: {size}, kernel: 3, bias: false}}}}
    - [$x, {{conv2d: {{out: {size}, kernel: 3}}}}]
  - tanh
adjoint: {{linear_solver: {{method: {method}, rtol: 1.0e-4, max_steps: 100}}}}
"""
MODELS = {"dense": (DENSE, (32, 64, 256)), "multiscale": (MULTISCALE, (64,)), "convolution": (CONVOLUTION, (16,))}
METHODS = ("gmres", "bicgstab", "neumann", "picard", "anderson", "broyden", "limited_memory_broyden", "lu")
PRODUCT = "one product"
RADIUS = 0.8  # of the norm of the weights of z

Solve = Callable[[], Any]
PRODUCTS = 200  # in one measurement of a product alone


def built(text: str, method: str, size: int, name: str) -> Any:
    """The module of a spec, loaded under this name."""
    source = compile_text(text.format(size=size, half=size // 2, method=method), "model.yaml").source
    return import_source(source, name)


def model_of(module: Any) -> Any:
    """The model, the same each time; its weights are orthogonal, so that it contracts."""
    torch.manual_seed(0)
    model = module.Model()
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1:
                torch.nn.init.orthogonal_(weight, RADIUS if weight.ndim == 2 else RADIUS / weight.shape[-1])
    return model


def sides(text: str, method: str, size: int, batch: int, of: Callable[..., Solve]) -> dict[str, Solve]:
    """What `of` makes of the module, of a cotangent, of the equilibrium and of the weights, for each side."""
    found: dict[str, Solve] = {}
    for side in ("deqc", "torch.func"):
        module = built(text, method, size, side.replace(".", "_"))
        model = model_of(module)
        generator = torch.Generator().manual_seed(1)
        x = torch.randn(batch, *(3, 16, 16) if "conv2d" in text else (16,), generator=generator)
        w = module.Weights(*(value.detach() for value in model.weights(x)))
        z = module.equilibrium(model.pack(model.solve(x).z_star).detach(), w)[0]
        g = torch.randn(z.shape, generator=generator)
        if side == "torch.func":
            slow(module)
        found[side] = of(module, g, z, w)
    return found


def solve_of(module: Any, g: Tensor, z: Tensor, w: Any) -> Solve:
    """The module's adjoint solve."""
    return lambda: module._linear_solve("adjoint", g, z, *w)


def products_of(module: Any, g: Tensor, z: Tensor, w: Any) -> Solve:
    """PRODUCTS of them at the same z, of which the last is returned."""
    product = module._transposed(z, w)

    def solve() -> tuple[Tensor, None]:
        for _ in range(PRODUCTS - 1):
            product(g)
        return product(g), None

    return solve


def slow(module: Any) -> None:
    """Puts torch's products into the place of the generated ones."""

    def transposed(z: Tensor, w: Any) -> Callable[[Tensor], Tensor]:
        pull = torch.func.vjp(lambda z: module.f(z, w), z)[1]
        return lambda u: pull(u)[0]

    def jacobian(z: Tensor, w: Any) -> Tensor:
        pull = torch.func.vjp(lambda z: module.f(z, w), z)[1]
        rows = torch.eye(z.shape[1]).expand(len(z), -1, -1)
        made: Tensor = torch.func.vmap(lambda u: pull(u)[0], in_dims=1, out_dims=1)(rows)
        return made

    module._transposed = transposed
    module.jacobian = jacobian


def compared(made: dict[str, Solve], rounds: int) -> tuple[int, dict[str, float]]:
    """The steps, or products, and the microseconds that each of them takes, by side."""
    solutions = {side: solve() for side, solve in made.items()}
    (ours, record), (theirs, _) = solutions["deqc"], solutions["torch.func"]
    apart = float((ours - theirs).norm() / theirs.norm())
    assert apart < 1e-3, f"the two sides solve different systems: {apart:.1e}"
    least = dict.fromkeys(made, float("inf"))
    for _ in range(rounds):
        for side, solve in made.items():
            begin = time.perf_counter()
            solve()
            least[side] = min(least[side], time.perf_counter() - begin)
    steps = PRODUCTS if record is None else int(record.steps.max())
    return steps, {side: 1e6 * seconds / steps for side, seconds in least.items()}


def main() -> None:
    """Prints the table; about a minute."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--batch", type=int, default=32)
    given = parser.parse_args()
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, batch {given.batch}")
    print(f"{'model':<18}{'linear solver':<24}{'steps':>6}{'deqc':>10}{'torch.func':>12}{'ratio':>8}")
    with torch.no_grad():
        for name, (text, sizes) in MODELS.items():
            for size in sizes:
                for method in (PRODUCT, *METHODS):
                    if method in ("lu", "broyden") and name == "convolution":
                        continue  # their dense matrices of all samples take gigabytes
                    alone = method == PRODUCT
                    of = products_of if alone else solve_of
                    made = sides(text, "gmres" if alone else method, size, given.batch, of)
                    steps, times = compared(made, given.rounds)
                    ours, theirs = times["deqc"], times["torch.func"]
                    row = f"{'' if alone else steps:>6}{ours:>8.0f}us{theirs:>10.0f}us{theirs / ours:>8.2f}"
                    print(f"{f'{name} {size}':<18}{method:<24}{row}", flush=True)


if __name__ == "__main__":
    main()
