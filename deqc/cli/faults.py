"""What ends a command with status 2 besides wrong options."""

from __future__ import annotations

import click


class FileFault(click.FileError):
    """A file that cannot be read or written: deqc was called wrongly, and no spec is to blame."""

    exit_code = 2

    def __init__(self, path: str, fault: OSError) -> None:
        super().__init__(path, fault.strerror or str(fault))
