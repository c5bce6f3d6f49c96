"""How long large specs take to compile: scales that are all mapped to each other, dense and convolutional, and chains.

python benchmarks/large_specs.py [--profile dense|convolutional|chain]
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import time
from collections.abc import Callable

from deqc.compiler import compile_text


def dense(scales: int) -> str:
    """A spec of so many scales, with a layer for each entry of the matrix but the diagonal."""
    sizes = [4 + k % 5 for k in range(scales)]
    main = [f"[{{linear: {size}}}, tanh]" for size in sizes]
    main[0] = f"[{{sum: [{{linear: {sizes[0]}}}, [$x, {{linear: {sizes[0]}}}]]}}, tanh]"
    rows = [
        ["identity" if i == j else f"[{{linear: {size}}}, tanh]" for j, size in enumerate(sizes)] for i in range(scales)
    ]
    return _spec("[4]", [[size] for size in sizes], main, rows)


def convolutional(scales: int) -> str:
    """A spec of so many scales in two resolutions: convolutions with strides one way, upsampling the other way."""
    shapes = [(4 + k % 3, 8 if k % 2 else 16) for k in range(scales)]
    main = [f"[{{conv2d: {{out: {channels}, kernel: 3}}}}, relu]" for channels, _ in shapes]
    main[0] = "[{sum: [{conv2d: {out: 4, kernel: 3}}, [$x, {conv2d: {out: 4, kernel: 3}}]]}, relu]"
    rows = [
        ["identity" if i == j else _mapped(here, *there) for j, there in enumerate(shapes)]
        for i, (_, here) in enumerate(shapes)
    ]
    return _spec("[3, 16, 16]", [[channels, side, side] for channels, side in shapes], main, rows)


def _mapped(here: int, channels: int, there: int) -> str:
    if here < there:
        return f"[{{conv2d: {{out: {channels}, kernel: 1}}}}, {{upsample: {{factor: 2}}}}]"
    return f"[{{conv2d: {{out: {channels}, kernel: 3, stride: {here // there}}}}}, relu]"


def _spec(given: str, scales: list[list[int]], main: list[str], rows: list[list[str]]) -> str:
    head = f"deqc: 1\nname: Large\ninput: {{x: {given}}}\nscales: {scales}\nmain_layers:\n"
    matrix = "".join(f"  - [{', '.join(row)}]\n" for row in rows)
    return head + "".join(f"  - {chain}\n" for chain in main) + f"mapping_layers:\n{matrix}"


def chain(steps: int) -> str:
    """A spec of one scale whose main layer has so many steps, every other one a layer."""
    inner = ", ".join("tanh" if k % 2 else "{linear: 8}" for k in range(steps))
    return f"deqc: 1\nname: Long\ninput: {{x: [8]}}\nscale: [8]\nmain_layers: [{{sum: [identity, $x]}}, {inner}]\n"


KINDS: dict[str, tuple[Callable[[int], str], tuple[int, ...], int]] = {
    "dense": (dense, (4, 8, 16, 32), 2),
    "convolutional": (convolutional, (4, 8, 16, 32), 2),
    "chain": (chain, (100, 1_000, 10_000), 1),
}
"""By name: the spec of a size, the sizes, and the power of the size that the number of entries is."""


def main() -> None:
    """Prints a line for each spec: the fastest of three, in seconds of the processor."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--profile", choices=KINDS, help="also print where the time of the largest of a kind goes")
    profile = parser.parse_args().profile
    compile_text(dense(2), "warm")
    print("kind            size  entries  seconds  ms an entry  lines")
    for name, (spec, sizes, power) in KINDS.items():
        for size in sizes:
            text, entries, best, lines = spec(size), size**power, float("inf"), 0
            for _ in range(3):
                start = time.process_time()
                lines = compile_text(text, "large.yaml").source.count("\n")
                best = min(best, time.process_time() - start)
            print(f"{name:13} {size:6}  {entries:7}  {best:7.2f}  {1000 * best / entries:11.2f}  {lines:5}", flush=True)
    if profile:
        spec, sizes, _ = KINDS[profile]
        with cProfile.Profile() as profiler:
            compile_text(spec(sizes[-1]), "large.yaml")
        pstats.Stats(profiler).sort_stats("cumulative").print_stats(25)


if __name__ == "__main__":
    main()
