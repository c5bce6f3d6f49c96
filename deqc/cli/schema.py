"""`deqc schema`: the JSON Schemas, for editors and programs."""

from __future__ import annotations

import click

EXAMPLES = """\b
Examples:
  deqc schema > deqc-1.schema.json
  deqc schema diagnostics
  deqc schema solve
  deqc schema verify
"""


@click.command(epilog=EXAMPLES)
@click.argument("what", type=click.Choice(["spec", "diagnostics", "solve", "verify"]), default="spec")
def schema(what: str) -> None:
    """Prints the JSON Schema (2020-12) of the spec language, or of what deqc prints as JSON."""
    if what == "spec":
        from deqc.spec.schema import text

        content = text()
    else:
        from deqc.resources import folder

        content = (folder("schemas") / f"{what}-1.schema.json").read_text(encoding="utf-8")
    click.echo(content.encode("utf-8"), nl=False)  # bytes: the same in every locale
