"""`deqc check`: what is wrong with a spec."""

from __future__ import annotations

import click

from deqc.cli.reading import SPEC, Report


@click.command()
@click.argument("specs", nargs=-1, required=True, type=SPEC, metavar="SPEC...")
def check(specs: tuple[str, ...]) -> None:
    """Says all that is wrong with each SPEC, and writes nothing. A dash reads standard input."""
    from deqc.compiler import check_text

    report = Report()
    for path in dict.fromkeys(specs):
        with report.collecting():
            report.diagnostics.extend(check_text(*report.read(path)))
    report.finish()
