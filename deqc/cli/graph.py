"""`deqc graph`: a model as a picture."""

from __future__ import annotations

from pathlib import Path

import click

from deqc.cli import writing
from deqc.cli.options import FILE
from deqc.cli.reading import Report

EXAMPLES = """\b
Examples:
  deqc graph model.yaml -o model.svg
  deqc graph model.yaml --format mermaid
"""


@click.command(epilog=EXAMPLES)
@click.argument("spec", type=FILE)
@click.option(
    "-o", "--output", metavar="FILE", type=click.Path(dir_okay=False), help="Write there instead of printing."
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["svg", "mermaid"]),
    help="What to write; without it, what the name of the file says: .mmd is Mermaid text, all else SVG.",
)
def graph(spec: str, output: str | None, form: str | None) -> None:
    """Draws the model of SPEC: scales, layers and the mapping matrix, with shapes, and what is in the loop."""
    from deqc.compiler import compile_text
    from deqc.picture import mermaid, scene, svg

    as_text = form == "mermaid" or (form is None and output is not None and output.endswith(".mmd"))
    report = Report()
    with report.collecting():
        picture = (mermaid if as_text else svg)(scene(compile_text(*report.read(spec))))
        if output is None:
            click.echo(picture.encode("utf-8"), nl=False)  # bytes: the same in every locale
        else:
            done = writing.write(Path(output), picture)
            click.echo(f"{output} written" if done else f"{output} is up to date")
    report.finish()
