"""`deqc explain`: what the compiler made of a spec, and why."""

from __future__ import annotations

import click

from deqc.cli.reading import SPEC, Report


@click.command()
@click.argument("spec", type=SPEC)
@click.option("--ir", is_flag=True, help="Also print the intermediate representation, after each pass.")
def explain(spec: str, ir: bool) -> None:
    """Shows shapes, parameters, costs, solver and adjoint of SPEC, and what each pass did or could not do."""
    from deqc.compiler import compile_text
    from deqc.explain import explain as explanation

    report = Report()
    with report.collecting():
        text = explanation(compile_text(*report.read(spec)), ir)
        click.echo(text.rstrip("\n"))
    report.finish()
