"""Bring pictures to their places in DEST: each once, overwriting nothing and losing none.

What goes with a picture comes with it, or none of both.

Names are assigned in order. Threads stage and sync the files while the network computes. What was
staged gets its names a batch at a time: first the manifest says so, then the names are given and
synced, then each picture has its line. A move takes the source away after all that.
"""

import errno
import os
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tensor_guess.config import MOVE
from tensor_guess.errors import Unreadable, UserError, reason_of, shown
from tensor_guess.images.encoded import Picture
from tensor_guess.images.files import LeftOut
from tensor_guess.sorting.manifest import Entry, Manifest
from tensor_guess.sorting.names import Names
from tensor_guess.sorting.plan import Place
from tensor_guess.sorting.staging import Moved, Staging, Stays, digest, take_away
from tensor_guess.system import progress
from tensor_guess.system.durable import Staged, sync_folder
from tensor_guess.system.reading import Remote

# A disk is fast only if it has many writes under way at once.
_WRITERS = 8
# How many files, and how many bytes, are given their names together.
_BATCH, _BATCH_BYTES = 32, 32_000_000
_REMOTE_BATCH = 128  # each has an object for its lines
# How many batches may be under way. This bounds the memory.
_UNDER_WAY = 3
# Errors of a name that a file system cannot have.
_NO_NAMES = {errno.EILSEQ, errno.EINVAL, errno.ENAMETOOLONG}


Kind = tuple[str, bool]  # a category as it is in names, and whether it is for review
# What is called with each picture that has come to DEST: its entry, and its scores, best first.
Told = Callable[[Entry, Mapping[str, float]], None]


@dataclass(frozen=True)
class _Member:
    """A file on its way; `staged` has None if it is there already."""

    source: Path
    entry: Entry
    staged: Future[Staged | None]


@dataclass(frozen=True)
class _Coming:
    """A picture on its way, with its companions, which come after it in `members`."""

    kind: Kind
    place: Place
    scores: Mapping[str, float]
    members: tuple[_Member, ...]

    @property
    def source(self) -> Path:
        """Return where the picture is."""
        return self.members[0].source


# A unit that is in DEST, and its entries there.
_Named = tuple[_Coming, Sequence[Entry]]


class Applying:
    """The folder that pictures are brought to, for one run.

    Leaving the `with` block waits until all of them are on disk and in the manifest. Each is `told`
    then.
    """

    def __init__(self, manifest: Manifest, told: Told | None = None) -> None:
        self._manifest, self._told = manifest, told
        self.counts = Counter[Kind]()
        self.companions = 0
        self.finished = 0
        self.left_out = dict[Path, LeftOut]()  # but for those that came later
        self._names, self._staging = Names(manifest), Staging(manifest.run)
        self._most = _REMOTE_BATCH if isinstance(manifest.destination, Remote) else _BATCH
        self._batch: list[_Coming] = []
        self._bytes = 0
        self._writers = ThreadPoolExecutor(_WRITERS)
        self._settler = ThreadPoolExecutor(1)
        self._settling: deque[Future[None]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._hand_over()
        failed = [each.exception() for each in self._settling]
        self._writers.shutdown()
        self._settler.shutdown()
        if error is None:
            for each in filter(None, failed):
                raise each

    def add(
        self,
        source: Path,
        picture: Picture,
        kind: Kind,
        place: Place,
        scores: Mapping[str, float],
        companions: Sequence[tuple[Path, Picture]] = (),
    ) -> None:
        """Bring exactly the bytes that were guessed to their place, once, by the run's way.

        `kind`: what it counts as; `scores` is ordered best first. `companions`: what goes with the
        picture, in the order of `place.beside`; all come or none. Raise UserError if this picture,
        or an earlier one, could not be brought there.
        """
        self._names.make(place.folder)
        files = [(source, picture), *companions]
        members = []
        for (path, file), (entry, held) in zip(
            files, self._names.entries(files, place), strict=True
        ):
            job = self._writers.submit(self._stage, path, None if held else file, entry)
            members.append(_Member(path, entry, job))
        self._batch.append(_Coming(kind, place, scores, tuple(members)))
        self._bytes += len(picture.data)
        if len(self._batch) >= self._most or self._bytes >= _BATCH_BYTES:
            self._hand_over()
        while len(self._settling) > _UNDER_WAY or (self._settling and self._settling[0].done()):
            self._settling.popleft().result()

    def settle(self) -> None:
        """Return when all that was added is in its place and told. Raise as `add` does."""
        self._hand_over()
        while self._settling:
            self._settling.popleft().result()

    def finish(self, entries: Iterable[Entry]) -> None:
        """Take away the sources of moves that a killed run left, if they are what was moved."""
        units = defaultdict[str, list[Entry]](list)
        for entry in entries:
            units[entry.unit].append(entry)
        for unit in units.values():
            unit.sort(key=lambda entry: entry.name != entry.unit)  # the picture first
            if all(map(self._is_moved, unit)) and self._take_away([unit]):
                pictures = sum(not entry.companion_of for entry in unit)
                self.finished += pictures
                self.companions += len(unit) - pictures

    def _is_moved(self, entry: Entry) -> bool:
        source = self._manifest.source / entry.image
        return digest(source) == entry.sha256 == digest(self._manifest.destination / entry.name)

    def _stage(self, source: Path, picture: Picture | None, entry: Entry) -> Staged | None:
        if picture is None:
            return None
        path = self._manifest.destination / entry.name
        return self._staging.stage(entry, source, path, picture)

    def _hand_over(self) -> None:
        if self._batch:
            self._settling.append(self._settler.submit(self._settle, self._batch))
            self._batch, self._bytes = [], 0

    def _settle(self, batch: list[_Coming]) -> None:
        """Give a batch its names and write its lines, then raise its first error, if any."""
        failed: list[BaseException] = []
        named = self._named(batch, failed)
        folders = {os.path.dirname(entry.name) for _, unit in named for entry in unit}
        for folder in folders:
            sync_folder(self._manifest.destination / folder)
        for coming, (picture, *companions) in named:
            for each in companions:
                self._manifest.accompanied(each)
            self._manifest.sorted(picture, coming.scores)
            self.left_out.pop(coming.source, None)
        if self._manifest.way.way == MOVE and named:
            self._manifest.sync()
            self._take_away([unit for _, unit in named])
        self.counts.update(coming.kind for coming, _ in named)
        self.companions += sum(len(unit) - 1 for _, unit in named)
        if self._told:
            for coming, unit in named:
                for entry in unit:
                    self._told(entry, coming.scores)
        if failed:
            raise failed[0]

    def _named(self, batch: list[_Coming], failed: list[BaseException]) -> list[_Named]:
        """Give the names; return the units that are in DEST, and add to `failed`."""
        ready = []
        for coming in batch:
            if self._are_staged(coming, failed):
                ready.append(coming)
        begun = [each for each in ready if any(_staged(each))]
        try:
            if begun:
                self._manifest.beginning(m.entry for each in begun for m in each.members)
        except UserError:
            for each in begun:
                _discard(each)
            raise
        jobs = [(coming, self._writers.submit(self._commit, coming)) for coming in ready]
        return [
            (coming, job.result())
            for coming, job in jobs
            if self._came(coming.source, coming.source, job, failed)
        ]

    def _are_staged(self, coming: _Coming, failed: list[BaseException]) -> bool:
        """Return whether all of a unit is; else none of it comes."""
        for each in coming.members:
            if not self._came(coming.source, each.source, each.staged, failed):
                _discard(coming)
                return False
        return True

    def _came(
        self, picture: Path, file: Path, job: Future[Any], failed: list[BaseException]
    ) -> bool:
        """Return whether a job was done; leave the picture out, or add its error to `failed`."""
        error = job.exception()
        cause = error.__cause__ if isinstance(error, UserError) else None
        # A name that SRC's disk has may be none that DEST's can have.
        if isinstance(cause, OSError) and cause.errno in _NO_NAMES:
            error = Unreadable(f"can have no such name in DEST: {reason_of(cause)}")
        if isinstance(error, Unreadable):
            reason = str(error) if file == picture else of_companion(file.name, error)
            self._leave_out(picture, reason)
        elif error:
            failed.append(error)
        return not error

    def _commit(self, coming: _Coming) -> Sequence[Entry]:
        """Give a unit its names, all or none, and return the entries with them."""
        entries = [each.entry for each in coming.members]
        staged = list(_staged(coming))
        try:
            while True:
                try:
                    self._name(entries, staged)
                except FileExistsError as error:  # another run took the name in the meantime
                    if not all(staged):
                        raise Unreadable("could not join what is in DEST; run again") from error
                    entries = self._names.renamed(entries, coming.place)
                    self._manifest.beginning(entries)
                else:
                    return entries
        finally:
            _discard(coming)

    def _name(self, entries: Sequence[Entry], staged: Sequence[Staged | None]) -> None:
        named = list[Staged]()
        try:
            for entry, each in zip(entries, staged, strict=True):
                if each:
                    path = self._manifest.destination / entry.name
                    replace(each, path=path).commit(replace=False)
                    named.append(replace(each, path=path))
        except (FileExistsError, Unreadable, UserError):
            for each in named:
                each.take_back()
            raise

    def _take_away(self, units: Sequence[Sequence[Entry]]) -> int:
        """Take away the sources of units that were moved; return of how many."""
        folders, count = set[Path](), 0
        for unit in units:
            moved = [
                Moved(
                    self._manifest.source / each.image,
                    self._manifest.destination / each.name,
                    each.sha256,
                )
                for each in unit
            ]
            try:
                take_away(moved)
            except Stays as error:
                self._leave_out(error.moved.source, str(error))
            else:
                count += 1
                folders.update(each.source.parent for each in moved)
        for folder in folders:
            sync_folder(folder)
        return count

    def _leave_out(self, source: Path, reason: str) -> None:
        self.left_out[source] = LeftOut(source, reason)
        self._manifest.left_out(source, reason)
        progress.warn(str(self.left_out[source]))


def of_companion(name: str, error: Unreadable) -> str:
    """Return why a picture is left out whose companion of this name cannot come."""
    return f"its companion {shown(name)} {error}"


def _staged(coming: _Coming) -> Iterator[Staged | None]:
    return (each.staged.result() for each in coming.members)


def _discard(coming: _Coming) -> None:
    """Remove what was staged of a unit, as far as that was possible."""
    for each in coming.members:
        if not each.staged.exception() and (staged := each.staged.result()):
            staged.discard()
