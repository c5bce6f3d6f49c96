"""`--watch`: runs again whenever a file changes."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import click


def watch(specs: list[str], configuration: Path | None, again: Callable[[], list[str]]) -> None:
    """Runs `again`, and once more whenever a spec or the configuration changes; it returns the specs to watch.

    A wrong spec is told and waited for; only an interrupt ends the watch.

    Raises:
        click.UsageError: watchfiles is not installed.
    """
    try:
        import watchfiles
    except ImportError:
        raise click.UsageError("--watch needs watchfiles: pip install 'deqc[watch]'") from None
    extra = [] if configuration is None else [str(configuration)]
    specs = _attempt(again, specs)
    click.echo("watching for changes; interrupt to end", err=True)

    def concerns(_: object, path: str) -> bool:
        watched = {os.path.realpath(one) for one in (*specs, *extra)}
        return os.path.realpath(path) in watched or path.endswith((".yaml", ".yml"))

    folders = sorted({os.path.dirname(os.path.realpath(one)) for one in (*specs, *extra)})
    for _ in watchfiles.watch(*folders, watch_filter=concerns, raise_interrupt=False):
        specs = _attempt(again, specs)


def _attempt(again: Callable[[], list[str]], specs: list[str]) -> list[str]:
    try:
        return again()
    except click.ClickException as fault:  # a file that is gone or cannot be written may come back
        fault.show()
    except click.exceptions.Exit:
        pass
    return specs
