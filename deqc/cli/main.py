"""The command `deqc`; each subcommand has a file of its own and imports the compiler only when it runs."""

from __future__ import annotations

import click

from deqc.cli.check import check
from deqc.cli.compile import compile_
from deqc.cli.diff import diff
from deqc.cli.explain import explain
from deqc.cli.fmt import fmt
from deqc.cli.init import init
from deqc.cli.schema import schema
from deqc.version import __version__


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="deqc", message="%(prog)s %(version)s")
def deqc() -> None:
    """Compiles YAML specs of deep equilibrium models to standalone PyTorch modules.

    Exit status: 0 all is well, 1 a spec is wrong or an output is stale, 2 deqc was called wrongly, 3 a fault of deqc.
    """


for command in (compile_, check, diff, explain, fmt, init, schema):
    deqc.add_command(command)
