"""The command that groups a heap of unlabelled pictures."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tensor_guess.commands.options import LEFT_OUT, PATH, Command, at_least
from tensor_guess.config import (
    CONTACT_SHEET,
    DEFAULT_BACKBONES,
    FLOAT32,
    OUTLIERS,
    PRECISIONS,
)
from tensor_guess.errors import counted, shown
from tensor_guess.system import progress

if TYPE_CHECKING:
    from tensor_guess.grouping.group import Grouped


@click.command(cls=Command)
@click.argument("src", type=PATH)
@click.argument("dest", type=PATH)
@click.option(
    "--groups",
    type=click.IntRange(1, 1000),
    help="How many groups to make.  [default: more for more pictures, up to 30]",
)
@click.option(
    "--choose",
    type=at_least(0),
    default=0,
    help="Name so many pictures to label first, and mark them in the sheet.",
)
@click.option("--backbone", help=f"The pretrained network.  [default: {DEFAULT_BACKBONES[0]}]")
@click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    default=FLOAT32,
    show_default=True,
    help="Precision to compute in.",
)
@click.option("--offline", is_flag=True, help="Never use the internet.")
def heap(
    src: Path,
    dest: Path,
    groups: int | None,
    choose: int,
    backbone: str | None,
    precision: str,
    offline: bool,
) -> int:
    """Group unlabelled pictures by what they look like.

    They are those in SRC. DEST, a new folder, gets a folder of copies for each group, the most
    typical first, and a contact sheet, which is a page. Rename the folders and move them into
    TF_FILES/data to train on them. `undo DEST` takes the copies back.
    """
    from tensor_guess.grouping import group as grouping

    wanted = grouping.Wanted(groups, choose, backbone, precision, offline)
    done = grouping.group(src, dest, wanted)
    click.echo("\n".join(_lines(done, dest, backbone)))
    if done.instead:
        progress.warn(done.instead)
    return LEFT_OUT if done.left_out else 0


def _lines(done: "Grouped", dest: Path, backbone: str | None) -> Iterator[str]:
    folders = [name for name in done.counts if name != OUTLIERS]
    total = sum(done.counts[name] for name in folders)
    parts = [f"{counted(total, 'picture')} in {counted(len(folders), 'group')} in {shown(dest)}"]
    near_none = done.counts.get(OUTLIERS, 0)
    parts += [f"{near_none} near nothing in {OUTLIERS}"] if near_none else []
    parts += [f"{done.same} the same as another"] if done.same else []
    parts += [f"{len(done.left_out)} left out"] if done.left_out else []
    parts += [f"{done.hidden} hidden passed over"] if done.hidden else []
    yield ", ".join(parts)
    for name in folders:
        yield f"{name:<10} {done.counts[name]:>6}"
    if done.chosen:
        yield "label these first:"
        yield from (f"  {shown(os.path.join(dest, name))}" for name in done.chosen)
    yield f"look at {shown(dest / CONTACT_SHEET)}"
    with_it = f" --backbone {shown(backbone)}" if backbone else ""
    yield (
        "to train on them, rename the folders by what they show and move them into TF_FILES/data; "
        f"if that is {shown(dest / 'data')}, `train.sh {shown(dest)}{with_it}` computes nothing "
        "again"
    )
