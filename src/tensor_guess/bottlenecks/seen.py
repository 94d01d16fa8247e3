"""Remember which file had which key, so that unchanged files are not read again."""

import hashlib
import os
import time
from os import stat_result
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tensor_guess.errors import Unreadable, UserError, shown
from tensor_guess.images import encoded
from tensor_guess.system import progress, reading
from tensor_guess.system.durable import publish

# A file that changed just before it was hashed may change again within one tick of the file
# system's clock, unnoticed.
_TICK_NS = 2_000_000_000
_MAX_BYTES = 500_000_000  # enough for six million files

_SEEN = np.dtype(
    [("path", "V16"), ("size", "<i8"), ("mtime", "<i8"), ("ctime", "<i8"), ("inode", "<u8"),
     ("key", "V32")]
)  # fmt: skip


class Seen:
    """The key that each file had when it had this size, these times and this inode."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rows = {bytes(row["path"]): row for row in _unsealed(path)}
        self._changed = False

    def key(self, path: Path) -> bytes | None:
        """Return the SHA-256 of the file's bytes if the file has not changed since, else None."""
        row = self._rows.get(_short(path))
        if row is None:
            return None
        try:
            same = row == _seen_row(path, path.stat(), bytes(row["key"]))
        except OSError:
            return None  # read() will report why
        return bytes(row["key"]) if same else None

    def remember(self, path: Path, picture: encoded.Picture) -> None:
        """Remember the file's key until the file changes."""
        status = picture.status
        if time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns) > _TICK_NS:
            self._rows[_short(path)] = _seen_row(path, status, picture.key)
            self._changed = True

    def save(self) -> None:
        """Write to disk what was remembered. Report if that fails, which only costs time later."""
        if self._changed:
            data = np.array(list(self._rows.values()), _SEEN).tobytes()
            try:
                publish(self._path, hashlib.sha256(data).digest() + data)
            except UserError as error:
                progress.warn(f"{error}; the pictures are read again next time")


def _short(path: Path) -> bytes:
    return hashlib.sha256(bytes(path.absolute())).digest()[:16]


def _seen_row(path: Path, status: stat_result, key: bytes) -> NDArray[np.void]:
    values = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
    row: NDArray[np.void] = np.array([(_short(path), *values, key)], _SEEN)[0]
    return row


def _unsealed(path: Path) -> NDArray[np.void]:
    if os.path.lexists(path):
        try:
            data = reading.read(path, _MAX_BYTES, follow=False)
        except Unreadable as error:
            reason = f"could not read {shown(path)}: {error}"
        else:
            seal, rows = data[:32], data[32:]
            if hashlib.sha256(rows).digest() == seal and len(rows) % _SEEN.itemsize == 0:
                return np.frombuffer(rows, _SEEN)
            reason = f"{shown(path)} is damaged"
        progress.warn(f"{reason}; the pictures are read again")
    return np.empty(0, _SEEN)
