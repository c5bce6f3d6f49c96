"""`deqc compile`: specs to modules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import click

from deqc.cli import writing
from deqc.cli.configuration import Configuration, unknown_pass
from deqc.cli.constants import Constants
from deqc.cli.options import (
    SPEC,
    Number,
    called,
    combinations,
    common,
    only_specs_option,
    show_settings_option,
    sweep_suffix,
)
from deqc.cli.reading import Report, configured, specs_of
from deqc.diagnostics import Diagnostic, Severity, Span

Sets = tuple[tuple[str, tuple[Number, ...]], ...]


@dataclass(frozen=True)
class Request:
    """What a call asks for; everything but the specs themselves."""

    output: str | None
    stdout: bool
    check: bool
    quiet: bool
    form: str
    disabled: frozenset[str]
    choices: list[dict[str, Number]]  # of constants
    swept: tuple[str, ...]  # the names with several values
    settings: Configuration = field(default_factory=Configuration)

    def under(self, settings: Configuration) -> Request:
        """The request with what the configuration says where the call says nothing."""
        return replace(
            self,
            output=self.output if self.output is not None or self.stdout else settings.output(),
            form=self.form or settings.get("format"),
            disabled=self.disabled or frozenset(settings.get("disable")),
            settings=settings,
        )


EXAMPLES = """\b
Examples:
  deqc compile model.yaml                     writes my_model.py beside it
  deqc compile specs/ -o generated/           every spec of a folder
  deqc compile model.yaml --set width=64,128  one module for each width
  deqc compile --check                        in continuous integration
"""


@click.command("compile", epilog=EXAMPLES)
@click.argument("specs", nargs=-1, type=SPEC, metavar="[SPEC]...")
@click.option(
    "-o", "--output", metavar="FILE|DIR", help="Write there instead of beside the spec; a folder ends in '/' or exists."
)
@click.option("--stdout", is_flag=True, help="Print the module instead of writing a file.")
@click.option("--check", is_flag=True, help="Write nothing; fail if a module on disk is not what its spec says.")
@click.option("--watch", is_flag=True, help="Compile again whenever a spec changes, until interrupted.")
@click.option(
    "--disable",
    multiple=True,
    metavar="PASS",
    help="Leave out an optimisation, or `adjoint`; repeatable.",
)
@only_specs_option
@show_settings_option
@common
def compile_(
    specs: tuple[str, ...],
    output: str | None,
    stdout: bool,
    check: bool,
    watch: bool,
    disable: tuple[str, ...],
    only_specs: bool,
    show_settings: bool,
    config: str | None,
    sets: Sets,
    form: str | None,
    quiet: bool,
) -> None:
    """Compiles each SPEC to one PyTorch module, `<name>.py` in snake case.

    SPEC is a file, a folder (every spec below it) or a dash (standard input); without one, the configuration names
    them. Nothing is written unless every SPEC is right, and no file that deqc did not generate is overwritten.
    """
    settings = configured(config, form)
    if disable and (message := unknown_pass(disable)):
        raise click.BadParameter(message, param_hint="'--disable'")
    if show_settings:
        click.echo(settings.show(called(specs, sets, form) | {"output": output, "disable": list(disable)}))
        return
    request = Request(
        output=output,
        stdout=stdout,
        check=check,
        quiet=quiet,
        form=form or "",
        disabled=frozenset(disable),
        choices=combinations(sets),
        swept=tuple(name for name, values in sets if len(values) > 1),
    )
    found = specs_of(dict.fromkeys(specs), settings, only_specs)
    _refuse_contradictions(found, output, request, watch)
    if watch:
        from deqc.cli.watching import watch as keep_watching

        keep_watching(found, settings.file, lambda: _again(specs, only_specs, config, request))
    elif not compile_all(found, request.under(settings)):
        raise click.exceptions.Exit(1)


def _again(specs: tuple[str, ...], only_specs: bool, config: str | None, request: Request) -> list[str]:
    """Compiles what there is now, as the configuration has it now; the specs that it was."""
    settings = configured(config, request.form)
    found = specs_of(dict.fromkeys(specs), settings, only_specs)
    compile_all(found, request.under(settings))
    return found


def compile_all(specs: list[str], request: Request) -> bool:
    """Compiles specs as asked and prints what is to be said; whether all is well."""
    from deqc.compiler import compile_text

    report = Report(request.form, request.quiet, request.settings.texts)
    constants = Constants(request.settings)
    sources: dict[Path, str] = {}
    made_from: dict[Path, str] = {}
    for path in specs:
        read: tuple[str, str] | None = None
        with report.collecting():
            read = report.read(path)
        for choice in request.choices if read is not None else ():
            assert read is not None
            with report.collecting(partial(constants.traced, text=read[0], file=read[1], given=choice)):
                compilation = compile_text(*read, request.disabled, {**constants.of(read[0]), **choice})
                report.diagnostics.extend(d for d in compilation.warnings if d.severity is not Severity.NOTE)
                suffix = sweep_suffix(choice, request.swept)
                target = writing.target(request.output, path, compilation.module_name + suffix)
                if target in sources:
                    raise click.UsageError(f"'{made_from[target]}' and '{path}' would both be written to '{target}'")
                sources[target], made_from[target] = compilation.source, path
    constants.tell_undeclared(report)
    report.diagnostics = list(dict.fromkeys(report.diagnostics))
    reasons = [] if report.failed or not request.check else _stale(sources, report)
    report.show()
    for reason in reasons if request.form == "text" else ():
        click.echo(reason, err=True)
    if report.failed or reasons:
        return False
    if request.stdout:
        click.echo("".join(sources.values()).encode("utf-8"), nl=False)  # bytes: the same in every locale
    elif not request.check:
        _write(sources, request)
    return True


def _write(sources: Mapping[Path, str], request: Request) -> None:
    """Writes all modules, or none where one of the files is not deqc's."""
    for file in sources:
        writing.own(file)
    for file, source in sources.items():
        line = f"{file} written" if writing.write(file, source) else f"{file} is up to date"
        if not request.quiet:
            click.echo(line, err=request.form != "text")


def _stale(sources: Mapping[Path, str], report: Report) -> list[str]:
    """Why modules on disk are not what their specs say; for programs as diagnostics, too."""
    reasons = []
    for file, source in sources.items():
        reason = writing.stale(file, source)
        if reason is not None:
            reasons.append(reason)
            if report.form != "text":
                first = reason.splitlines()[0].removeprefix(f"{file} ")
                report.diagnostics.append(
                    Diagnostic("E091", first, Span(str(file), 1, 1, 1, 2), hint="run `deqc compile`")
                )
    return reasons


def _refuse_contradictions(specs: list[str], output: str | None, request: Request, watch: bool) -> None:
    many = len(specs) > 1 or len(request.choices) > 1
    if request.stdout and (output is not None or request.check):
        raise click.UsageError("--stdout goes neither with -o nor with --check")
    if request.stdout and many:
        raise click.UsageError("--stdout takes one spec, and one value for each constant")
    if output is not None and output.endswith(".py") and not Path(output).is_dir() and many:
        raise click.UsageError("several modules need a folder for -o")
    if watch and (request.stdout or request.check or "-" in specs):
        raise click.UsageError("--watch goes neither with --stdout nor with --check, nor with standard input")
