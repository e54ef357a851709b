"""`roost completion`: a script that teaches the shell our commands and flags."""

import click
from click.shell_completion import get_completion_class

SHELLS = ("bash", "zsh", "fish")


@click.command(
    epilog="""\b
bash:  echo 'eval "$(roost completion bash)"' >> ~/.bashrc
zsh:   echo 'eval "$(roost completion zsh)"' >> ~/.zshrc
fish:  roost completion fish > ~/.config/fish/completions/roost.fish
"""
)
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print a completion script for your shell."""
    script = get_completion_class(shell)
    assert script is not None
    click.echo(script(ctx.find_root().command, {}, "roost", "_ROOST_COMPLETE").source())
