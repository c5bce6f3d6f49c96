"""`deqc diff`: what changed in meaning between two specs."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import click

from deqc import sources
from deqc.cli.options import FILE
from deqc.cli.reading import Report

if TYPE_CHECKING:
    from deqc.difference import Change, Difference


EXAMPLES = """\b
Examples:
  deqc diff old.yaml new.yaml
  deqc diff model.yaml --against main
"""


@click.command(epilog=EXAMPLES)
@click.argument("old", type=FILE)
@click.argument("new", type=FILE, required=False)
@click.option(
    "--against", metavar="REF", help="Compare the one SPEC with what it was at a commit, branch or tag of git."
)
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", help="Text for people, or JSON.")
def diff(old: str, new: str | None, against: str | None, form: str) -> None:
    """Shows what changed in meaning from OLD to NEW, and whether an old state_dict still loads.

    Exit status: 0 nothing breaks, 1 something does (or a spec is wrong), 2 deqc was called wrongly.
    """
    if (new is None) == (against is None):
        raise click.UsageError("two specs, or one and --against REF")
    if against is not None and old == "-":
        raise click.UsageError("--against needs a file, which standard input is not")
    from deqc.compiler import Compilation, compile_text
    from deqc.difference import difference

    report = Report(form)
    compiled: list[Compilation] = []
    for path, ref in ((old, against), (new or old, None)):
        with report.collecting():
            text, file = report.read(path) if ref is None else _at(ref, path, report)
            compiled.append(compile_text(text, file))
    if report.failed:
        report.finish()
    found = difference(*compiled)
    names = (f"{against}:{old}", old) if new is None else (old, new)
    click.echo(_json(names, found) if form == "json" else _text(names, found))
    if found.breaking:
        raise click.exceptions.Exit(1)


def _at(ref: str, path: str, report: Report) -> tuple[str, str]:
    """The text of a spec as git has it there, and a name for it."""
    file = Path(path).absolute()
    if ref.startswith("-") or ":" in ref:
        raise click.BadParameter(f"{ref!r} is no commit, branch or tag", param_hint="'--against'")
    command = ["git", "-C", str(file.parent), "cat-file", "blob", f"{ref}:./{file.name}"]
    try:
        done = subprocess.run(command, capture_output=True, check=False)
    except OSError:
        raise click.UsageError("--against needs git, which is not there") from None
    if done.returncode:
        reason = done.stderr.decode("utf-8", errors="replace").strip().removeprefix("fatal: ")
        raise click.UsageError(f"git has no '{path}' at {ref!r}: {reason}")
    shown = f"{ref}:{path}"
    report.texts[shown] = done.stdout.decode("utf-8", errors="replace")
    return sources.decode(done.stdout, shown), shown


def _json(names: tuple[str, str], found: Difference) -> str:
    document = {
        "old": {"file": names[0], "sha256": found.sha256[0]},
        "new": {"file": names[1], "sha256": found.sha256[1]},
        "same_meaning": found.same,
        "state_dict_loads": found.state_dict_loads,
        "breaking": list(found.breaking),
        "changes": [
            {"section": one.section, "place": one.place, "before": one.before, "after": one.after}
            for one in found.changes
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def _text(names: tuple[str, str], found: Difference) -> str:
    head = f"{names[0]} → {names[1]}"
    if found.same:
        return f"{head}: no change in meaning"
    lines = [head]
    for section in dict.fromkeys(one.section for one in found.changes):
        lines += ["", section]
        for one in found.changes:
            lines += _change(one) if one.section == section else []
    if not found.changes:
        lines += ["", "what is written differs, what deqc makes of it does not"]
    if found.breaking:
        lines += ["", "breaking", *(f"  {one}" for one in found.breaking)]
    else:
        lines += ["", "nothing breaks: an old state_dict loads, and calls of the class stay as they are"]
    return "\n".join(lines)


def _change(change: Change) -> list[str]:
    place = f"{change.place}: " if change.place else ""
    if change.before is None:
        return [f"  + {place}{change.after}"]
    if change.after is None:
        return [f"  - {place}{change.before}"]
    if len(place) + len(change.before) + len(change.after) <= 90:
        return [f"  ~ {place}{change.before} → {change.after}"]
    return [f"  - {place}{change.before}", f"  + {place}{change.after}"]
