"""`deqc check`: what is wrong with a spec."""

from __future__ import annotations

import click

from deqc.cli.constants import Constants
from deqc.cli.options import SPEC, Number, called, combinations, common, only_specs_option, show_settings_option
from deqc.cli.reading import Report, configured, specs_of
from deqc.diagnostics import Severity

EXAMPLES = """\b
Examples:
  deqc check model.yaml
  deqc check specs/ --format github    in a workflow of GitHub
"""


@click.command(epilog=EXAMPLES)
@click.argument("specs", nargs=-1, type=SPEC, metavar="[SPEC]...")
@only_specs_option
@show_settings_option
@common
def check(
    specs: tuple[str, ...],
    only_specs: bool,
    show_settings: bool,
    config: str | None,
    sets: tuple[tuple[str, tuple[Number, ...]], ...],
    form: str | None,
    quiet: bool,
) -> None:
    """Says all that is wrong with each SPEC, and writes nothing.

    SPEC is a file, a folder (every spec below it) or a dash (standard input); without one, the configuration names
    them.
    """
    settings = configured(config, form)
    if show_settings:
        click.echo(settings.show(called(specs, sets, form)))
        return
    from deqc.front import check_text

    report = Report(form or settings.get("format"), quiet, settings.texts)
    choices = combinations(sets)
    constants = Constants(settings)
    for path in specs_of(dict.fromkeys(specs), settings, only_specs):
        with report.collecting():
            text, file = report.read(path)
            for choice in choices:
                found = check_text(text, file, {**constants.of(text), **choice})
                told = constants.traced(found, text, file, choice)
                report.diagnostics.extend(d for d in told if d.severity is not Severity.NOTE)
    constants.tell_undeclared(report)
    report.diagnostics = list(dict.fromkeys(report.diagnostics))
    report.finish()
