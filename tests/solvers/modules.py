"""Modules compiled for one solver, of which the tests use `fixed_point`, which takes any map of any size."""

from __future__ import annotations

import functools
import json
from types import ModuleType

from deqc.compiler import compile_text
from deqc.loading import import_source

SPEC = """\
deqc: 1
name: Bed
input: {{x: [2]}}
scale: [2]
main_layers: [{{sum: [{{linear: 2}}, [$x, {{linear: 2}}]]}}, tanh]
solver: {solver}
adjoint: {adjoint}
"""


def module(method: str, /, *, adjoint: object = "none", **settings: object) -> ModuleType:
    """The module of a small spec with that solver: compiled once a session for each choice of settings."""
    return _module(json.dumps({"method": method, **settings}), json.dumps(adjoint))


@functools.cache
def _module(solver: str, adjoint: str) -> ModuleType:
    compilation = compile_text(SPEC.format(solver=solver, adjoint=adjoint), "bed.yaml")
    return import_source(compilation.source, "bed")
