"""The program: all its commands, and how it ends."""

import os
import signal
import sys
from types import FrameType
from typing import NoReturn

import click

from tensor_guess import __version__
from tensor_guess.commands.backbones import (
    fetch,
    fetch_classifier,
    fetch_into,
    fetch_modules,
    freeze_module,
    list_backbones,
)
from tensor_guess.commands.doctor import doctor
from tensor_guess.commands.evaluate import evaluate, study
from tensor_guess.commands.faces import collect_faces
from tensor_guess.commands.graphs import export, inspect, merge, share, verify
from tensor_guess.commands.guess import fetch_images, guess
from tensor_guess.commands.heap import heap
from tensor_guess.commands.machine import completion, worker
from tensor_guess.commands.options import Context
from tensor_guess.commands.serve import serve
from tensor_guess.commands.sort import classify_dir, undo
from tensor_guess.commands.train import fine_tune, train
from tensor_guess.errors import UserError, reason_of, shown, words_of
from tensor_guess.system import container, progress

# What one wants to do, and the commands that do it, in the order of the help.
GROUPS = {
    "Teach": (train, doctor, heap, collect_faces, fetch_images),
    "Use": (guess, classify_dir, undo, serve),
    "Look": (evaluate, study, inspect),
    "Share": (share, verify, merge, export),
    "Set up": (list_backbones, fetch, fetch_modules, fetch_classifier, worker, completion),
}
# What the program starts as a process of its own.
_HIDDEN = (fetch_into, freeze_module, fine_tune)


class _Grouped(click.Group):
    context_class = Context

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        longest = max(len(each.name or "") for group in GROUPS.values() for each in group)
        for title, group in GROUPS.items():
            width = formatter.width - longest - 6
            with formatter.section(title):
                rows = [
                    (f"{each.name:{longest}}", each.get_short_help_str(width)) for each in group
                ]
                formatter.write_dl(rows)


@click.group(cls=_Grouped, context_settings={"max_content_width": 100})
@click.version_option(__version__, message="%(prog)s %(version)s")
def cli() -> None:
    """Train a picture classifier from a folder per category, and use it."""


for group in (*GROUPS.values(), _HIDDEN):
    for each in group:
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
        colours = None if progress.has_colours(sys.stdout) else False
        sys.exit(cli.main(prog_name="tensor-guess", standalone_mode=False, color=colours))
    except UserError as error:
        _fail(str(error), error)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except OSError as error:
        # It can happen anywhere: a folder that cannot be searched, a disk that fails.
        where = (
            f"could not use {shown(os.fsdecode(error.filename))}" if error.filename else "failed"
        )
        _fail(f"{where}: {reason_of(error)}", error)
    except (KeyboardInterrupt, click.Abort):
        sys.exit(130)
    except Exception:
        if not _interrupted:  # a library may turn Ctrl-C into an error of its own
            raise
        sys.exit(130)


def _fail(sentence: str, error: Exception) -> NoReturn:
    """Print why the program ends; with --verbose, also what that was caused by."""
    cause = error.__cause__
    while cause:
        if str(cause):
            progress.detail(f"caused by {type(cause).__name__}: {words_of(cause)}")
        cause = cause.__cause__
    name = progress.painted("tensor-guess:", progress.RED, sys.stderr)
    print(f"{name} {sentence}", file=sys.stderr, flush=True)
    sys.exit(error.exit_code if isinstance(error, UserError) else UserError.exit_code)
