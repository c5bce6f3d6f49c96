"""`deqc completion`: the script by which a shell completes commands, options and files."""

from __future__ import annotations

import click

EXAMPLES = """\b
Examples:
  eval "$(deqc completion bash)"                              in ~/.bashrc
  eval "$(deqc completion zsh)"                               in ~/.zshrc
  deqc completion fish > ~/.config/fish/completions/deqc.fish
"""


@click.command(epilog=EXAMPLES)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Prints the script by which SHELL completes deqc's commands, options and files."""
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None, "the choice holds those that click knows"
    script = kind(context.find_root().command, {}, "deqc", "_DEQC_COMPLETE")
    click.echo(script.source_template % script.source_vars())
