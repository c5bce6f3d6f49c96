"""Small models in float64 with any solver and adjoint, solved to the last digits, for tests of derivatives."""

from __future__ import annotations

import functools
import json
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from deqc.compiler import compile_text
from deqc.loading import import_source
from tests.properties import flat

HEAD = "deqc: 1\nname: M\ninput: {x: [3]}\n"
CHAIN = "[{sum: [{linear: 3}, [$x, {linear: 3}]]}, tanh]"
SCALES = {
    "single": f"scale: [3]\nmain_layers: {CHAIN}\n",
    "multi": f"scales: [[3], [2]]\nmain_layers: [{CHAIN}, [{{linear: 2}}, tanh]]\n"
    "mapping_layers: [[identity, {linear: 2}], [{linear: 3}, identity]]\n",
    # of a symmetric derivative, as cg wants it: W^T softmax(W z), and A^T beside A
    "symmetric": "parameters: {W: [4, 3]}\nscale: [3]\nmain_layers: [{linear: {weight: $W, bias: false}}, softmax, "
    "{linear: {weight: $W, transpose: true, bias: false}}, {sum: [{times: 0.7}, $x]}]\n",
    "symmetric multi": "parameters: {A: [2, 3]}\nscales: [[3], [2]]\nmain_layers: [{times: 0.6}, {times: 0.6}]\n"
    "mapping_layers:\n"
    "  - [[tanh, {times: 0.4}], {linear: {weight: $A, bias: false}}]\n"
    "  - [{linear: {weight: $A, transpose: true, bias: false}}, [sin, {times: 0.3}]]\n"
    "post_fuse_layers: [{sum: [identity, $x]}, {sum: [identity, [$x, {linear: 2}]]}]\n",
}
STARTS = {
    "zeros": dict.fromkeys(SCALES, "zeros"),
    "chain": {name: "[[$x, tanh], [$x, {linear: 2}]]" if "multi" in name else "[$x, tanh]" for name in SCALES},
}


@functools.cache
def module_of(text: str) -> ModuleType:
    """Compiled once a session."""
    return import_source(compile_text(text, "m.yaml").source, "small")


def text_of(solver: object, adjoint: object, scales: str = "single", start: str = "zeros", kind: str = "deq") -> str:
    """The spec of one of the bodies above, or of another one that starts from zeros."""
    body = HEAD + SCALES[scales] + f"init: {STARTS[start][scales]}\n" if scales in SCALES else HEAD + scales
    body += f"kind: {kind}\n" if kind != "deq" else ""
    return body + f"solver: {json.dumps(solver)}\nadjoint: {json.dumps(adjoint)}\n"


def model_of(text: str, *modules: nn.Module, scale: float = 0.7) -> Any:
    """Its model of these modules, the same weights at every call, in (-scale, scale) over the root of their width."""
    model = module_of(text).M(*modules).double()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            draw = 2 * torch.rand(parameter.shape, dtype=torch.float64, generator=generator) - 1
            parameter.copy_(scale * draw / parameter.shape[-1] ** 0.5)
    return model


def inputs(batch: int = 2) -> Tensor:
    """A batch of x."""
    return torch.randn(batch, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2))


def output(model: Any, x: Tensor) -> Tensor:
    """What the model returns, (B, D)."""
    return flat(model(x))
