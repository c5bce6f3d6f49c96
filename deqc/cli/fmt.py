"""`deqc fmt`: specs in the layout that all specs share."""

from __future__ import annotations

import difflib
from pathlib import Path

import click

from deqc.cli import writing
from deqc.cli.options import SPEC
from deqc.cli.reading import Report, configured, specs_of
from deqc.diagnostics import printable

EXAMPLES = """\b
Examples:
  deqc fmt model.yaml
  deqc fmt --check models/*.yaml
  deqc fmt - < model.yaml
"""


@click.command(epilog=EXAMPLES)
@click.argument("specs", nargs=-1, type=SPEC, metavar="[SPEC]...")
@click.option("--check", is_flag=True, help="Write nothing; fail if a spec is laid out otherwise.")
@click.option(
    "--diff", "difference", is_flag=True, help="Write nothing; print what would change, and fail if anything."
)
def fmt(specs: tuple[str, ...], check: bool, difference: bool) -> None:
    """Lays out each SPEC anew, in place: a file, or every spec of a folder. A dash is a pipe.

    Comments stay, and so does the meaning: the hash of the spec is the same before and after.
    """
    from deqc.layout import format_text

    report = Report()
    changed: dict[str, tuple[str, str]] = {}
    for path in specs_of(dict.fromkeys(specs), configured(None)):
        with report.collecting():
            text, file = report.read(path)
            laid_out = format_text(text, file)
            if path == "-" and not (check or difference):
                click.echo(laid_out.encode("utf-8"), nl=False)  # bytes: the same in every locale
            elif laid_out != text:
                changed[path] = text, laid_out
    for path, (text, laid_out) in changed.items():
        if difference:
            click.echo("".join(_unified(path, text, laid_out)), nl=False)
        elif check:
            click.echo(f"{_name(path)} is not laid out: run `deqc fmt {path}`", err=True)
        else:
            writing.replace(Path(path), laid_out)
            click.echo(f"{path} laid out")
    report.finish()
    if changed and (check or difference):
        raise click.exceptions.Exit(1)


def _name(path: str) -> str:
    return "<stdin>" if path == "-" else path


def _unified(path: str, before: str, after: str) -> list[str]:
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    found = difflib.unified_diff(old, new, fromfile=_name(path), tofile=f"{_name(path)} laid out")
    shown = [printable(line.removesuffix("\n")) + "\n" * line.endswith("\n") for line in found]
    return [line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in shown]
