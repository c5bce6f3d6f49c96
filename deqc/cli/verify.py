"""`deqc verify`: whether a model computes what its spec means, and what its tolerances cost."""

from __future__ import annotations

import click

from deqc.cli.constants import Constants
from deqc.cli.given import Given, compiled, given_options, one_choice, silent_settings, with_torch
from deqc.cli.options import FILE, Number, combinations, common
from deqc.cli.reading import Report, configured

EXAMPLES = """\b
Examples:
  deqc verify model.yaml
  deqc verify model.yaml --weights trained.safetensors --input x.npz
  deqc verify model.yaml --batch 64 --seed 1 --size L=20
  deqc verify model.yaml --format json > verified.json
"""


@click.command(epilog=EXAMPLES)
@click.argument("spec", type=FILE)
@given_options
@common
def verify(
    spec: str,
    inputs: str | None,
    batch: int | None,
    sizes: dict[str, int],
    seed: int,
    weights: str | None,
    config: str | None,
    sets: tuple[tuple[str, tuple[Number, ...]], ...],
    form: str | None,
    quiet: bool,
) -> None:
    """Checks f, the solution and every gradient of SPEC's module, and shows what its tolerances and its adjoint cost.

    The module runs in float64 and in eval mode. It is held against the interpreter that defines what a spec means,
    and its gradients also against finite differences of its values.

    Exit status: 0 all is good, 1 something is off (or the spec is wrong), 2 deqc was called wrongly.
    """
    given = Given(inputs, batch, sizes, seed, weights)
    choice = one_choice(combinations(sets))
    settings = configured(config, form)
    report = Report(form or settings.get("format"), quiet, settings.texts)
    found = compiled(spec, [("", silent_settings())], report, Constants(settings), choice)
    if report.failed:
        report.finish()
    if report.form != "json":
        report.show()
    from deqc.cli.verdicts import document, table

    verification, running = with_torch("verification"), with_torch("running")
    ((_, compilation),) = found
    try:
        tensors, state = given.made(compilation.lowered)
        verified = verification.verify(compilation, state, tensors, seed)
    except running.RunError as fault:
        raise click.UsageError(str(fault)) from None
    if report.form == "json":
        click.echo(document(compilation, verified, given).encode("utf-8"), nl=False)
    elif not quiet:
        click.echo(table(compilation, verified, given))
    if not verified.good:
        raise click.exceptions.Exit(1)
