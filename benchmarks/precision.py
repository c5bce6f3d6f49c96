"""What `precision: mixed` costs and gives, beside full precision and beside a model that is wholly in low precision.

Each row is a model and a tolerance: evaluations of f in low and in full precision, the errors of z* and of the gradient
against float64, and the time of a solve as a ratio to that of full precision; the least of some rounds in which all of
them take turns. A model wholly in low precision has 3 eps of it as its tolerance: it does not reach less.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from deqc.compiler import compile_text
from deqc.loading import import_source

DENSE = """\
deqc: 1
name: Model
input: {{x: [64]}}
scale: [{size}]
main_layers:
  - sum:
      - [{{linear: {{out: {size}, bias: false}}}}, {{times: 1.5}}]
      - [$x, {{linear: {size}}}]
  - tanh
"""
CONV = """\
deqc: 1
name: Model
input: {{x: [3, {size}, {size}]}}
scale: [64, {size}, {size}]
main_layers:
  - sum:
      - [{{conv2d: {{out: 64, kernel: 3, bias: false}}}}, {{times: 1.5}}]
      - [$x, {{conv2d: {{out: 64, kernel: 3}}}}]
  - tanh
"""
BLOCK = """\
deqc: 1
name: Model
input: {{x: [3, {size}, {size}]}}
scale: [64, {size}, {size}]
main_layers:
  - sum:
      - - conv2d: {{out: 256, kernel: 3, bias: false}}
        - relu
        - conv2d: {{out: 64, kernel: 3, bias: false}}
        - times: 3
      - [$x, {{conv2d: {{out: 64, kernel: 3}}}}]
  - tanh
"""
MODELS = {"dense": DENSE, "conv": CONV, "block": BLOCK}
SOLVER = "solver: {{method: {method}, atol: {atol}, rtol: {atol}, max_steps: 200, precision: {precision}}}\n"


def source(spec: str, size: int, method: str, atol: float, precision: str = "full") -> ModuleType:
    """The module of one of the models."""
    text = spec.format(size=size) + SOLVER.format(method=method, atol=atol, precision=precision)
    return import_source(compile_text(text, "model.yaml").source, "model")


def model(made: ModuleType, dtype: torch.dtype = torch.float32) -> Any:
    """The model with the same weights each time."""
    torch.manual_seed(0)
    return made.Model().to(dtype)


class Case:
    """One way to solve: a model, the dtype of its inputs, and autocast or not."""

    def __init__(self, made: Any, dtype: torch.dtype, low: torch.dtype | None = None) -> None:
        self.made, self.dtype, self.low = made, dtype, low
        self.model = model(made, dtype)

    def solve(self, x: Tensor) -> Any:
        """The solution."""
        with torch.autocast("cpu", self.low or torch.bfloat16, enabled=self.low is not None):
            return self.model.solve(x.to(self.dtype))

    def evaluations(self, x: Tensor) -> Counter[torch.dtype]:
        """Calls of f on the batch by the dtype they are in."""
        seen: list[torch.dtype] = []
        f = self.made.f

        def counted(z: Tensor, w: Any) -> Any:
            seen.append(z.dtype)
            return f(z, w)

        self.made.f = counted
        with torch.no_grad():
            nfe = self.solve(x).nfe
        self.made.f = f
        return Counter(seen[:nfe])

    def values(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """z* and the gradient of the parameters of a loss on it, in float64."""
        z = self.solve(x).z_star
        gradients = torch.autograd.grad(z.double().square().mean(), list(self.model.parameters()))
        return z.detach().double(), torch.cat([g.flatten().double() for g in gradients])

    def seconds(self, x: Tensor) -> float:
        """The time of one solve."""
        with torch.no_grad():
            begin = time.perf_counter()
            self.solve(x)
            return time.perf_counter() - begin


def main() -> None:
    """Prints a row a case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", default="anderson")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--dense", type=int, nargs="*", default=[256, 512, 1024])
    parser.add_argument("--conv", type=int, nargs="*", default=[32])
    parser.add_argument("--block", type=int, nargs="*", default=[32])
    parser.add_argument("--atol", type=float, nargs="*", default=[1e-3, 1e-5])
    options = parser.parse_args()
    generator = torch.Generator().manual_seed(1)
    tasks = [("dense", n, torch.randn(128, 64, generator=generator)) for n in options.dense]
    for name in ("conv", "block"):
        tasks += [(name, n, torch.randn(8, 3, n, n, generator=generator)) for n in getattr(options, name)]
    for kind, size, x in tasks:
        spec = MODELS[kind]
        exact, right = Case(source(spec, size, options.method, 1e-12), torch.float64).values(x)
        for atol in options.atol:
            full, mixed = (source(spec, size, options.method, atol, precision) for precision in ("full", "mixed"))
            cases = {"full": Case(full, torch.float32)}
            for low in (torch.bfloat16, torch.float16):
                name = str(low).removeprefix("torch.")
                wholly = source(spec, size, options.method, 3 * torch.finfo(low).eps)
                cases[f"mixed {name}"] = Case(mixed, torch.float32, low)
                cases[f"wholly {name}"] = Case(wholly, low)
            times: dict[str, list[float]] = {name: [] for name in cases}
            for _ in range(options.rounds):
                for name, case in cases.items():
                    times[name].append(case.seconds(x))
            least = {name: min(found) for name, found in times.items()}
            print(f"{kind} {size}, atol {atol:g}: full {1000 * least['full']:.1f} ms")
            for name, case in cases.items():
                z, gradient = case.values(x)
                seen = case.evaluations(x)
                full_calls = seen.pop(torch.float32, 0)
                error, off = (z - exact).abs().max(), (gradient - right).norm() / right.norm()
                print(
                    f"  {name:16} f low {sum(seen.values()):3}, full {full_calls:3}; error of z* {error:.1e}, of the "
                    f"gradient {off:.1e}; time {least[name] / least['full']:.2f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
