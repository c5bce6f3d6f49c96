"""Keeps compiled templates beside their sources, as Python keeps compiled modules: it is half of a compilation's time.

What is kept is used only for the very text it was made from; where nothing can be written, nothing is kept. The syntax
that the environment sets is no part of that text: a change of it needs another `_SYNTAX`.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import Final

from jinja2.bccache import Bucket, BytecodeCache

_SYNTAX: Final = 2


class TemplateCache(BytecodeCache):
    """The folder `__pycache__` of the templates."""

    def __init__(self, templates: Path) -> None:
        self._folder = templates / "__pycache__"

    def get_cache_key(self, name: str, filename: str | None = None) -> str:
        """The name of the file: the template's, flat, for this Python."""
        return f"{name.replace('/', '.')}.{sys.implementation.cache_tag}-{_SYNTAX}"

    def load_bytecode(self, bucket: Bucket) -> None:
        """Reads what is kept; anything else than a whole file of this source counts as nothing."""
        try:
            with (self._folder / bucket.key).open("rb") as file:
                bucket.load_bytecode(file)
        except Exception:  # pickle and marshal raise almost anything on a damaged file
            bucket.reset()

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keeps a compiled template, unless Python keeps no compiled modules either."""
        if sys.dont_write_bytecode:
            return
        temporary = self._folder / f"{bucket.key}.{os.getpid()}"
        try:
            self._folder.mkdir(exist_ok=True)
            with temporary.open("xb") as file:
                bucket.write_bytecode(file)
            temporary.replace(self._folder / bucket.key)
        except OSError:
            with contextlib.suppress(OSError):
                temporary.unlink()
