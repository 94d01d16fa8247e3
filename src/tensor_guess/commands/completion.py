"""The command that prints what a shell needs to complete the others."""

from importlib.resources import files

import click

from tensor_guess.commands.options import Command

SHELLS = ("bash", "zsh", "fish")


@click.command(cls=Command)
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print the completions for SHELL: bash, zsh or fish.

    Have the shell read them when it starts, as in `source <(tensor-guess completion bash)`.
    """
    script = files("tensor_guess") / "completions" / f"tensor-guess.{shell}"
    click.echo(script.read_text("utf-8"), nl=False)
