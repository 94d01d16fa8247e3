"""The command that examines pictures: doctor."""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from tensor_guess.commands.options import LEFT_OUT, PATH, Command
from tensor_guess.config import JOURNAL, NOT_DUPLICATES, SET_ASIDE
from tensor_guess.errors import WrongUsage, counted, shown
from tensor_guess.system import progress

_MOST = 10  # lines of each subject


@click.command(cls=Command)
@click.argument("tf_files", type=PATH)
@click.argument("picture", type=PATH, nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, with everything.")
@click.option("--fix", is_flag=True, help=f"Move what can be spared to TF_FILES/{SET_ASIDE}.")
@click.option("--undo", is_flag=True, help="Move back what the last --fix moved.")
@click.option(
    "--not-duplicates", is_flag=True, help="Remember that the PICTUREs are no duplicates."
)
def doctor(
    tf_files: Path,
    picture: tuple[Path, ...],
    as_json: bool,
    fix: bool,
    undo: bool,
    not_duplicates: bool,
) -> int:
    """Find what is wrong with the pictures in TF_FILES/data.

    It names unreadable files, duplicates, tiny and huge pictures, labels that may be wrong, and
    pictures unlike all training pictures. Nothing is deleted; without --fix, nothing is moved.
    """
    if fix + undo + not_duplicates > 1 or (as_json and (undo or not_duplicates)):
        raise click.UsageError("--fix, --undo and --not-duplicates do not go together")
    if bool(picture) != not_duplicates:
        raise click.UsageError("PICTURE and --not-duplicates go together")
    if not tf_files.is_dir():
        raise WrongUsage(f"there is no folder {shown(tf_files)}")
    if undo:
        return _undo(tf_files)
    if not_duplicates:
        return _remember(tf_files, picture)
    from tensor_guess.training.doctor import examine

    examined = examine(tf_files)
    found = examined.findings
    if as_json:
        done = examined.fix() if fix else None
        moved = {"set_aside": done.count} if done else {}
        click.echo(json.dumps({**asdict(found), "uneven": found.uneven, **moved}, default=_text))
    else:
        click.echo("\n".join(_report(found)))
        spare = sum(1 for _ in examined.spares())
        if not fix and spare:
            click.echo(
                f"--fix would move {counted(spare, 'file')} to {shown(tf_files / SET_ASIDE)}; "
                "--undo brings them back"
            )
        done = examined.fix() if fix and spare else None
        if fix:
            count = done.count if done else 0
            click.echo(f"{counted(count, 'file')} moved to {shown(tf_files / SET_ASIDE)}")
    for left in done.left if done else ():
        progress.warn(f"not moved: {shown(left.path)} {left.reason}")
    return LEFT_OUT if done and done.left else 0


def _undo(tf_files: Path) -> int:
    from tensor_guess.training.set_aside import bring_back

    done = bring_back(tf_files)
    for left in done.left:
        progress.warn(f"not moved back: {shown(left.path)} {left.reason}")
    earlier = f"; --undo again brings back {done.earlier} more" if done.earlier else ""
    click.echo(f"{counted(done.count, 'file')} moved back ({JOURNAL}){earlier}")
    return LEFT_OUT if done.left else 0


def _remember(tf_files: Path, pictures: Sequence[Path]) -> int:
    from tensor_guess.training.not_duplicates import add

    count = add(tf_files, pictures)
    click.echo(f"{counted(count, 'pair')} added to {shown(tf_files / NOT_DUPLICATES)}")
    return 0


def _text(value: object) -> str:
    return os.fspath(value) if isinstance(value, os.PathLike) else str(value)


def _report(found: Any) -> Iterator[str]:
    """Yield the lines to print, by subject."""
    total = sum(sum(each.values()) for each in found.counts.values())
    yield f"pictures: {total} in {len(found.counts)} categories"
    sizes = sorted(found.counts.items(), key=lambda item: sum(item[1].values()))
    yield from _some(
        [
            f"{shown(name)}: {sum(parts.values())} "
            f"({', '.join(f'{count} {part}' for part, count in parts.items())})"
            for name, parts in sizes
        ]
    )
    from tensor_guess.training.doctor import UNEVEN

    if found.uneven >= UNEVEN:
        yield f"uneven: the largest category has {found.uneven:.1f} times the smallest's pictures"
    subjects = (
        ("files that cannot be read", [f"{shown(e.path)}: {e.reason}" for e in found.unreadable]),
        ("pictures in several categories, not trained on", list(map(_paths, found.contradicting))),
        ("near copies in several categories: is a label wrong?", list(map(_group, found.across))),
        (
            "labels that may be wrong",
            [
                f"{shown(e.path)}: is it {shown(e.looks_like)}? "
                f"(score of {shown(e.category)} = {e.score:.2f})"
                for e in found.suspects
            ],
        ),
        (
            "looks that are missing: add pictures like these to training",
            [
                f"{shown(e.path)} ({e.split}): the nearest {shown(e.category)} in training has a "
                f"likeness of {e.likeness:.2f}; usual is {e.usual:.2f} or more"
                for e in found.missing
            ],
        ),
        ("exact duplicates in a category", list(map(_paths, found.exact))),
        ("near copies in a category", list(map(_group, found.near))),
        (f"pictures smaller than the network's {found.input_size} pixels", _sizes(found.tiny)),
        ("pictures of more than 50 megapixels, which take long", _sizes(found.huge)),
    )
    for heading, lines in subjects:
        if lines:
            yield f"{heading}: {len(lines)}"
            yield from _some(lines)
    if found.uneven < UNEVEN and not any(lines for _, lines in subjects):
        yield "nothing wrong was found"


def _some(lines: Sequence[str]) -> Iterator[str]:
    yield from (f"  {line}" for line in lines[:_MOST])
    if len(lines) > _MOST:
        yield f"  and {len(lines) - _MOST} more (--json prints all)"


def _paths(paths: Sequence[Path]) -> str:
    more = f" and {len(paths) - 4} more" if len(paths) > 4 else ""
    return ", ".join(shown(path) for path in paths[:4]) + more


def _group(pictures: Sequence[Any]) -> str:
    more = f" and {len(pictures) - 4} more" if len(pictures) > 4 else ""
    return ", ".join(f"{shown(each.path)} ({each.split})" for each in pictures[:4]) + more


def _sizes(pictures: Sequence[Any]) -> list[str]:
    return [f"{shown(each.path)}: {each.width} x {each.height}" for each in pictures]
