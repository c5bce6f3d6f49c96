"""`deqc explain`: what the compiler made of a spec, and why."""

from __future__ import annotations

import os
import re
import sys
from functools import partial

import click

from deqc.cli.constants import Constants
from deqc.cli.options import FILE, Number, combinations, common
from deqc.cli.reading import Report, configured, wants_color

_CODE = re.compile(r"[A-Za-z][0-9]{1,4}")
EXAMPLES = """\b
Examples:
  deqc explain model.yaml
  deqc explain E031
  deqc explain model.yaml --set width=128
"""


@click.command(epilog=EXAMPLES)
@click.argument("what", metavar="SPEC|CODE")
@click.option("--ir", is_flag=True, help="Also print the intermediate representation, after each pass.")
@common
def explain(
    what: str,
    ir: bool,
    config: str | None,
    sets: tuple[tuple[str, tuple[Number, ...]], ...],
    form: str | None,
    quiet: bool,
) -> None:
    """Shows shapes, parameters, costs, solver and adjoint of SPEC, and what each pass did or could not do.

    Of the CODE of a diagnostic, such as E031: what it means, an example, and how it is mended.
    """
    if _CODE.fullmatch(what) and not os.path.exists(what):
        _explain_code(what.upper())
        return
    spec = str(FILE.convert(what, None, click.get_current_context()))
    choices = combinations(sets)
    if len(choices) > 1:
        raise click.UsageError("explain takes one value for each constant")
    from deqc.compiler import compile_text
    from deqc.explain import explain as explanation

    settings = configured(config, form)
    constants = Constants(settings)
    report = Report(form or settings.get("format"), quiet, settings.texts)
    with report.collecting():
        text, file = report.read(spec)
        with report.collecting(partial(constants.traced, text=text, file=file, given=choices[0])):
            given = {**constants.of(text), **choices[0]}
            shown = explanation(compile_text(text, file, frozenset(settings.get("disable")), given), ir)
            click.echo(shown.rstrip("\n"))
    if report.failed:
        report.finish()


def _explain_code(code: str) -> None:
    from deqc.codes import CODES

    if code not in CODES:
        from deqc.spec.names import did_you_mean

        near = did_you_mean(code, CODES)
        raise click.UsageError(f"there is no code '{code}'" + (f"; did you mean '{near}'?" if near else ""))
    from deqc.cli.pages import render_page

    color = wants_color(sys.stdout)
    click.echo(render_page(code, color), nl=False, color=color)
