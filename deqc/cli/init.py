"""`deqc init`: a commented spec to start from."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import click

from deqc.cli import writing
from deqc.cli.faults import FileFault

KINDS: Final = ("dense", "multiscale", "conv")
_NAME: Final = "MyModel"  # what the starters are called


EXAMPLES = """\b
KIND is one of
  dense       vectors, one state
  multiscale  vectors, a state of three scales
  conv        images, one state
\b
Examples:
  deqc init dense my_model
  deqc init conv -
"""


@click.command(epilog=EXAMPLES)
@click.argument("kind", type=click.Choice(KINDS))
@click.argument("name")
def init(kind: str, name: str) -> None:
    """Writes a commented spec to start from: NAME.yaml, a model called NAME in camel case. A dash prints it instead.

    The schema that editors read for completion, deqc-1.schema.json, is put beside it.
    """
    from deqc.resources import folder

    starter = (folder("templates") / "init" / f"{kind}.yaml").read_text(encoding="utf-8")
    if name == "-":
        click.echo(starter.encode("utf-8"), nl=False)  # bytes: the same in every locale
        return
    model = _model_name(name)
    from deqc.compiler import snake_case
    from deqc.settings import LANGUAGE
    from deqc.spec.schema import text

    path = Path(f"{snake_case(model)}.yaml")
    schema = Path(f"deqc-{LANGUAGE}.schema.json")
    if lacking := not schema.exists():
        writing.real(schema)  # where it cannot be written, nothing is
    try:
        with path.open("x", encoding="utf-8", newline="\n") as file:
            file.write(starter.replace(f"\nname: {_NAME} ", f"\nname: {model} "))
    except FileExistsError:
        raise click.UsageError(f"'{path}' exists and stays as it is; choose another name") from None
    except OSError as fault:
        raise FileFault(str(path), fault) from None
    click.echo(f"{path} written; next: deqc compile {path}")
    if lacking:
        writing.replace(schema, text())
        click.echo(f"{schema} written, which editors read for completion")


def _model_name(name: str) -> str:
    """The class's name.

    Raises:
        click.BadParameter: no model can be called so.
    """
    from deqc.diagnostics import Problems, Span
    from deqc.spec.names import check_class_name

    model = "".join(part[:1].upper() + part[1:] for part in name.split("_"))
    problems = Problems()
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
        raise click.BadParameter(
            f"{name!r} is no name for a model: a letter, then letters, digits and underscores, such as my_model",
            param_hint="'NAME'",
        )
    if not check_class_name(model, Span("", 1, 1, 1, 1), problems):
        raise click.BadParameter("; ".join(one.message for one in problems.found), param_hint="'NAME'")
    return model
