"""Move pictures aside, and back again: nothing is deleted, and nothing overwritten.

    TF_FILES/set_aside/<category>/...   the pictures, under their own names
    TF_FILES/set_aside.jsonl            the journal: a line before each move, never rewritten

A kill at any moment leaves each picture whole, where it was or where the journal says.
"""

import os
import secrets
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tensor_guess.config import JOURNAL, SET_ASIDE
from tensor_guess.errors import Unreadable, UserError, shown
from tensor_guess.images.files import LeftOut
from tensor_guess.system import reading
from tensor_guess.system.durable import Journal, is_same, make_folder_in, move
from tensor_guess.system.reading import real

_MAX_FILE = 1 << 42


@dataclass(frozen=True)
class Spare:
    """A file to set aside: its place below `set_aside`, its SHA-256 if known, and why."""

    path: Path
    place: Path
    sha256: bytes | None
    reason: str


@dataclass(frozen=True)
class _Moved:
    """A line of the journal; both paths are relative to TF_FILES."""

    path: Path
    to: Path
    sha256: str


@dataclass(frozen=True)
class Done:
    """How many files were moved, and which were not, with the reason."""

    count: int
    left: tuple[LeftOut, ...]
    earlier: int = 0  # how many files an earlier run has set aside that can be brought back too


def can_move(path: Path, tf_files: Path) -> bool:
    """Return whether the file is a regular one inside TF_FILES, by no link."""
    try:
        regular = stat.S_ISREG(os.lstat(path).st_mode)
    except OSError:
        return False
    root = real(tf_files)
    inside = real(path.parent).is_relative_to(root) and not reading.leaves(path, tf_files)
    return regular and inside and not real(path).is_relative_to(root / SET_ASIDE)


def set_aside(tf_files: Path, spares: Iterable[Spare]) -> Done:
    """Move the files to TF_FILES/set_aside, each after its line in the journal.

    One that has changed, or may not be moved, is left. Raise UserError if the system refuses.
    """
    root, moved, left = real(tf_files), 0, []
    with _journal(root) as journal:
        _open_runs(journal)
        journal.add(sync=True, fix=secrets.token_hex(8))
        for spare in spares:
            try:
                to = _set_aside(root, spare, journal)
            except Unreadable as error:
                left.append(LeftOut(spare.path, str(error)))
            else:
                moved += to
    return Done(moved, tuple(left))


def bring_back(tf_files: Path) -> Done:
    """Undo the last `set_aside` that is not undone: move its files back.

    What has changed since is left where it is, with the reason. Raise UserError if nothing was set
    aside, or if the system refuses.
    """
    root, moved, left = real(tf_files), 0, []
    if not os.path.lexists(root / JOURNAL):
        raise UserError(f"nothing was set aside in {shown(tf_files)}: there is no {JOURNAL}")
    with _journal(root) as journal:
        runs = _open_runs(journal)
        if not runs:
            raise UserError(f"nothing is set aside in {shown(tf_files)} any more")
        for each in reversed(runs[-1]):
            try:
                moved += _bring_back(root, each)
            except Unreadable as error:
                left.append(LeftOut(root / each.to, str(error)))
            journal.add(sync=True, back=os.fspath(each.to))
        return Done(moved, tuple(left), sum(map(len, runs[:-1])))


def _set_aside(root: Path, spare: Spare, journal: Journal) -> int:
    if not can_move(spare.path, root):
        raise Unreadable("is a link, or outside of the folder")
    digest = reading.sha256(spare.path, _MAX_FILE, follow=False)
    if spare.sha256 not in (None, digest):
        raise Unreadable("was changed meanwhile")
    to = root / SET_ASIDE / spare.place
    if real(to.parent) != to.parent:
        raise UserError(f"{shown(to.parent)} leads elsewhere; remove the link in it")
    make_folder_in(root, to.parent)
    number = 1
    # A killed run may have given it the name already.
    while os.path.lexists(to) and not is_same(spare.path, to):
        number += 1
        to = to.with_name(f"{spare.place.stem}-{number}{spare.place.suffix}")
    journal.add(
        sync=True,
        **{"from": os.fspath(real(spare.path).relative_to(root))},
        to=os.fspath(to.relative_to(root)),
        sha256=digest.hex(),
        reason=spare.reason,
    )
    _move(spare.path, to)
    return 1


def _bring_back(root: Path, moved: _Moved) -> int:
    """Move the file back, and return 1; 0 if it never left. Raise Unreadable if that is wrong."""
    path, aside = root / moved.path, root / moved.to
    if reading.leaves(path.parent, root) or reading.leaves(aside.parent, root):
        raise Unreadable(f"stays there: {shown(path.parent)} {reading.LEAVES}")
    if _digest(path) == moved.sha256 and (is_same(path, aside) or not os.path.lexists(aside)):
        if os.path.lexists(aside):
            _move(aside, path)
        return 0
    if not os.path.lexists(aside):
        raise Unreadable("is gone")
    if _digest(aside) != moved.sha256:
        raise Unreadable("was changed since; it stays there")
    if os.path.lexists(path):
        raise Unreadable(f"stays there: there is another {shown(path)} now")
    make_folder_in(root, path.parent)
    _move(aside, path)
    return 1


def _move(path: Path, to: Path) -> None:
    try:
        move(path, to)
    except FileExistsError as error:
        raise Unreadable(f"stays there: {shown(to)} has just appeared") from error


@contextmanager
def _journal(root: Path) -> Iterator[Journal]:
    with Journal(root / JOURNAL) as journal:
        journal.sync_name()
        yield journal


def _digest(path: Path) -> str | None:
    try:
        return reading.sha256(path, _MAX_FILE, follow=False).hex()
    except Unreadable:
        return None


def _open_runs(journal: Journal) -> list[list[_Moved]]:
    """Return the moves of each run that are not undone, runs and moves in their order."""
    runs: list[list[_Moved]] = []
    for values in journal.lines():
        try:
            _check(values)
        except (TypeError, ValueError):
            continue
        if "fix" in values:
            runs.append([])
        elif "back" in values:
            back = Path(values["back"])
            for run in reversed(runs):
                if any(each.to == back for each in run):
                    run[:] = [each for each in run if each.to != back]
                    break
        elif runs:
            runs[-1].append(_moved(values))
    return [run for run in runs if run]


def _check(values: dict[str, Any]) -> None:
    """Raise TypeError or ValueError if no run of ours writes such a line."""
    if not all(isinstance(each, str) for each in values.values()):
        raise TypeError
    if not values.keys() & {"fix", "back"}:
        _moved(values)


def _moved(values: dict[str, str]) -> _Moved:
    path, to, digest = (values.get(key, "") for key in ("from", "to", "sha256"))
    for each in (path, to):
        if not each or "\0" in each or Path(each).is_absolute() or ".." in Path(each).parts:
            raise ValueError
    if Path(to).parts[0] != SET_ASIDE or Path(path).parts[0] == SET_ASIDE:
        raise ValueError
    return _Moved(Path(path), Path(to), digest)
