"""The command `deqc`; each subcommand has a file of its own and imports the compiler only when it runs."""

from __future__ import annotations

import click

from deqc.cli.check import check
from deqc.cli.compile import compile_
from deqc.cli.completion import completion
from deqc.cli.diff import diff
from deqc.cli.explain import explain
from deqc.cli.fmt import fmt
from deqc.cli.graph import graph
from deqc.cli.init import init
from deqc.cli.schema import schema
from deqc.version import __version__

_BESIDE = ("torch", "PyYAML", "jsonschema", "Jinja2", "click")  # whose versions may matter in a report


def _versions(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    """Prints the version of deqc, and of what it stands on here."""
    if not wanted or context.resilient_parsing:
        return
    import platform
    from importlib.metadata import PackageNotFoundError, version

    click.echo(f"deqc {__version__}\nPython {platform.python_version()}")
    for name in _BESIDE:
        try:
            click.echo(f"{name} {version(name)}")
        except PackageNotFoundError:
            click.echo(f"{name} is not installed")
    context.exit()


EXAMPLES = """\b
Examples:
  deqc check model.yaml      every mistake at once, with line, column and a hint
  deqc compile model.yaml    writes the module beside the spec
  deqc COMMAND --help        more examples
"""


@click.group(epilog=EXAMPLES, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--version", is_flag=True, expose_value=False, is_eager=True, callback=_versions, help="Show versions and end."
)
def deqc() -> None:
    """Compiles YAML specs of deep equilibrium models to standalone PyTorch modules.

    Exit status: 0 all is well, 1 a spec is wrong or an output is stale, 2 deqc was called wrongly, 3 a fault of deqc.
    """


for command in (compile_, check, completion, diff, explain, fmt, graph, init, schema):
    deqc.add_command(command)
