"""What `factors: last_step` saves: the backward solve by the factors of Newton's last step, or by those at z*.

z = tanh(W z + x + b) with entries of W of about 1.15 / sqrt(D), in eager mode and float32, each solve as it is by
default: max |f(z) - z| <= 1e-3, and the backward solve to 1e-3. A row is a size of the state and of the batch: times of
the forward and of the backward pass with the factors at z*, then with those of the last step, in milliseconds, the
steps of the slowest sample, the products of the mean sample, and how far apart the gradients are.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import torch
from torch import Tensor

from deqc.compiler import compile_text
from deqc.loading import import_source

SPEC = """\
deqc: 1
name: Dense
input: {{x: [{size}]}}
scale: [{size}]
main_layers: [{{linear: {width}}}, tanh, {{sum: [{{linear: {size}}}, $x]}}, tanh]
solver: {{method: newton, on_failure: raise}}
adjoint: {{linear_solver: {{method: lu, factors: {factors}}}}}
"""


def model(size: int, width: int, factors: str) -> Any:
    """The model, the same weights each time; without a width, the layer in between is left out."""
    text = SPEC.format(size=size, width=width, factors=factors)
    source = compile_text(text if width else text.replace("{linear: 0}, tanh, ", ""), "dense.yaml").source
    made = import_source(source, f"dense_{factors}").Dense()
    torch.manual_seed(0)
    with torch.no_grad():
        for weight in made.parameters():
            weight.copy_((4 * torch.rand(weight.shape) - 2) / weight.shape[-1] ** 0.5)
    return made


def passes(made: Any, x: Tensor, c: Tensor) -> tuple[float, float]:
    """Seconds of the processor for one forward and one backward pass: others that run beside weigh less in these."""
    begin = time.process_time()
    loss = (c * made(x)).sum()
    middle = time.process_time()
    torch.autograd.grad(loss, [x, *made.parameters()])
    return middle - begin, time.process_time() - middle


def row(size: int, width: int, batch: int, seconds: float) -> str:
    """Of the rounds that take so long, one kind after the other, the fastest of each."""
    generator = torch.Generator().manual_seed(1)
    x, c = (torch.randn(batch, size, generator=generator) for _ in range(2))
    x.requires_grad_()
    both = [model(size, width, factors) for factors in ("solution", "last_step")]
    found: list[tuple[Tensor, Any]] = []
    for made in both:
        solution = made.solve(x)
        found.append((torch.autograd.grad((c * solution.z_star).sum(), x)[0], solution.original))
    rounds: list[list[tuple[float, float]]] = [[], []]
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(rounds[1]) < 4:
        for made, times in zip(both, rounds, strict=True):
            times.append(passes(made, x, c))
    shown = [f"{1000 * min(one):.2f}" for kind in rounds for one in zip(*kind[1:], strict=True)]
    (exact, _), (near, record) = found
    error = float((near - exact).norm() / exact.norm())
    products = float(record.adjoint.njvp.double().mean())
    return " | ".join([str(size), str(batch), *shown, str(int(record.steps.max())), f"{products:.1f}", f"{error:.0e}"])


def main() -> None:
    """Prints the table; a minute or two."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[8, 16, 32, 64, 128, 256])
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 32, 256])
    parser.add_argument("--width", type=int, default=0, help="of a further layer in f, a dearer one")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each row")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("D | B | forward, z* | backward, z* | forward, last step | backward, last step | steps | products | apart")
    for size in options.sizes:
        for batch in options.batches:
            print(row(size, options.width, batch, options.seconds), flush=True)


if __name__ == "__main__":
    main()
