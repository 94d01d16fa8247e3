"""The command that sorts a folder of pictures."""

from pathlib import Path
from typing import Any

import click

from tensor_guess.commands.options import (
    LEFT_OUT,
    PATH,
    Command,
    asked,
    besides_options,
    classifier,
    classifier_options,
    face_option,
    min_score_option,
)
from tensor_guess.config import REVIEW
from tensor_guess.errors import UserError, shown


@click.command("classify-dir", cls=Command)
@classifier_options
@click.argument("src", type=PATH)
@click.argument("dest", type=PATH)
@min_score_option
@besides_options
@face_option
def classify_dir(
    src: Path,
    dest: Path,
    precision: str | None,
    min_scores: tuple[Any, ...],
    unknown: bool,
    both: bool,
    face: bool,
    **named: Any,
) -> int:
    """Sort copies of all pictures in SRC into DEST.

    Each copy is named <category>-<score>.<ext>. Those below --min-score, and with --both
    those that show two categories, go into DEST/review. With --unknown, those like nothing in
    training are named unknown-<score>.<ext>.
    TF_FILES is a classifier's folder, a frozen graph
    (also another program's), or the word imagenet.
    """
    which = classifier(**named)
    from tensor_guess.sorting import sort as sorting

    done = sorting.sort(which, src, dest, precision, min_scores, asked(unknown, both), faces=face)
    parts = [f"{done.copied} copied to {shown(dest)}"]
    parts += [f"{done.reviewed} of them into {REVIEW}"] if done.reviewed else []
    parts += [f"{done.known} known already"] if done.known else []
    parts += [f"{len(done.left_out)} left out"] if done.left_out else []
    parts += [f"{done.hidden} hidden passed over"] if done.hidden else []
    click.echo(", ".join(parts))
    if done.left_out and not done.copied and not done.known:
        return UserError.exit_code
    return LEFT_OUT if done.left_out else 0


COMMANDS = (classify_dir,)
