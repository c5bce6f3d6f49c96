"""What `compaction` saves: one hard sample among easy ones, on a convolutional f, in eager mode.

The state is an image z = tanh(0.95 conv(z) + conv(x)), of kernels that average. A small input leaves z near 0, where f
contracts least; large inputs saturate tanh, and their samples are solved in few steps.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import torch

from deqc.compiler import compile_text
from deqc.loading import import_source

SPEC = """\
deqc: 1
name: Conv
input: {{x: [3, {side}, {side}]}}
scale: [{channels}, {side}, {side}]
main_layers:
  - sum:
      - [{{conv2d: {{out: {channels}, kernel: 3, bias: false}}}}, {{times: 0.95}}]
      - [$x, {{conv2d: {{out: {channels}, kernel: 3, bias: false}}}}]
  - tanh
solver: {{method: {method}, atol: 1.0e-5, max_steps: 400, on_failure: raise, compaction: {compaction}}}
adjoint: none
"""


def model(method: str, compaction: bool, channels: int, side: int) -> Any:
    """The model, the same weights each time."""
    text = SPEC.format(method=method, compaction=str(compaction).lower(), channels=channels, side=side)
    made = import_source(compile_text(text, "conv.yaml").source, "conv").Conv()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in made.parameters():
            weight.copy_(torch.rand(weight.shape, generator=generator))
            weight /= weight.sum((1, 2, 3), keepdim=True)
    return made


def milliseconds(made: Any, x: torch.Tensor, rounds: int) -> float:
    """The least of some rounds."""
    found = []
    for _ in range(rounds):
        begin = time.perf_counter()
        made(x)
        found.append(time.perf_counter() - begin)
    return 1000 * min(found)


def main() -> None:
    """Prints a row a method: steps of the easy and of the hard samples, and times."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--channels", type=int, default=32)
    parser.add_argument("--side", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    x = 100 * torch.randn(options.batch, 3, options.side, options.side, generator=torch.Generator().manual_seed(1))
    x[0] = 0.01
    for method in ("picard", "anderson"):
        plain, compacted = (model(method, one, options.channels, options.side) for one in (False, True))
        with torch.no_grad():
            steps = plain.solve(x).original.steps
            before, after = (milliseconds(one, x, options.rounds) for one in (plain, compacted))
        easy, hard = int(steps[1:].max()), int(steps[0])
        print(f"{method:10} steps {easy} and {hard}: {before:.1f} ms, compacted {after:.1f} ms")


if __name__ == "__main__":
    main()
