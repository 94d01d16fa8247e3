"""The commands that make a machine ready: its shell, and itself as a worker."""

from importlib.resources import files
from pathlib import Path

import click

from tensor_guess.commands.options import PATH_OR_STORE, Command, tls_option
from tensor_guess.errors import WrongUsage, shown

SHELLS = ("bash", "zsh", "fish")


@click.command(cls=Command)
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print the completions for SHELL: bash, zsh or fish.

    Have the shell read them when it starts, as in `source <(tensor-guess completion bash)`.
    """
    script = files("tensor_guess") / "completions" / f"tensor-guess.{shell}"
    click.echo(script.read_text("utf-8"), nl=False)


@click.command(cls=Command)
@click.argument("address")
@click.argument("folder", type=PATH_OR_STORE, nargs=-1)
@tls_option
def worker(address: str, folder: tuple[Path, ...], tls: Path | None) -> int:
    """Do tasks for the Dask scheduler at ADDRESS, until stopped (Ctrl-C).

    FOLDER is what the tasks need, under the path that it has on all machines: TF_FILES for train,
    SRC and DEST for classify-dir. In a container, the worker sees nothing else. For s3://, the
    worker needs AWS_* variables of its own.
    Whoever can connect to the scheduler or to this worker can run programs as this user. With
    tcp://, that is everybody on the network; with tls://, only who has a certificate (--tls).
    """
    from tensor_guess.spreading import worker as working
    from tensor_guess.spreading.machines import Machines

    for each in folder:
        if not each.is_dir():
            raise WrongUsage(f"there is no folder {shown(each)}")
    return working.serve(Machines(address, tls=tls))
