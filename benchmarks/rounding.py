"""How far solvers get with an f that is rounded: why the first phase of `precision: mixed` ends at 3 eps.

For each solver, over some maps and both dtypes: the steps to 1, 2, 3, 4 and 6 eps |f(z)| by the slowest sample, beside
those with f in float32, and how often they are not reached at all where f in float32 gets there. At last the largest
error of the rounded f where it ends, in the same unit.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

from deqc.compiler import compile_text
from deqc.loading import import_source

LEVELS = torch.tensor([1, 2, 3, 4, 6])
STEPS = 60
LOW = (torch.bfloat16, torch.float16)
HEAD = "deqc: 1\nname: Model\ninput: {x: %s}\nscale: %s\nmain_layers: [%s]\n"
DENSE = "{sum: [[{linear: {out: %d, bias: false}}, {times: %g}], [$x, {linear: %d}]]}"
CONV = "{sum: [{conv2d: {out: 16, kernel: 3}}, [$x, {conv2d: {out: 16, kernel: 3}}]]}, {group_norm: 4}, tanh"
IMAGES = ("[3, 12, 12]", "[16, 12, 12]")
MAPS = {
    "dense, 64": HEAD % ("[20]", "[64]", DENSE % (64, 1, 64) + ", tanh"),
    "dense, 512": HEAD % ("[20]", "[512]", DENSE % (512, 1.7, 512) + ", tanh"),
    "linear, 256": HEAD % ("[20]", "[256]", DENSE % (256, 1.5, 256)),
    "normed, 256": HEAD % ("[20]", "[256]", DENSE % (256, 1, 256) + ", layer_norm, relu, {linear: 256}"),
    "convolution": HEAD % (*IMAGES, CONV),
    **{name: Path(f"examples/specs/{name}.yaml").read_text(encoding="utf-8") for name in ("attention", "transformer")},
}


def compared(text: str, method: str) -> Iterator[tuple[Tensor, Tensor, float]]:
    """For each dtype the steps to each level with f rounded, and in float32; and the error of f at the end."""
    spec = {key: value for key, value in yaml.safe_load(text).items() if key not in ("solver", "adjoint")}
    spec |= {"solver": {"method": method, "atol": 0, "max_steps": STEPS, "trace": True, "on_failure": "ignore"}}
    compilation = compile_text(yaml.safe_dump({**spec, "adjoint": "none"}, sort_keys=False), "model.yaml")
    module: Any = import_source(compilation.source, "model")
    torch.manual_seed(0)
    model = getattr(module, compilation.spec.name)()
    w = model.weights(*(torch.randn(32, *map(int, one.type.shape)) for one in compilation.lowered.inputs))
    z0 = torch.zeros(32, int(compilation.lowered.size))
    z, record = module.fixed_point(lambda z: module.f(z, w), z0)
    size = module.f(z, w).abs().amax(1, keepdim=True)
    for low in LOW:
        rounded, error = _rounded(module, w, z0, low)
        unit = torch.finfo(low).eps * size
        yield first(rounded.trace / unit), first(record.trace / unit), float((error / unit).amax())


def _rounded(module: Any, w: Any, z0: Tensor, low: torch.dtype) -> tuple[Any, Tensor]:
    """The record of a solve with f in that dtype, and its error there."""
    v = module.Weights(*(t.to(low) for t in w))
    z, record = module.fixed_point(lambda z: module.f(z.to(low), v).to(z.dtype), z0)
    return record, (module.f(z.to(low), v).to(z.dtype) - module.f(z, w)).abs()


def first(trace: Tensor) -> Tensor:
    """After how many steps the slowest sample is at each level; STEPS + 1 where it never is."""
    reached = trace.nan_to_num(torch.inf).amax(0).unsqueeze(1) <= LEVELS
    return torch.where(reached.any(0), reached.int().argmax(0), STEPS + 1)


def main() -> None:
    """Prints a row a solver."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("methods", nargs="*", default=["picard", "anderson", "broyden", "tsit5"])
    worst = 0.0
    for method in parser.parse_args().methods:
        more, missed, steps = (torch.zeros_like(LEVELS) for _ in range(3))
        for text in MAPS.values():
            with torch.no_grad():
                found = list(compared(text, method))
            for rounded, exact, error in found:
                worst = max(worst, error)
                gets, lost = exact <= STEPS, rounded > STEPS
                more += torch.where(gets & ~lost, rounded - exact, 0)
                steps += torch.where(gets & ~lost, exact, 0)
                missed += gets & lost
        told = f"{more.tolist()} more than {steps.tolist()} steps, not reached {missed.tolist()}"
        print(f"{method:12} {told}", flush=True)
    print(f"the rounded f is wrong by up to {worst:.1f} eps |f(z)|")


if __name__ == "__main__":
    main()
