"""Copy pictures to files in DEST: each once, overwriting nothing and losing none.

Names are assigned in order. Threads write and sync the files while the network computes. A line is
added to the manifest only when its file, and that file's name, are on disk.
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

from tensor_guess.config import REVIEW
from tensor_guess.errors import Unreadable, UserError, reason_of, shown
from tensor_guess.images import encoded
from tensor_guess.images.encoded import Picture
from tensor_guess.images.files import LeftOut
from tensor_guess.sorting.manifest import Manifest
from tensor_guess.system import progress, reading
from tensor_guess.system.durable import make_folder, stage, sweep, sync_folder

# `darth_vader-0.99621-2.jpg`: stem, number, extension.
_NAME = re.compile(r"(.+-\d\.\d{5})(?:-(\d+))?\.([a-z]+)", re.DOTALL)
_IN_REVIEW = f"{REVIEW}/"
# A disk is fast only if it has many writes under way at once.
_WRITERS = 8
# How many files, and how many bytes, have their names synced together.
_BATCH, _BATCH_BYTES = 32, 32_000_000
# How many batches may be under way. This bounds the memory.
_UNDER_WAY = 3

Stem = tuple[str, str]  # of a name (with `review/`): all before its number, and its extension


@dataclass(frozen=True)
class _Copy:
    """A picture being copied; `name` will be the path of its file in DEST."""

    source: Path
    sha256: str
    scores: Mapping[str, float]
    name: Future[str]


class Copies:
    """The folder that pictures are copied to, for one run.

    Leaving the `with` block waits until all copies are on disk and in the manifest.
    """

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        self.count = 0
        self.reviewed = 0
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
        self,
        source: Path,
        picture: Picture,
        category: str,
        scores: Mapping[str, float],
        *,
        review: bool = False,
    ) -> None:
        """Copy exactly the bytes that were guessed to `<category>-<score>.<ext>`, once.

        `category` must be safe as a file name; `scores` is ordered best first. `review`: copy into
        that folder of DEST. Raise UserError if this copy, or an earlier one, could not be written.
        """
        if review:
            make_folder(self._manifest.destination / REVIEW)
        stem = (
            f"{_IN_REVIEW if review else ''}{category}-{next(iter(scores.values())):.5f}",
            picture.extension,
        )
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
        """Write the copy and return its final name; None means that it exists already."""
        if picture is None:
            return name
        folder, taken_at = self._manifest.destination, picture.status.st_mtime_ns
        data = picture.data or encoded.again(source, picture)
        with stage(folder / name, data, mtime_ns=taken_at) as staged:
            while True:
                try:
                    replace(staged, path=folder / name).commit(replace=False)
                except FileExistsError:  # another run took the name in the meantime
                    name = self._names.next(stem)
                else:
                    return name

    def _hand_over(self) -> None:
        if self._batch:
            self._settling.append(self._settler.submit(self._settle, self._batch))
            self._batch, self._bytes = [], 0

    def _settle(self, batch: list[_Copy]) -> None:
        """Sync the names of a batch and write its lines, then raise its first error, if any."""
        errors = [copy.name.exception() for copy in batch]
        failed = [error for error in errors if error and not isinstance(error, Unreadable)]
        named = [copy.name.result() for copy in batch if not copy.name.exception()]
        reviewed = sum(name.startswith(_IN_REVIEW) for name in named)
        sync_folder(self._manifest.destination)
        if reviewed:
            sync_folder(self._manifest.destination / REVIEW)
        self.reviewed += reviewed
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
    """The names that are free in DEST and its folder for review, and files in no manifest.

    Each is listed only once, so a name costs the same however many pictures share one score.
    """

    def __init__(self, manifest: Manifest) -> None:
        self._destination = manifest.destination
        self._taken = {*_listed(self._destination), *_in_review(self._destination / REVIEW)}
        self._numbers: dict[Stem, int] = {}
        self._lock = Lock()
        self._untold: dict[Stem, list[str]] = defaultdict(list)
        self._digests: dict[str, bytes] = {}
        told = set(manifest.known.values())
        for name in self._taken - told:
            if found := _NAME.fullmatch(name):
                self._untold[found[1], found[3]].append(name)

    def held(self, stem: Stem, picture: Picture) -> str | None:
        """Return the name of a file with the picture's bytes that is in no manifest, or None."""
        for name in self._untold.get(stem, ()):
            if self._digest(name, picture.size) == picture.key:
                return name
        return None

    def next(self, stem: Stem) -> str:
        """Return the next name that is free, as far as is known."""
        with self._lock:
            while True:
                number = self._numbers[stem] = self._numbers.get(stem, 0) + 1
                name = f"{stem[0]}{'' if number == 1 else f'-{number}'}.{stem[1]}"
                if name not in self._taken:
                    return name

    def _digest(self, name: str, size: int) -> bytes:
        """Return the SHA-256 of a file in DEST, read once; b"" if it has another size."""
        path = self._destination / name
        try:
            if os.lstat(path).st_size != size:
                return b""
            if name not in self._digests:
                self._digests[name] = sha256(reading.read(path, size, follow=False)).digest()
        except (OSError, Unreadable):  # removed meanwhile, or unreadable: its name stays taken
            return b""
        return self._digests[name]


def _in_review(folder: Path) -> list[str]:
    """Return the names in the folder for review, as paths in DEST.

    Raise UserError if it is not a folder of DEST's own: nothing is written elsewhere.
    """
    if not os.path.lexists(folder):
        return []
    if folder.is_symlink() or not folder.is_dir():
        raise UserError(f"{shown(folder)} is not a folder of its own; move it away")
    sweep(folder)
    return [f"{_IN_REVIEW}{name}" for name in _listed(folder)]


def _listed(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError as error:
        raise UserError(f"could not read {shown(folder)}: {reason_of(error)}") from error
