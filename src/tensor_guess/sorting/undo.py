"""Undo a run of sorting: what it brought to DEST goes, and what it moved is back in SRC.

The manifest says what is to be done. A batch is announced there, then done, then told; so a kill at
any moment leaves what the next `undo` can complete.
"""

import errno
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePath

from tensor_guess.config import MANIFEST, MOVE, SYMLINK
from tensor_guess.errors import Unreadable, UserError, WrongUsage, shown
from tensor_guess.images.files import LeftOut
from tensor_guess.sorting.manifest import (
    Begun,
    Ended,
    Entry,
    Event,
    Made,
    Run,
    Told,
    Undoing,
    Undone,
    Wrote,
    read,
)
from tensor_guess.sorting.staging import Moved, Staging, Stays, digest, sha256_of, take_away
from tensor_guess.system import reading
from tensor_guess.system.durable import (
    Journal,
    Staged,
    is_same,
    make_folder_in,
    remove,
    sweep,
    sync_folder,
    turn,
)
from tensor_guess.system.reading import real

_BATCH = 32  # units that share their syncs
# Errors of a folder that something is in, or that may not be removed.
_STAYS = {errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT, errno.EBUSY, errno.EACCES, errno.EPERM}


@dataclass(frozen=True)
class Taken:
    """What an `undo` did: of which run, how many pictures went, and what was left, with the reason.

    `earlier`: how many runs can still be undone. `companions`: how many files went with the
    pictures.
    """

    run: str
    count: int
    left: tuple[LeftOut, ...]
    earlier: int
    companions: int = 0


class _Left(Exception):
    """A unit is left where it is, because of this file; `ours`: a later `undo` may try again."""

    def __init__(self, reason: str, entry: Entry, *, ours: bool = False) -> None:
        super().__init__(reason)
        self.entry, self.ours = entry, ours


def _left(unit: Sequence[Entry], error: _Left) -> dict[str, str]:
    """Return why each file of a unit is left, by its path in DEST."""
    at = error.entry.name
    reason = f"stays with {shown(os.path.basename(at))}"
    return {entry.name: str(error) if entry.name == at else reason for entry in unit}


def undo(destination: Path, source: Path | None = None, run: str | None = None) -> Taken:
    """Undo the last run that is not undone, or the one named `run`; return what was done.

    Nothing is overwritten, and no link is followed out of the folders. What has changed since stays
    and is named; so does a copy whose original is gone, because it is the only one. If one file of
    a unit stays, all of them do. `source`: the
    folder that the pictures came from, wherever it is now; needed if they were moved.

    Raise WrongUsage if a folder is none, the run is not known, or `source` is needed. Raise
    UserError if nothing can be undone, or the system refuses.
    """
    for folder in filter(None, (destination, source)):
        if not folder.is_dir():
            raise WrongUsage(f"there is no folder {shown(folder)}")
    root = real(destination)
    if not os.path.lexists(root / MANIFEST):
        raise UserError(f"nothing was sorted into {shown(destination)}: it has no {MANIFEST}")
    with turn(root), Journal(root / MANIFEST, make=False) as journal:
        runs = _Runs(read(journal))
        name = runs.choose(destination, run)
        found = _Entries(read(journal, quiet=True), name, runs.owner)
        origins = _origins(found.headers, root, source)
        _check_origins(destination, source, found, origins)
        undoing = _Undoing(root, origins, journal, found)
        left = tuple(undoing.undo())
        undoing.tidy(found.made | found.above() & runs.made)
        journal.add(ended=name)
    earlier = sum(each != name for each in runs.open())
    return Taken(name, undoing.count, left, earlier, undoing.companions)


class _Runs:
    """Which run each picture in DEST belongs to, and which folders there were made by any."""

    def __init__(self, events: Iterator[Event]) -> None:
        self.owner = dict[str, str]()  # path in DEST -> run
        self.made = set[str]()
        self._known = dict[str, None]()
        # What a killed run or undo left may be half-written, untold, or an empty folder.
        self._unended = set[str]()
        told = set[str]()
        for event in events:
            match event:
                case Run(run=run):
                    self._known[run] = None
                    if event.tells_end:
                        self._unended.add(run)
                case Undoing(run=run):
                    self._unended.add(run)
                case Ended(run=run):
                    self._unended.discard(run)
                case Begun(run=run, entries=entries):
                    for each in entries:
                        if each.name not in told:
                            self.owner[each.name] = run
                case Told(run=run, entry=entry):
                    self.owner[entry.name] = run
                    told.add(entry.name)
                case Undone(names=names):
                    for name in names:
                        self.owner.pop(name, None)
                    told.difference_update(names)
                case Made(folder=folder):
                    self.made.add(folder)

    def open(self) -> list[str]:
        """Return the runs that have something to undo, in their order."""
        having = {*self.owner.values(), *self._unended}
        return [run for run in self._known if run in having]

    def choose(self, destination: Path, run: str | None) -> str:
        """Return the run to undo."""
        if run and run not in self._known:
            names = ", ".join(list(self._known)[-5:])
            raise WrongUsage(f"{shown(destination)} has no run {shown(run)}; the last are {names}")
        runs = self.open()
        if not runs or (run and run not in runs):
            what = f"run {run}" if run else "every run"
            raise UserError(f"nothing to undo in {shown(destination)}: {what} is undone already")
        return run or runs[-1]


class _Entries:
    """The pictures of a run that are not undone: path in DEST -> entry.

    `sure`: those that were told; the others may be there or not. `begun`: those that an earlier
    `undo` has begun with. `made`: the folders that the run made. `results`: the files
    for other programs, with the SHA-256 that they had last.
    """

    def __init__(self, events: Iterator[Event], run: str, owner: Mapping[str, str]) -> None:
        self.run = run
        self.headers: list[Run] = []
        self.entries = dict[str, Entry]()
        self.sure = set[str]()
        self.begun = set[str]()
        self.made = set[str]()
        self.results = dict[str, str]()
        for event in events:
            match event:
                case Wrote(names=names):
                    self.results.update(names)
                case Made(folder=folder) if event.run == run:
                    self.made.add(folder)
                case Run() if event.run == run:
                    self.headers.append(event)
                case Begun(entries=entries) if event.run == run:
                    for each in entries:
                        self.entries.setdefault(each.name, each)
                case Told(entry=entry) if event.run == run:
                    self.entries[entry.name] = entry
                    self.sure.add(entry.name)
                case Undoing(names=names) if event.run == run:
                    self.begun.update(names)
                case Undone(names=names) if event.run == run:
                    for name in names:
                        self.entries.pop(name, None)
                    self.sure.difference_update(names)
                    self.begun.difference_update(names)
        self.entries = {n: each for n, each in self.entries.items() if owner.get(n) == run}

    def units(self) -> list[list[Entry]]:
        """Return them, the last first: each picture with its companions after it."""
        found = dict[str, list[Entry]]()
        for entry in self.entries.values():
            found.setdefault(entry.unit, []).append(entry)
        for unit in found.values():
            unit.sort(key=lambda entry: entry.name != entry.unit)
        return list(reversed(found.values()))

    def above(self) -> set[str]:
        """Return the folders that the pictures are in, and those above them."""
        return {os.fspath(each) for name in self.entries for each in PurePath(name).parents}

    def moved(self) -> bool:
        """Return whether any of them was moved."""
        return any(entry.way == MOVE for entry in self.entries.values())


def _origins(headers: Sequence[Run], root: Path, source: Path | None) -> list[Path]:
    """Return where SRC may be, the likeliest first."""
    if source:
        return [real(source)]
    found = [place for run in headers for place in (run.source_from(root), Path(run.source))]
    return [real(place) for place in dict.fromkeys(found) if place.is_dir()]


def _check_origins(
    destination: Path, source: Path | None, found: _Entries, origins: Sequence[Path]
) -> None:
    """Raise WrongUsage if SRC must be named.

    What is moved goes only where the user says: a manifest may be a stranger's.
    """
    was = shown(found.headers[-1].source) if found.headers else "not known"
    if found.moved() and not source:
        raise WrongUsage(
            f"pictures were moved; name the folder that they go back to: undo {shown(destination)} "
            f"SRC (it was {was})"
        )
    if not origins and not all(each.way == SYMLINK for each in found.entries.values()):
        raise WrongUsage(
            "whether the originals are still there cannot be seen; name their folder: undo "
            f"{shown(destination)} SRC (it was {was})"
        )


class _Undoing:
    def __init__(
        self, root: Path, origins: Sequence[Path], journal: Journal, found: _Entries
    ) -> None:
        self._root, self._origins, self._journal, self._found = root, origins, journal, found
        self._staging = Staging(found.run)
        self.count = self.companions = 0

    def undo(self) -> Iterator[LeftOut]:
        """Undo all entries, the last first; yield those that are left."""
        units = iter(self._found.units())
        while batch := list(islice(units, _BATCH)):
            yield from self._batch(batch)
        yield from self._results()

    def _results(self) -> Iterator[LeftOut]:
        """Remove what was written for other programs, as it no longer says what is in DEST."""
        for name, sha256 in self._found.results.items():
            path = self._root / name
            if digest(path) == sha256:
                remove(path)
            elif os.path.lexists(path):
                yield LeftOut(path, "was changed since; it stays")
        if self._found.results:
            sync_folder(self._root)

    def tidy(self, made: set[str]) -> None:
        """Remove what the run left half-written, and those of these folders that are empty now."""
        for folder, _, _ in os.walk(self._root):
            sweep(Path(folder), self._found.run)
        for each in sorted(made, key=lambda folder: -folder.count("/")):
            if self._is_own(each):
                try:
                    os.rmdir(self._root / each)
                except OSError as error:
                    if error.errno not in _STAYS:
                        raise
        if self._found.moved():
            origin = self._origins[0]
            for each in {os.path.dirname(entry.image) for entry in self._found.entries.values()}:
                if not reading.leaves(origin / each, origin):
                    sweep(origin / each, self._found.run)

    def _is_own(self, folder: str) -> bool:
        """Return whether a folder of DEST is one, and no link leads to it."""
        path = self._root / folder
        return path.is_dir() and real(path) == path

    def _batch(self, units: Sequence[Sequence[Entry]]) -> Iterator[LeftOut]:
        batch = [entry for unit in units for entry in unit]
        self._say("undoing", batch)
        left, ours = dict[str, str](), set[str]()
        back = list[list[Moved]]()
        for unit in units:
            try:
                there = self._there(unit)
                if there and there[0].way == MOVE:
                    back.append(self._bring_back(there))
                else:
                    self._take_away(there)
            except _Left as error:
                left |= _left(unit, error)
                ours.update(entry.name for entry in unit if error.ours)
        self._sync(each.path for moved in back for each in moved)
        by_path = {self._root / entry.name: entry for entry in batch}
        for moved in back:
            own = [by_path[each.source] for each in moved]
            try:
                take_away(moved)
                self._count(own)
            except Stays as error:
                at = by_path[error.moved.source]
                left |= _left(own, _Left(str(error), at, ours=True))
                ours.update(entry.name for entry in own)
        self._sync(self._root / entry.name for entry in batch)
        self._say("undone", [entry for entry in batch if entry.name not in left])
        self._say("left_there", [e for e in batch if e.name in left and e.name not in ours])
        for name, reason in left.items():
            yield LeftOut(self._root / name, reason)

    def _count(self, entries: Sequence[Entry]) -> None:
        pictures = sum(not entry.companion_of for entry in entries)
        self.count += pictures
        self.companions += len(entries) - pictures

    def _say(self, key: str, entries: Sequence[Entry]) -> None:
        names = {entry.name: entry.sha256 for entry in entries}
        if names:
            self._journal.add(sync=True, by=self._found.run, **{key: names})

    def _sync(self, paths: Iterator[Path]) -> None:
        for folder in {path.parent for path in paths}:
            if folder.is_dir():
                sync_folder(folder)

    def _there(self, unit: Sequence[Entry]) -> list[Entry]:
        """Return what of a unit is in DEST; raise _Left unless all that is can go."""
        there = []
        for entry in unit:
            try:
                if self._is_there(entry):
                    there.append(entry)
            except Unreadable as error:
                raise _Left(str(error), entry, ours=True) from error
        for entry in there:
            if entry.way == MOVE:
                self._check_place(entry)
            elif entry.way != SYMLINK and not any(
                self._is_original(origin, entry) for origin in self._origins
            ):
                gone = shown(self._origins[0] / entry.image)
                reason = f"stays: the original, {gone}, is gone or changed"
                raise _Left(reason, entry, ours=True)
        return there

    def _take_away(self, there: Sequence[Entry]) -> None:
        """Remove copies or links, a picture's after its companions'."""
        for entry in reversed(there):
            remove(self._root / entry.name)
        self._count(there)

    def _is_original(self, origin: Path, entry: Entry) -> bool:
        # A link in SRC is sorted as what it leads to.
        original, path = real(origin / entry.image), self._root / entry.name
        if not original.is_relative_to(origin) or original == path:
            return False
        if is_same(original, path):
            return os.lstat(path).st_nlink > 1  # else these are two paths to one name
        return digest(original) == entry.sha256

    def _check_place(self, entry: Entry) -> None:
        """Raise _Left unless a moved file can have its old name again, or has it."""
        path, origin = self._root / entry.name, self._origins[0]
        back = origin / entry.image
        if reading.leaves(back.parent, origin):
            raise _Left(f"stays: {shown(back.parent)} {reading.LEAVES}", entry, ours=True)
        if os.path.lexists(back) and not is_same(back, path) and digest(back) != entry.sha256:
            raise _Left(f"stays: there is another {shown(back)} now", entry, ours=True)

    def _bring_back(self, there: Sequence[Entry]) -> list[Moved]:
        """Give moved files their old names, besides the new ones; return them with both.

        A picture comes before its companions. Raise _Left if one cannot; then none has.
        """
        moved, named = list[Moved](), list[Staged]()
        for entry in there:
            path, back = self._root / entry.name, self._origins[0] / entry.image
            moved.append(Moved(path, back, entry.sha256))
            if os.path.lexists(back):
                continue
            try:
                make_folder_in(self._origins[0], back.parent)
                with self._staging.another(path, back, entry.sha256) as staged:
                    staged.commit(replace=False)
                    named.append(staged)
            except (FileExistsError, Unreadable) as error:
                for each in named:
                    each.take_back()
                    each.discard()
                taken = isinstance(error, FileExistsError)
                reason = f"stays: {shown(back)} has just appeared" if taken else str(error)
                raise _Left(reason, entry, ours=True) from error
        return moved

    def _is_there(self, entry: Entry) -> bool:
        """Return whether the picture is in DEST; raise _Left if it was there and has changed."""
        path = self._root / entry.name
        sure = entry.name in self._found.sure
        if real(path.parent) != path.parent:
            raise _Left(f"stays: {shown(path.parent)} is a link now", entry)
        if not os.path.lexists(path):
            if sure and entry.name not in self._found.begun:
                raise _Left("is gone: it was moved or deleted since", entry)
            return False
        if entry.way == SYMLINK:
            same = path.is_symlink() and os.readlink(path) == entry.links_to
        elif path.is_symlink() or not path.is_file():
            same = False
        else:  # a file that cannot be read has not been changed
            same = sha256_of(path) == entry.sha256
        if not same and sure:
            raise _Left("was changed since; it stays", entry)
        return same
