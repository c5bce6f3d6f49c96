"""`deqc compile`: specs to modules."""

from __future__ import annotations

from pathlib import Path

import click

from deqc.cli import writing
from deqc.cli.reading import SPEC, Report
from deqc.diagnostics import Severity


@click.command("compile")
@click.argument("specs", nargs=-1, required=True, type=SPEC, metavar="SPEC...")
@click.option(
    "-o", "--output", metavar="FILE|DIR", help="Write there instead of beside the spec; a folder ends in '/' or exists."
)
@click.option("--stdout", is_flag=True, help="Print the module instead of writing a file.")
@click.option("--check", is_flag=True, help="Write nothing; fail if a module on disk is not what its spec says.")
@click.option(
    "--disable",
    multiple=True,
    metavar="PASS",
    help="Leave out an optimisation, or `adjoint`; repeatable.",
)
def compile_(specs: tuple[str, ...], output: str | None, stdout: bool, check: bool, disable: tuple[str, ...]) -> None:
    """Compiles each SPEC to one PyTorch module, `<name>.py` in snake case. A dash reads standard input.

    Nothing is written unless every SPEC is right, and no file that deqc did not generate is overwritten.
    """
    specs = tuple(dict.fromkeys(specs))
    _refuse_contradictions(specs, output, stdout, check)
    from deqc.compiler import compile_text

    disabled = _passes(disable)
    report = Report()
    sources: dict[Path, str] = {}
    made_from: dict[Path, str] = {}
    for path in specs:
        with report.collecting():
            compilation = compile_text(*report.read(path), disabled)
            report.diagnostics.extend(d for d in compilation.warnings if d.severity is not Severity.NOTE)
            file = writing.target(output, path, compilation.module_name)
            if file in sources:
                raise click.UsageError(f"'{made_from[file]}' and '{path}' would both be written to '{file}'")
            sources[file], made_from[file] = compilation.source, path
    report.finish()
    if stdout:
        click.echo("".join(sources.values()).encode("utf-8"), nl=False)  # bytes: the same in every locale
    elif check:
        _check(sources)
    else:
        for file, source in sources.items():
            click.echo(f"{file} written" if writing.write(file, source) else f"{file} is up to date")


def _refuse_contradictions(specs: tuple[str, ...], output: str | None, stdout: bool, check: bool) -> None:
    if stdout and (output is not None or check):
        raise click.UsageError("--stdout goes neither with -o nor with --check")
    if stdout and len(specs) > 1:
        raise click.UsageError("--stdout takes one spec")
    if output is not None and output.endswith(".py") and not Path(output).is_dir() and len(specs) > 1:
        raise click.UsageError("several specs need a folder for -o")


def _passes(names: tuple[str, ...]) -> frozenset[str]:
    """The passes of these names.

    Raises:
        click.BadParameter: there is no such pass.
    """
    from deqc.compiler import ADJOINT
    from deqc.passes import PIPELINE

    known = [*(step.name for step in PIPELINE), ADJOINT]
    for name in names:
        if name not in known:
            raise click.BadParameter(f"no pass '{name}'; there are {', '.join(known)}", param_hint="'--disable'")
    return frozenset(names)


def _check(sources: dict[Path, str]) -> None:
    reasons = [reason for file, source in sources.items() if (reason := writing.stale(file, source))]
    for reason in reasons:
        click.echo(reason, err=True)
    if reasons:
        raise click.exceptions.Exit(1)
