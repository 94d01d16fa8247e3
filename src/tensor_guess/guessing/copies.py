"""Sorted copies: pictures -> files in DEST, each once, nothing overwritten, none lost.

Names are given in order; files are written and synced by threads while the network computes; a
manifest's lines follow once their files, and the names of these, are on disk.
"""

import os
import re
from collections import defaultdict, deque
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Self

from tensor_guess.errors import Unreadable, UserError, reason_of, shown
from tensor_guess.guessing.manifest import Manifest
from tensor_guess.images import encoded
from tensor_guess.images.encoded import Picture
from tensor_guess.images.files import LeftOut
from tensor_guess.system import progress, reading
from tensor_guess.system.durable import stage, sync_folder

# `darth_vader-0.99621-2.jpg`: stem, number, extension.
_NAME = re.compile(r"(.+-\d\.\d{5})(?:-(\d+))?\.([a-z]+)", re.DOTALL)
# A disk has many writes under way at once, or it waits.
_WRITERS = 8
# Files, or their bytes, whose names are synced together.
_BATCH, _BATCH_BYTES = 32, 32_000_000
# Batches that may be under way: what bounds the memory.
_UNDER_WAY = 3

Stem = tuple[str, str]  # of a name: all before its number, and its extension


@dataclass(frozen=True)
class _Copy:
    """A picture on its way: `name` is the future one of its file in DEST."""

    source: Path
    sha256: str
    scores: Mapping[str, float]
    name: Future[str]


class Copies:
    """The folder that pictures are copied to, for one run.

    Leaving the `with` block waits until all are there and in the manifest.
    """

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        self.count = 0
        self.left_out: list[LeftOut] = []
        self._names = _Names(manifest)
        self._batch: list[_Copy] = []
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
        self, source: Path, picture: Picture, category: str, scores: Mapping[str, float]
    ) -> None:
        """Copy the very bytes that were guessed to `<category>-<score>.<ext>`, once.

        `category` is safe as a name; `scores` is best first. Raises UserError where this copy, or
        one before it, could not be written.
        """
        stem = f"{category}-{next(iter(scores.values())):.5f}", picture.extension
        # A run that was killed may have left the copy without its line in the manifest.
        there = self._names.held(stem, picture)
        name = there or self._names.next(stem)
        new = None if there else picture
        written = self._writers.submit(self._write, source, stem, name, new)
        self._batch.append(_Copy(source, picture.key.hex(), scores, written))
        self._bytes += len(picture.data)
        if len(self._batch) >= _BATCH or self._bytes >= _BATCH_BYTES:
            self._hand_over()
        while len(self._settling) > _UNDER_WAY or (self._settling and self._settling[0].done()):
            self._settling.popleft().result()

    def _write(self, source: Path, stem: Stem, name: str, picture: Picture | None) -> str:
        """The name that the copy has at last; None is one that is there already."""
        if picture is None:
            return name
        folder, taken_at = self._manifest.destination, picture.status.st_mtime_ns
        data = picture.data or encoded.again(source, picture)
        with stage(folder / name, data, mtime_ns=taken_at) as staged:
            while True:
                try:
                    replace(staged, path=folder / name).commit(replace=False)
                except FileExistsError:  # another run has taken the name meanwhile
                    name = self._names.next(stem)
                else:
                    return name

    def _hand_over(self) -> None:
        if self._batch:
            self._settling.append(self._settler.submit(self._settle, self._batch))
            self._batch, self._bytes = [], 0

    def _settle(self, batch: list[_Copy]) -> None:
        """Sync the names of a batch, and write its lines; the first error is raised last."""
        errors = [copy.name.exception() for copy in batch]
        failed = [error for error in errors if error and not isinstance(error, Unreadable)]
        sync_folder(self._manifest.destination)
        for copy in batch:
            error = copy.name.exception()
            if isinstance(error, Unreadable):
                self._leave_out(copy.source, str(error))
            elif not error:
                self._manifest.sorted(copy.source, copy.name.result(), copy.sha256, copy.scores)
                self.count += 1
        if failed:
            raise failed[0]

    def _leave_out(self, source: Path, reason: str) -> None:
        self.left_out.append(LeftOut(source, reason))
        self._manifest.left_out(source, reason)
        progress.say(str(self.left_out[-1]))


class _Names:
    """Which names in DEST are free; and which files there no manifest tells of.

    DEST is listed once: however many pictures have one score, each name costs the same.
    """

    def __init__(self, manifest: Manifest) -> None:
        self._destination = manifest.destination
        try:
            self._taken = set(os.listdir(self._destination))
        except OSError as error:
            raise UserError(
                f"could not read {shown(self._destination)}: {reason_of(error)}"
            ) from error
        self._numbers: dict[Stem, int] = {}
        self._lock = Lock()
        self._untold: dict[Stem, list[str]] = defaultdict(list)
        self._digests: dict[str, bytes] = {}
        told = set(manifest.known.values())
        for name in self._taken - told:
            if found := _NAME.fullmatch(name):
                self._untold[found[1], found[3]].append(name)

    def held(self, stem: Stem, picture: Picture) -> str | None:
        """The file that no manifest tells of and that has the picture's bytes, if there is one."""
        for name in self._untold.get(stem, ()):
            if self._digest(name, picture.size) == picture.key:
                return name
        return None

    def next(self, stem: Stem) -> str:
        """The next name that is free, as far as is known."""
        with self._lock:
            while True:
                number = self._numbers[stem] = self._numbers.get(stem, 0) + 1
                name = f"{stem[0]}{'' if number == 1 else f'-{number}'}.{stem[1]}"
                if name not in self._taken:
                    return name

    def _digest(self, name: str, size: int) -> bytes:
        """SHA-256 of a file in DEST, or b"" where it has another size; read once."""
        path = self._destination / name
        try:
            if os.lstat(path).st_size != size:
                return b""
            if name not in self._digests:
                self._digests[name] = sha256(reading.read(path, size, follow=False)).digest()
        except (OSError, Unreadable):  # gone meanwhile, or not ours to read: its name stays taken
            return b""
        return self._digests[name]
