"""`deqc explain`: what the compiler made of a spec, and why."""

from __future__ import annotations

import click

from deqc.cli.options import FILE, Number, combinations, format_option, quiet_option, set_option
from deqc.cli.reading import Report

EXAMPLES = """\b
Examples:
  deqc explain model.yaml
  deqc explain model.yaml --set width=128
"""


@click.command(epilog=EXAMPLES)
@click.argument("spec", type=FILE)
@click.option("--ir", is_flag=True, help="Also print the intermediate representation, after each pass.")
@set_option
@format_option
@quiet_option
def explain(
    spec: str, ir: bool, sets: tuple[tuple[str, tuple[Number, ...]], ...], form: str | None, quiet: bool
) -> None:
    """Shows shapes, parameters, costs, solver and adjoint of SPEC, and what each pass did or could not do."""
    choices = combinations(sets)
    if len(choices) > 1:
        raise click.UsageError("explain takes one value for each constant")
    from deqc.compiler import compile_text
    from deqc.explain import explain as explanation

    report = Report(form or "text", quiet)
    with report.collecting():
        text = explanation(compile_text(*report.read(spec), constants=choices[0]), ir)
        click.echo(text.rstrip("\n"))
    if report.failed:
        report.finish()
