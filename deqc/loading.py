"""Imports a compiled spec without a file, so that what works for a module on disk works for it too."""

from __future__ import annotations

import hashlib
import importlib.abc
import importlib.machinery
import importlib.util
import linecache
import sys
from types import CodeType, ModuleType
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from torch import nn

    from deqc.compiler import Compilation


def import_model(compilation: Compilation) -> type[nn.Module]:
    """The model's class; the same source gives the same class within a process."""
    module = import_source(compilation.source, compilation.module_name)
    return cast("type[nn.Module]", getattr(module, compilation.spec.name))


def import_source(source: str, name: str) -> ModuleType:
    """The module with that source, kept in `sys.modules` under a name made from `name` and the source's hash.

    The name is flat: pickle imports the parents of a dotted one, and there are none to import.
    """
    unique = f"deqc_{name}_{hashlib.sha256(source.encode()).hexdigest()[:12]}"
    if unique in sys.modules:
        return sys.modules[unique]
    loader = _SourceInMemory(source, f"<{unique}.py>")
    spec = importlib.machinery.ModuleSpec(unique, loader, origin=loader.file)
    spec.has_location = True
    # For those who ask linecache without the module's globals. An entry without a time is never taken for outdated.
    linecache.cache[loader.file] = (len(source), None, source.splitlines(keepends=True), loader.file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[unique] = module
    try:
        loader.exec_module(module)
    except BaseException:
        del sys.modules[unique]
        raise
    return module


class _SourceInMemory(importlib.abc.InspectLoader):
    """A loader that knows the source, which is how `inspect` and `linecache` come to it."""

    def __init__(self, source: str, file: str) -> None:
        self.source = source
        self.file = file

    def get_source(self, fullname: str) -> str:
        return self.source

    def get_code(self, fullname: str) -> CodeType:
        return compile(self.source, self.file, "exec", dont_inherit=True)
