"""The command `deqc`; each subcommand has a file of its own, read when it is asked for; the compiler when it runs."""

from __future__ import annotations

from importlib import import_module
from typing import Final

import click

from deqc.version import __version__

COMMANDS: Final = {
    "check": "check",
    "compile": "compile_",
    "completion": "completion",
    "diff": "diff",
    "explain": "explain",
    "fmt": "fmt",
    "graph": "graph",
    "init": "init",
    "schema": "schema",
    "solve": "solve",
    "verify": "verify",
}
"""Every subcommand, which is also the name of its file, and its function there."""

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


class _Commands(click.Group):
    """A group that reads the file of a subcommand when it is asked for: most calls need one of them."""

    def list_commands(self, _: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, _: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"deqc.cli.{name}"), COMMANDS[name])
        return command


EXAMPLES = """\b
Examples:
  deqc check model.yaml      every mistake at once, with line, column and a hint
  deqc compile model.yaml    writes the module beside the spec
  deqc COMMAND --help        more examples
"""


@click.group(
    cls=_Commands,
    epilog=EXAMPLES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--version", is_flag=True, expose_value=False, is_eager=True, callback=_versions, help="Show versions and end."
)
def deqc() -> None:
    """Compiles YAML specs of deep equilibrium models to standalone PyTorch modules.

    Exit status: 0 all is well, 1 a spec is wrong or an output is stale, 2 deqc was called wrongly, 3 a fault of deqc.
    """
