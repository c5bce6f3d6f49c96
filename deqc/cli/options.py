"""Options that several commands take, and their types."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import click

from deqc.cli.configuration import FORMATS

Command = TypeVar("Command", bound=Callable[..., Any])
Number = int | float | bool

FILE = click.Path(exists=True, dir_okay=False, readable=True, allow_dash=True)
"""The type of an argument that names one spec; `-` is standard input."""

SPEC = click.Path(exists=True, readable=True, allow_dash=True)
"""The type of an argument that names a spec or a folder of them; `-` is standard input."""


def _constants(
    context: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> tuple[tuple[str, tuple[Number, ...]], ...]:
    """`name=value`, or several values of one name: `width=64,128`."""
    found = []
    for value in values:
        name, equals, rest = value.partition("=")
        numbers = tuple(_number(one.strip()) for one in rest.split(","))
        if not name.strip() or not equals or None in numbers:
            message = f"'{value}' is not of the form name=value, the value a number, true or false"
            raise click.BadParameter(message, context, parameter)
        found.append((name.strip(), tuple(one for one in numbers if one is not None)))
    return tuple(found)


def _number(text: str) -> Number | None:
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return None


def combinations(sets: Iterable[tuple[str, tuple[Number, ...]]]) -> list[dict[str, Number]]:
    """Every choice of one value for each name, in the order written; one empty choice where nothing is set.

    Raises:
        click.BadParameter: a name is set twice.
    """
    names: list[str] = []
    for name, _ in sets:
        if name in names:
            raise click.BadParameter(f"'{name}' is set twice", param_hint="'--set'")
        names.append(name)
    return [dict(zip(names, values, strict=True)) for values in itertools.product(*(values for _, values in sets))]


def called(specs: tuple[str, ...], sets: Iterable[tuple[str, tuple[Number, ...]]], form: str | None) -> dict[str, Any]:
    """The settings that the call itself makes, for `--show-settings`; a constant of a sweep has a list of values."""
    constants = {name: values[0] if len(values) == 1 else list(values) for name, values in sets}
    return {"specs": list(specs), "constants": constants, "format": form}


def sweep_suffix(choice: Mapping[str, Number], swept: Iterable[str]) -> str:
    """What is added to a module's file name in a sweep: `_width_64_depth_2`."""
    parts = [f"_{name}_{str(choice[name]).lower()}" for name in swept]
    return "".join(parts).replace(".", "_").replace("-", "m").replace("+", "")


set_option = click.option(
    "--set",
    "sets",
    multiple=True,
    callback=_constants,
    metavar="NAME=VALUE[,VALUE...]",
    help="Replace a constant that the spec declares; several values make a module each. Repeatable.",
)
format_option = click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    help="How diagnostics are written: for people, as JSON, as annotations of GitHub, as SARIF 2.1.0. [default: text]",
)
quiet_option = click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
only_specs_option = click.option(
    "--only-specs", is_flag=True, help="Pass over files without a `deqc:` key, as is done in folders."
)
config_option = click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False),
    help="Read this deqc.toml or pyproject.toml instead of the nearest one upwards.",
)
show_settings_option = click.option(
    "--show-settings", is_flag=True, help="Print the settings in force and where each is from, and do nothing."
)


def common(command: Command) -> Command:
    """The options of commands that read specs."""
    for option in (quiet_option, format_option, config_option, set_option):
        command = option(command)
    return command
