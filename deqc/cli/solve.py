"""`deqc solve`: runs a model, and shows how well its solver, or others, solve it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from deqc.cli.constants import Constants
from deqc.cli.given import SILENT, Given, compiled, given_options, one_choice, silent_settings, with_torch
from deqc.cli.options import FILE, Number, combinations, common
from deqc.cli.reading import Report, configured
from deqc.diagnostics import Problems

if TYPE_CHECKING:
    from deqc.compiler import Compilation
    from deqc.spec.tree import Mapping as Tree

_OPTION: Final = "--solver"  # the file that diagnostics name where the call's own settings are wrong
EXAMPLES = """\b
Examples:
  deqc solve model.yaml
  deqc solve model.yaml --solver newton,anderson:history=8:damping=0.7
  deqc solve model.yaml --solver newton,anderson --plot curves.svg
  deqc solve model.yaml --input x.npz --weights trained.safetensors
  deqc solve model.yaml --batch 64 --seed 1 --size L=20
  deqc solve model.yaml --format json > solves.json
"""


@click.command(epilog=EXAMPLES)
@click.argument("spec", type=FILE)
@click.option(
    "--solver",
    metavar="METHOD[:OPTION=VALUE...][,...]",
    help="Solve with these instead of the spec's solver, one after the other. Tolerances and other settings that all "
    "methods share stay as in the spec unless set here, as in picard:damping=0.7:max_steps=100.",
)
@given_options
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
    given = Given(inputs, batch, sizes, seed, weights)
    choice = one_choice(combinations(sets))
    settings = configured(config, form)
    report = Report(form or settings.get("format"), quiet, settings.texts)
    chosen = _solvers(solver, report)
    solvers = [] if report.failed else compiled(spec, chosen, report, Constants(settings), choice)
    if report.failed:
        report.finish()
    if report.form != "json":
        report.show()
    from deqc.cli.residuals import Silent, display
    from deqc.cli.solutions import RESIDUAL, TIME_LEFT, Solved, document
    from deqc.emit.render import stop_text

    picture = None
    if plot is not None:
        from deqc.cli.curves import Picture

        picture = Picture(Path(plot))
    running, silent = with_torch("running"), quiet or report.form == "json"
    first = solvers[0][1]
    measure = RESIDUAL if first.plan.solver.time is None else TIME_LEFT
    solved: list[Solved] = []
    try:
        tensors, state = given.made(first.lowered)
        with Silent() if silent else display(_title(solvers, given), [one for one, _ in solvers], measure) as shown:
            for label, one in solvers:
                model = running.make_model(one, state, seed)
                shown.begin(label)
                done = running.run(model, tensors, seed, shown.step)
                solved.append(Solved(label, one.plan.solver.method, stop_text(one.plan.solver.evaluated), done))
                shown.end(solved[-1])
    except running.RunError as fault:
        raise click.UsageError(str(fault)) from None
    if report.form == "json":
        click.echo(document(first, solved, given).encode("utf-8"), nl=False)
    if picture is not None:
        picture.write(first.spec.name, solved)
        if not silent:
            click.echo(f"\n{plot} written")
    if not all(one.run.converged for one in solved):
        raise click.exceptions.Exit(1)


def _solvers(text: str | None, report: Report) -> list[tuple[str, Tree]]:
    """The settings of each solver asked for, by its name; where none is asked for, those of the spec without one."""
    from deqc.spec.overlay import named, with_settings

    if text is None:
        return [("", silent_settings())]
    problems = Problems()
    report.texts[_OPTION] = text
    found: dict[str, Tree] = {}
    column = 1
    for part in text.split(","):
        settings = named(part, _OPTION, column, problems)
        if settings is None or part in found:
            message = f"'{part}' is not of the form METHOD:OPTION=VALUE, every option and every solver once"
            raise click.BadParameter(message, param_hint=f"'{_OPTION}'")
        found[part] = with_settings(settings, SILENT)
        column += len(part) + 1
    report.diagnostics.extend(problems.sorted())
    return list(found.items())


def _title(solvers: list[tuple[str, Compilation]], given: Given) -> str:
    """What is solved, and when it is."""
    from deqc.emit.render import stop_text

    lines = [f"{solvers[0][1].spec.name}, {given}"]
    goals = [stop_text(one.plan.solver.evaluated) for _, one in solvers]
    said = "converged where " if solvers[0][1].plan.solver.time is None else ""
    if len(set(goals)) == 1:
        lines.append(f"{said}{goals[0]}")
    else:
        lines += [f"{label}: {said}{goal}" for (label, _), goal in zip(solvers, goals, strict=True)]
    return "\n".join(lines)
