"""`deqc solve`: runs a model, and shows how well its solver, or others, solve it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from deqc.cli.constants import Constants
from deqc.cli.options import FILE, Number, combinations, common
from deqc.cli.reading import Report, configured
from deqc.diagnostics import Problems, Severity, Span

if TYPE_CHECKING:
    from deqc.compiler import Compilation
    from deqc.spec.tree import Mapping as Tree

_OPTION: Final = "--solver"  # the file that diagnostics name where the call's own settings are wrong
_ALWAYS: Final[dict[str, str | bool]] = {"on_failure": "ignore", "trace": True}  # every solve is told of in full
_BATCH: Final = 8  # samples drawn unless asked for more
EXAMPLES = """\b
Examples:
  deqc solve model.yaml
  deqc solve model.yaml --solver newton,anderson:history=8:damping=0.7
  deqc solve model.yaml --solver newton,anderson --plot curves.svg
  deqc solve model.yaml --input x.npz --weights trained.safetensors
  deqc solve model.yaml --batch 64 --seed 1 --size L=20
  deqc solve model.yaml --format json > solves.json
"""


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


@click.command(epilog=EXAMPLES)
@click.argument("spec", type=FILE)
@click.option(
    "--solver",
    metavar="METHOD[:OPTION=VALUE...][,...]",
    help="Solve with these instead of the spec's solver, one after the other. Tolerances and other settings that all "
    "methods share stay as in the spec unless set here, as in picard:damping=0.7:max_steps=100.",
)
@click.option(
    "--input",
    "inputs",
    metavar="FILE.npz",
    type=click.Path(exists=True, dir_okay=False),
    help="Read the inputs from there, an array for each by name, instead of drawing them.",
)
@click.option("--batch", type=click.IntRange(min=1), help=f"How many samples to draw. [default: {_BATCH}]")
@click.option(
    "--size",
    "sizes",
    multiple=True,
    callback=_sizes,
    metavar="NAME=NUMBER",
    help="The size of a dimension that is known at the call only, for inputs that are drawn. Repeatable.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Of the inputs that are drawn, of the weights, and of random starts.",
)
@click.option(
    "--weights",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False),
    help="A state_dict: .safetensors, or what torch.save wrote. Without it, weights as the model starts with.",
)
@click.option("--plot", metavar="FILE.svg|png", help="Draw the residual of every sample by step, a panel a solver.")
@common
def solve(
    spec: str,
    solver: str | None,
    inputs: str | None,
    batch: int | None,
    sizes: dict[str, int],
    seed: int,
    weights: str | None,
    plot: str | None,
    config: str | None,
    sets: tuple[tuple[str, tuple[Number, ...]], ...],
    form: str | None,
    quiet: bool,
) -> None:
    """Solves SPEC on a batch and shows steps, cost and the residual, also of several solvers side by side.

    `f` counts evaluations of f on the batch, `products` those with its derivative, of the sample with most.

    Exit status: 0 every sample converged with every solver, 1 one did not (or the spec is wrong), 2 deqc was called
    wrongly.
    """
    if inputs is not None and (batch is not None or sizes):
        raise click.UsageError("--batch and --size are for inputs that are drawn, and --input reads them")
    choices = combinations(sets)
    if len(choices) > 1:
        raise click.UsageError("solve takes one value for each constant")
    settings = configured(config, form)
    report = Report(form or settings.get("format"), quiet, settings.texts)
    compiled = _compiled(spec, solver, report, Constants(settings), choices[0])
    if report.failed:
        report.finish()
    if report.form != "json":
        report.show()
    from deqc.cli.residuals import Silent, display
    from deqc.cli.solutions import Solved, document
    from deqc.emit.render import stop_text

    picture = None
    if plot is not None:
        from deqc.cli.curves import Picture

        picture = Picture(Path(plot))
    running, silent = _running(), quiet or report.form == "json"
    first = compiled[0][1]
    solved: list[Solved] = []
    try:
        if inputs is None:
            given = running.random_inputs(first.lowered, batch or _BATCH, sizes, seed)
        else:
            given = running.read_inputs(first.lowered, inputs)
        state = None if weights is None else running.read_weights(weights)
        with (
            Silent()
            if silent
            else display(_title(compiled, inputs, weights, seed), [one for one, _ in compiled]) as shown
        ):
            for label, one in compiled:
                model = running.make_model(one, state, seed)
                shown.begin(label)
                done = running.run(model, given, seed, shown.step)
                solved.append(Solved(label, one.plan.solver.method, stop_text(one.plan.solver.evaluated), done))
                shown.end(solved[-1])
    except running.RunError as fault:
        raise click.UsageError(str(fault)) from None
    if report.form == "json":
        click.echo(document(first, solved, seed, inputs, weights).encode("utf-8"), nl=False)
    if picture is not None:
        picture.write(first.spec.name, solved)
        if not silent:
            click.echo(f"\n{plot} written")
    if not all(one.run.converged for one in solved):
        raise click.exceptions.Exit(1)


def _compiled(
    path: str, solver: str | None, report: Report, constants: Constants, given: Mapping[str, Number]
) -> list[tuple[str, Compilation]]:
    """The model with each solver, by the name that it was asked for; what is wrong is reported."""
    from deqc.compiler import compile_text

    found: list[tuple[str, Compilation]] = []
    disabled = frozenset(constants.settings.get("disable"))
    chosen = _solvers(solver, report)
    if report.failed:
        return []
    with report.collecting():
        text, file = report.read(path)
        for label, settings in chosen:
            with report.collecting(partial(constants.traced, text=text, file=file, given=given, settings=settings)):
                one = compile_text(text, file, disabled, {**constants.of(text), **given}, settings)
                report.diagnostics.extend(d for d in one.warnings if d.severity is not Severity.NOTE)
                found.append((label or one.plan.solver.method, one))
    report.diagnostics = list(dict.fromkeys(report.diagnostics))
    return found


def _solvers(text: str | None, report: Report) -> list[tuple[str, Tree]]:
    """The settings of each solver asked for, by its name; where none is asked for, those of the spec without one."""
    from deqc.spec.overlay import named, with_settings
    from deqc.spec.tree import Mapping as Tree

    if text is None:
        return [("", with_settings(Tree((), Span(_OPTION, 1, 1, 1, 1)), _ALWAYS))]
    problems = Problems()
    report.texts[_OPTION] = text
    found: dict[str, Tree] = {}
    column = 1
    for part in text.split(","):
        settings = named(part, _OPTION, column, problems)
        if settings is None or part in found:
            message = f"'{part}' is not of the form METHOD:OPTION=VALUE, every option and every solver once"
            raise click.BadParameter(message, param_hint=f"'{_OPTION}'")
        found[part] = with_settings(settings, _ALWAYS)
        column += len(part) + 1
    report.diagnostics.extend(problems.sorted())
    return list(found.items())


def _running() -> Any:
    """What runs models.

    Raises:
        click.UsageError: torch is not installed.
    """
    try:
        from deqc import running
    except ImportError:
        raise click.UsageError("solve runs the model, which needs torch: pip install 'deqc[torch]'") from None
    return running


def _title(compiled: list[tuple[str, Compilation]], inputs: str | None, weights: str | None, seed: int) -> str:
    """What is solved, and when it is."""
    from deqc.emit.render import stop_text

    lines = [f"{compiled[0][1].spec.name}, inputs {_origin(inputs, seed)}, weights {_origin(weights, seed)}"]
    goals = [stop_text(one.plan.solver.evaluated) for _, one in compiled]
    if len(set(goals)) == 1:
        lines.append(f"converged where {goals[0]}")
    else:
        lines += [f"{label}: converged where {goal}" for (label, _), goal in zip(compiled, goals, strict=True)]
    return "\n".join(lines)


def _origin(file: str | None, seed: int) -> str:
    return f"drawn with seed {seed}" if file is None else f"of {file}"
