"""The program: all its commands, and how it ends."""

import os
import signal
import sys
from types import FrameType

import click

from tensor_guess.commands import (
    backbones,
    doctor,
    evaluate,
    faces,
    graphs,
    guess,
    heap,
    sort,
    study,
    train,
)
from tensor_guess.errors import UserError, reason_of, shown
from tensor_guess.system import container, progress


@click.group(context_settings={"max_content_width": 100})
def cli() -> None:
    """Train a picture classifier from a folder per category, and use it."""


for module in (backbones, doctor, evaluate, faces, graphs, guess, heap, sort, study, train):
    for each in module.COMMANDS:
        cli.add_command(each)


_interrupted = False


def program() -> None:
    """Run `main`; from now on Ctrl-C ends the process soon, whatever is at work."""
    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
        signal.signal(signal.SIGINT, _interrupt)
    try:
        main()
    except SystemExit as end:
        if isinstance(end.code, int) and end.code > 128:
            os._exit(end.code)  # to free everything in order takes seconds on a busy machine
        raise


def _interrupt(number: int, frame: FrameType | None) -> None:
    global _interrupted
    _interrupted = True
    progress.end_soon(128 + number)
    raise KeyboardInterrupt


def main() -> None:
    """Run the command in sys.argv, and exit with its code; never show a traceback for UserError."""
    try:
        container.enter()
        sys.exit(cli.main(prog_name="tensor-guess", standalone_mode=False))
    except UserError as error:
        click.echo(f"tensor-guess: {error}", err=True)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except OSError as error:
        # It can happen anywhere: a folder that cannot be searched, a disk that fails.
        where = (
            f"could not use {shown(os.fsdecode(error.filename))}" if error.filename else "failed"
        )
        click.echo(f"tensor-guess: {where}: {reason_of(error)}", err=True)
        sys.exit(UserError.exit_code)
    except (KeyboardInterrupt, click.Abort):
        sys.exit(130)
    except Exception:
        if not _interrupted:  # a library may turn Ctrl-C into an error of its own
            raise
        sys.exit(130)
