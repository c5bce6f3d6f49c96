"""What a model is run with: the options that say where inputs and weights are from, and the model, compiled for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import click

from deqc.cli.constants import Constants
from deqc.cli.options import Command, Number
from deqc.cli.reading import Report
from deqc.diagnostics import Severity, Span

if TYPE_CHECKING:
    from deqc.compiler import Compilation
    from deqc.ir.graph import Program
    from deqc.spec.tree import Mapping as Tree

SILENT: Final[dict[str, str | bool]] = {"on_failure": "ignore", "trace": True}
"""Settings under which the record tells all of a solve, and nothing else does."""

_BATCH: Final = 8  # samples drawn unless asked for more


@dataclass(frozen=True)
class Given:
    """Where inputs and weights are from: a file, or drawn with the seed where there is none."""

    inputs: str | None
    batch: int | None
    sizes: Mapping[str, int]
    seed: int
    weights: str | None

    def __post_init__(self) -> None:
        if self.inputs is not None and (self.batch is not None or self.sizes):
            raise click.UsageError("--batch and --size are for inputs that are drawn, and --input reads them")

    def __str__(self) -> str:
        return f"inputs {self._origin(self.inputs)}, weights {self._origin(self.weights)}"

    def _origin(self, file: str | None) -> str:
        return f"drawn with seed {self.seed}" if file is None else f"of {file}"

    def made(self, program: Program) -> tuple[Any, Any]:
        """Inputs by name, and the state_dict, None where weights are drawn.

        Raises:
            RunError: a file does not fit the program, or sizes do not.
        """
        from deqc import running

        if self.inputs is None:
            inputs = running.random_inputs(program, self.batch or _BATCH, self.sizes, self.seed)
        else:
            inputs = running.read_inputs(program, self.inputs)
        return inputs, None if self.weights is None else running.read_weights(self.weights)


def _sizes(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, int]:
    """`L=20`, a size for each name."""
    found: dict[str, int] = {}
    for value in values:
        name, _, size = value.partition("=")
        if not (name and size.isascii() and size.isdigit() and int(size)) or name in found:
            message = f"'{value}' is not of the form NAME=NUMBER, the number at least 1, each name once"
            raise click.BadParameter(message, context, parameter)
        found[name] = int(size)
    return found


_OPTIONS: Final = (
    click.option(
        "--input",
        "inputs",
        metavar="FILE.npz",
        type=click.Path(exists=True, dir_okay=False),
        help="Read the inputs from there, an array for each by name, instead of drawing them.",
    ),
    click.option("--batch", type=click.IntRange(min=1), help=f"How many samples to draw. [default: {_BATCH}]"),
    click.option(
        "--size",
        "sizes",
        multiple=True,
        callback=_sizes,
        metavar="NAME=NUMBER",
        help="The size of a dimension that is known at the call only, for inputs that are drawn. Repeatable.",
    ),
    click.option(
        "--seed",
        type=click.IntRange(min=0),
        default=0,
        show_default=True,
        help="Of the inputs that are drawn, of the weights, and of random starts.",
    ),
    click.option(
        "--weights",
        metavar="FILE",
        type=click.Path(exists=True, dir_okay=False),
        help="A state_dict: .safetensors, or what torch.save wrote. Without it, weights as the model starts with.",
    ),
)


def given_options(command: Command) -> Command:
    """The options of commands that run a model; what they say makes a `Given`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def silent_settings() -> Tree:
    """`SILENT` as settings of the spec's own solver."""
    from deqc.spec.overlay import with_settings
    from deqc.spec.tree import Mapping as Tree

    return with_settings(Tree((), Span("", 1, 1, 1, 1)), SILENT)


def one_choice(choices: list[dict[str, Number]]) -> dict[str, Number]:
    """The values of constants where there is one choice of them.

    Raises:
        click.UsageError: there are several.
    """
    if len(choices) > 1:
        raise click.UsageError(f"{click.get_current_context().info_name} takes one value for each constant")
    return choices[0]


def with_torch(name: str) -> Any:
    """A module of deqc that runs models.

    Raises:
        click.UsageError: torch is not installed.
    """
    try:
        return import_module(f"deqc.{name}")
    except ImportError:
        command = click.get_current_context().info_name
        raise click.UsageError(f"{command} runs the model, which needs torch: pip install 'deqc[torch]'") from None


def compiled(
    path: str,
    chosen: Iterable[tuple[str, Tree]],
    report: Report,
    constants: Constants,
    given: Mapping[str, Number],
) -> list[tuple[str, Compilation]]:
    """The model with each of these settings of its solver, by their label, or the method where it has none.

    What is wrong is reported; there is nothing for what is.
    """
    from deqc.compiler import compile_text

    found: list[tuple[str, Compilation]] = []
    disabled = frozenset(constants.settings.get("disable"))
    with report.collecting():
        text, file = report.read(path)
        for label, settings in chosen:
            with report.collecting(partial(constants.traced, text=text, file=file, given=given, settings=settings)):
                one = compile_text(text, file, disabled, {**constants.of(text), **given}, settings)
                report.diagnostics.extend(d for d in one.warnings if d.severity is not Severity.NOTE)
                found.append((label or one.plan.solver.method, one))
    report.diagnostics = list(dict.fromkeys(report.diagnostics))
    return found
