"""`deqc graph`: a model as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from deqc.cli import writing
from deqc.cli.options import FILE
from deqc.cli.reading import Report

_FORMS: Final = {".svg": "svg", ".mmd": "mermaid", ".md": "mermaid"}
"""What a file holds by the end of its name: in Markdown a picture is a block of Mermaid text, which GitHub draws."""

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
    help="What to write; without it, what the name of the file says: .svg, or .mmd and .md for Mermaid text.",
)
def graph(spec: str, output: str | None, form: str | None) -> None:
    """Draws the model of SPEC: scales, layers and the mapping matrix, with shapes, and what is in the loop."""
    suffix = None if output is None else Path(output).suffix
    if suffix is not None and (suffix not in _FORMS or form not in (None, _FORMS[suffix])):
        wanted = " or ".join(end for end, held in _FORMS.items() if form in (None, held))
        raise click.BadParameter(f"'{output}' must end in {wanted}: deqc draws no other pictures", param_hint="'-o'")
    from deqc.compiler import compile_text
    from deqc.picture import mermaid, scene, svg

    as_text = "mermaid" in (form, _FORMS.get(suffix or ""))
    report = Report()
    with report.collecting():
        picture = (mermaid if as_text else svg)(scene(compile_text(*report.read(spec))))
        if suffix == ".md":
            picture = f"```mermaid\n{picture}```\n"
        if output is None:
            click.echo(picture.encode("utf-8"), nl=False)  # bytes: the same in every locale
        else:
            done = writing.write(Path(output), picture)
            click.echo(f"{output} written" if done else f"{output} is up to date")
    report.finish()
