"""The models of DeepEquilibriumNetworks.jl's own tests (test/layers_tests.jl) as specs."""

from __future__ import annotations

import functools
import json
import zlib
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from deqc.compiler import compile_text
from deqc.loading import import_model

HEAD = "deqc: 1\nname: FromTheSeed\n"
DENSE = """\
input: {x: [2]}
scale: [2]
main_layers: [{sum: [{linear: {out: 2, bias: false}}, [$x, {linear: {out: 2, bias: false}}]]}]
"""
CONV = """\
input: {x: [1, 3, 3]}
scale: [1, 3, 3]
main_layers:
  - sum: [{conv2d: {out: 1, kernel: 1, bias: false}}, [$x, {conv2d: {out: 1, kernel: 1, bias: false}}]]
"""
MULTISCALE = """\
input: {x: [4]}
scales: [[4], [3], [2], [1]]
blocks:
  dense: {params: {out: null}, body: [{linear: {out: "${out}", bias: false}}, tanh]}
main_layers:
  - {sum: [[{linear: {out: 4, bias: false}}, tanh], [$x, {linear: {out: 4, bias: false}}, tanh]]}
  - {dense: 3}
  - {dense: 2}
  - {dense: 1}
mapping_layers:
  - [identity, {dense: 3}, {dense: 2}, {dense: 1}]
  - [{dense: 4}, identity, {dense: 2}, {dense: 1}]
  - [{dense: 4}, {dense: 3}, identity, {dense: 1}]
  - [{dense: 4}, {dense: 3}, {dense: 2}, identity]
"""
CHAIN = {
    "dense": "[$x, {linear: {out: 2, bias: false}}]",
    "conv": "[$x, {conv2d: {out: 1, kernel: 1, bias: false}}]",
    "multiscale": f"[{', '.join(f'[$x, {{linear: {{out: {n}, bias: false}}}}]' for n in (4, 3, 2, 1))}]",
}
BODY = {"dense": DENSE, "conv": CONV, "multiscale": MULTISCALE}
SHAPE = {"dense": (14, 2), "conv": (3, 1, 3, 3), "multiscale": (12, 4)}
SIZE = {"dense": 2, "conv": 9, "multiscale": 10}
KINDS = ("deq", "skipdeq", "skipregdeq")


def inputs(model: str, dtype: torch.dtype) -> Tensor:
    """The batch that the seed's tests take, of other numbers."""
    return torch.randn(SHAPE[model], generator=torch.Generator().manual_seed(3), dtype=torch.float64).to(dtype)


def build(
    model: str,
    kind: str,
    solver: Mapping[str, object],
    scale: float,
    dtype: torch.dtype,
    adjoint: object = "implicit",
    regularization: object = None,
) -> nn.Module:
    """The module with weights from N(0, scale²), the same for each name of a weight."""
    init = {"deq": "zeros", "skipregdeq": "step", "skipdeq": CHAIN[model]}[kind]
    settings = {"solver": solver, "adjoint": adjoint, "jacobian_regularization": regularization}
    written = {name: value for name, value in settings.items() if value is not None}
    made = _class(model, init, json.dumps(written))().to(dtype)
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
            parameter.copy_(scale * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return made


@functools.cache
def _class(model: str, init: str, settings: str) -> type[nn.Module]:
    sections = "".join(f"{name}: {json.dumps(value)}\n" for name, value in json.loads(settings).items())
    text = f"{HEAD}{BODY[model]}init: {init}\n{sections}"
    return import_model(compile_text(text, "seed.yaml"))
