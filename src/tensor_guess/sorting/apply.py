"""Bring pictures to their places in DEST: each once, overwriting nothing and losing none.

Names are assigned in order. Threads stage and sync the files while the network computes. What was
staged gets its names a batch at a time: first the manifest says so, then the names are given and
synced, then each picture has its line. A move takes the source away after all that.
"""

import errno
import os
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tensor_guess.config import MOVE
from tensor_guess.errors import Unreadable, UserError, reason_of
from tensor_guess.images.encoded import Picture
from tensor_guess.images.files import LeftOut
from tensor_guess.sorting.manifest import Entry, Manifest
from tensor_guess.sorting.names import Names
from tensor_guess.sorting.plan import Place
from tensor_guess.sorting.staging import Staging, digest, take_away
from tensor_guess.system import progress
from tensor_guess.system.durable import Staged, sync_folder

# A disk is fast only if it has many writes under way at once.
_WRITERS = 8
# How many files, and how many bytes, are given their names together.
_BATCH, _BATCH_BYTES = 32, 32_000_000
# How many batches may be under way. This bounds the memory.
_UNDER_WAY = 3
# Errors of a name that a file system cannot have.
_NO_NAMES = {errno.EILSEQ, errno.EINVAL, errno.ENAMETOOLONG}


Kind = tuple[str, bool]  # a category as it is in names, and whether it is for review


@dataclass(frozen=True)
class _Coming:
    """A picture on its way; `staged` has None if it is there already."""

    source: Path
    kind: Kind
    place: Place
    entry: Entry
    scores: Mapping[str, float]
    staged: Future[Staged | None]


class Applying:
    """The folder that pictures are brought to, for one run.

    Leaving the `with` block waits until all of them are on disk and in the manifest.
    """

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        self.counts = Counter[Kind]()
        self.finished = 0
        self.left_out: list[LeftOut] = []
        self._names, self._staging = Names(manifest), Staging(manifest.run)
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
    ) -> None:
        """Bring exactly the bytes that were guessed to their place, once, by the run's way.

        `kind`: what it counts as; `scores` is ordered best first. Raise UserError if this picture,
        or an earlier one, could not be brought there.
        """
        self._names.make(place.folder)
        entry, held = self._names.entry(source, picture, place)
        job = self._writers.submit(self._stage, source, None if held else picture, entry)
        self._batch.append(_Coming(source, kind, place, entry, scores, job))
        self._bytes += len(picture.data)
        if len(self._batch) >= _BATCH or self._bytes >= _BATCH_BYTES:
            self._hand_over()
        while len(self._settling) > _UNDER_WAY or (self._settling and self._settling[0].done()):
            self._settling.popleft().result()

    def finish(self, entries: Iterable[Entry]) -> None:
        """Take away the sources of moves that a killed run left, if they are what was moved."""
        folder = self._manifest.destination
        for entry in entries:
            source = self._manifest.source / entry.image
            if digest(source) == entry.sha256 == digest(folder / entry.name):
                try:
                    take_away(source, folder / entry.name, entry.sha256)
                except Unreadable as error:
                    self._leave_out(source, str(error))
                else:
                    self.finished += 1
                    sync_folder(source.parent)

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
        folders = {os.path.dirname(entry.name) for _, entry in named}
        for folder in folders:
            sync_folder(self._manifest.destination / folder)
        for coming, entry in named:
            self._manifest.sorted(entry, coming.scores)
        if self._manifest.way.way == MOVE and named:
            self._manifest.sync()
            self._take_away(named)
        self.counts.update(coming.kind for coming, _ in named)
        if failed:
            raise failed[0]

    def _named(
        self, batch: list[_Coming], failed: list[BaseException]
    ) -> list[tuple[_Coming, Entry]]:
        """Give the names; return the pictures that are in DEST, and add to `failed`."""
        ready = []
        for coming in batch:
            if self._came(coming, coming.staged, failed):
                ready.append(coming)
        staged = [(each.entry, found) for each in ready if (found := each.staged.result())]
        try:
            if staged:
                self._manifest.beginning(entry for entry, _ in staged)
        except UserError:
            for _, each in staged:
                each.discard()
            raise
        jobs = [(coming, self._writers.submit(self._commit, coming)) for coming in ready]
        return [(coming, job.result()) for coming, job in jobs if self._came(coming, job, failed)]

    def _came(self, coming: _Coming, job: Future[Any], failed: list[BaseException]) -> bool:
        """Return whether a job was done; leave the picture out, or add its error to `failed`."""
        error = job.exception()
        cause = error.__cause__ if isinstance(error, UserError) else None
        # A name that SRC's disk has may be none that DEST's can have.
        if isinstance(cause, OSError) and cause.errno in _NO_NAMES:
            error = Unreadable(f"can have no such name in DEST: {reason_of(cause)}")
        if isinstance(error, Unreadable):
            self._leave_out(coming.source, str(error))
        elif error:
            failed.append(error)
        return not error

    def _commit(self, coming: _Coming) -> Entry:
        """Give a picture its name, and return the entry with it."""
        staged, entry = coming.staged.result(), coming.entry
        if not staged:
            return entry
        with staged:
            while True:
                path = self._manifest.destination / entry.name
                try:
                    replace(staged, path=path).commit(replace=False)
                except FileExistsError:  # another run took the name in the meantime
                    entry = replace(entry, name=self._names.next(coming.place))
                    self._manifest.beginning([entry])
                else:
                    return entry

    def _take_away(self, moved: list[tuple[_Coming, Entry]]) -> None:
        folders = set()
        for coming, entry in moved:
            path = self._manifest.destination / entry.name
            try:
                take_away(coming.source, path, entry.sha256)
            except Unreadable as error:
                self._leave_out(coming.source, str(error))
            else:
                folders.add(coming.source.parent)
        for folder in folders:
            sync_folder(folder)

    def _leave_out(self, source: Path, reason: str) -> None:
        self.left_out.append(LeftOut(source, reason))
        self._manifest.left_out(source, reason)
        progress.say(str(self.left_out[-1]))
