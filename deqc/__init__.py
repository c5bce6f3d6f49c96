"""A compiler from YAML specs of deep equilibrium models to standalone PyTorch modules.

    import deqc

    text = deqc.compile("model.yaml")      # the generated module's source
    Model = deqc.load("model.yaml")        # the same, imported: a torch.nn.Module class
    problems = deqc.check("model.yaml")    # what is wrong with the spec, empty if nothing is

Each takes an `os.PathLike`, a path as a str, or the spec itself as a str with a newline in it. Importing deqc imports
neither torch nor the compiler.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias

from deqc import sources
from deqc.diagnostics import Diagnostic, SpecError
from deqc.version import __version__

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Diagnostic", "SpecError", "__version__", "check", "compile", "load"]

PathOrText: TypeAlias = "str | os.PathLike[str]"
Constants: TypeAlias = "Mapping[str, int | float | bool]"


def compile(path_or_text: PathOrText, *, constants: Constants | None = None) -> str:
    """The source of the module that the spec describes; `constants` replace those that the spec declares.

    The same spec and version of deqc give the same text, whatever the machine, folder, locale or hash seed.

    Raises:
        SpecError: the spec is wrong; its `diagnostics` hold every mistake.
        OSError: the file cannot be read.
    """
    from deqc.compiler import compile_text

    return compile_text(*_read(path_or_text), constants=constants or {}).source


def load(path_or_text: PathOrText, *, constants: Constants | None = None) -> type[nn.Module]:
    """The class of the spec's module, compiled and imported without a file; needs torch. `constants` as in `compile`.

    The generated module stands in `sys.modules` under a name made from the model's and a hash of the source, so that
    tracebacks, `inspect`, `torch.compile` and, within the process, `pickle` work. The same source gives the same class.

    Raises:
        SpecError: the spec is wrong; its `diagnostics` hold every mistake.
        OSError: the file cannot be read.
        ImportError: torch is not installed.
    """
    from deqc.compiler import compile_text
    from deqc.loading import import_model

    return import_model(compile_text(*_read(path_or_text), constants=constants or {}))


def check(path_or_text: PathOrText, *, constants: Constants | None = None) -> list[Diagnostic]:
    """All that is wrong or doubtful in the spec, in reading order. `constants` as in `compile`.

    Raises:
        OSError: the file cannot be read.
    """
    from deqc.front import check_text

    try:
        text, file = _read(path_or_text)
    except SpecError as fault:
        return list(fault.diagnostics)
    return check_text(text, file, constants or {})


def _read(path_or_text: PathOrText) -> tuple[str, str]:
    """The spec's text, and the name under which diagnostics show it."""
    if isinstance(path_or_text, str) and "\n" in path_or_text:
        return path_or_text, "<spec>"
    return sources.read(path_or_text), os.fspath(path_or_text)
