"""`deqc schema`: the JSON Schema of specs, for editors."""

from __future__ import annotations

import click


@click.command()
def schema() -> None:
    """Prints the JSON Schema (2020-12) of the spec language, made from the tables of ops and settings."""
    from deqc.spec.schema import text

    click.echo(text().encode("utf-8"), nl=False)  # bytes: the same in every locale
