"""How long a spec of many scales takes to compile: dense scales, every one mapped to every other one.

python benchmarks/large_specs.py [--profile]
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import time

from deqc.compiler import compile_text


def spec(scales: int) -> str:
    """A spec of so many scales, with a layer for each entry of the matrix but the diagonal."""
    sizes = [4 + k % 5 for k in range(scales)]
    rows = [
        ", ".join("identity" if i == j else f"[{{linear: {size}}}, tanh]" for j, size in enumerate(sizes))
        for i in range(scales)
    ]
    main = [
        f"  - [{{sum: [{{linear: {size}}}, [$x, {{linear: {size}}}]]}}, tanh]"
        if k == 0
        else f"  - [{{linear: {size}}}, tanh]"
        for k, size in enumerate(sizes)
    ]
    matrix = "\n".join(f"  - [{row}]" for row in rows)
    head = f"deqc: 1\nname: Large\ninput: {{x: [4]}}\nscales: {[[size] for size in sizes]}\n"
    return head + "main_layers:\n" + "\n".join(main) + f"\nmapping_layers:\n{matrix}\n"


def main() -> None:
    """Prints a line for each number of scales; the fastest of three."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--profile", action="store_true", help="also print where the time of the largest goes")
    profile = parser.parse_args().profile
    compile_text(spec(2), "warm")
    print("scales  entries  seconds  ms an entry  lines")
    for scales in (4, 8, 16, 32):
        text, best, lines = spec(scales), float("inf"), 0
        for _ in range(3):
            start = time.perf_counter()
            lines = compile_text(text, "large.yaml").source.count("\n")
            best = min(best, time.perf_counter() - start)
        print(f"{scales:6}  {scales**2:7}  {best:7.2f}  {1000 * best / scales**2:11.2f}  {lines:5}")
    if profile:
        with cProfile.Profile() as profiler:
            compile_text(spec(32), "large.yaml")
        pstats.Stats(profiler).sort_stats("cumulative").print_stats(25)


if __name__ == "__main__":
    main()
