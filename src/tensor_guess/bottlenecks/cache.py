"""The bottleneck cache: immutable files of rows.

    bottlenecks/<fingerprint>/<sha256>.npy   structured rows: key, bottleneck

Any number of runs may write at once, with no lock: a file's name is the SHA-256 of its bytes, and
adding rows adds a file.
"""

import hashlib
import os
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tensor_guess.bottlenecks import table as tables
from tensor_guess.errors import Unreadable, shown
from tensor_guess.system import progress, reading
from tensor_guess.system.durable import make_folder, publish, sweep

# A killed run loses at most this many images, or seconds, of work.
ROWS, SECONDS = 256, 10
# Small files are merged once there are this many.
_SMALL_FILES = 8
# Thousands of rows of the longest known bottleneck. No file of ours is larger.
_MAX_BYTES = 500_000_000


class Cache:
    """The rows of one backbone, in memory and in immutable files.

    Files are not trusted: damaged ones are dropped, and what cannot be read is computed again.
    `length`: how many numbers a row has. `readonly`: change nothing on disk; new rows are kept in
    memory only.
    """

    def __init__(self, folder: Path, length: int, *, readonly: bool = False) -> None:
        self._folder, self._readonly = folder, readonly
        if not readonly:
            make_folder(folder)
            sweep(folder)
        self._row = _row(length)
        self._known: dict[bytes, NDArray[np.float32]] = {}
        self._new: dict[bytes, NDArray[np.float32]] = {}
        self._flushed = time.monotonic()
        self._opened: dict[Path, list[bytes]] = {}
        small = {path: keys for path, keys in self._open_all().items() if 0 < len(keys) < ROWS}
        if len(small) >= _SMALL_FILES and not readonly:
            self._merge(small)

    def __len__(self) -> int:
        return len(self._known)

    def __contains__(self, key: bytes) -> bool:
        return key in self._known

    def add(self, key: bytes, row: NDArray[np.float32]) -> None:
        """Add a row; it is on disk after the next flush."""
        self._known[key] = self._new[key] = row
        if len(self._new) >= ROWS or time.monotonic() - self._flushed > SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write all rows to disk."""
        if self._new and not self._readonly:
            self._publish(self._new)
        self._new, self._flushed = {}, time.monotonic()

    def rows(self, keys: Iterable[bytes]) -> NDArray[np.float32]:
        """Return one row for each key, float32 [N, D]."""
        found = [self._known[key] for key in keys]
        return np.stack(found) if found else np.empty((0, 0), np.float32)

    def keys(self) -> Iterable[bytes]:
        """Return the keys of all rows."""
        return self._known.keys()

    def take(self, name: str) -> None:
        """Read a file that `write` has added, by the name that it returned."""
        # By its name: the folder's list may be a minute old on a network's disk.
        path = self._folder / f"{name}.npy"
        if path not in self._opened:
            self._opened[path] = self._open(path)

    def _open_all(self) -> dict[Path, list[bytes]]:
        """Read all rows; return the keys in each file.

        Repeat until no file is new: another run may merge files into one while they are read.
        """
        opened = self._opened
        while new := [path for path in sorted(self._folder.glob("*.npy")) if path not in opened]:
            opened.update((path, self._open(path)) for path in new)
        return opened

    def _open(self, path: Path) -> list[bytes]:
        """Read the file's rows and return their keys; none if it is gone or cannot be used."""
        try:
            data = reading.read(path, _MAX_BYTES, follow=False)
        except Unreadable as error:
            if os.path.lexists(path):  # otherwise another run has just merged it
                _say(f"could not read {shown(path)}: {error}")
            return []
        sound = hashlib.sha256(data).hexdigest() == path.stem
        table = tables.read(data, self._row) if sound else None
        if table is None:
            _say(f"{shown(path)} is damaged")
            if not self._readonly:
                with suppress(OSError):
                    path.unlink()
            return []
        keys = [bytes(key) for key in table["key"]]
        self._known.update(zip(keys, table["bottleneck"], strict=True))
        return keys

    def _publish(self, rows: dict[bytes, NDArray[np.float32]]) -> Path:
        path = self._folder / f"{write(self._folder, rows)}.npy"
        self._opened[path] = list(rows)
        return path

    def _merge(self, small: dict[Path, list[bytes]]) -> None:
        keys = sorted({key for each in small.values() for key in each})
        merged = self._publish({key: self._known[key] for key in keys})
        # The merged file may be one of them, if a run was killed before it removed the others.
        for path in small.keys() - {merged}:
            with suppress(OSError):  # a file that stays only takes up space
                path.unlink()


def write(folder: Path, rows: Mapping[bytes, NDArray[np.float32]]) -> str:
    """Add a file with the rows, at least one, to a cache's folder; return its name without `.npy`.

    Raise UserError if that fails.
    """
    table = np.empty(len(rows), _row(len(next(iter(rows.values())))))
    table["key"] = np.array(list(rows), "V32")
    table["bottleneck"] = np.stack(list(rows.values()))
    data = tables.written(table)
    name = hashlib.sha256(data).hexdigest()
    publish(folder / f"{name}.npy", data)
    return name


def _row(length: int) -> np.dtype[np.void]:
    return np.dtype([("key", "V32"), ("bottleneck", "<f4", (length,))])


def _say(what: str) -> None:
    progress.warn(f"{what}; its bottlenecks are computed again")
