"""The part of a download that has come so far: a file that one run at a time can complete."""

import fcntl
import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

from tensor_guess.errors import UserError, reason_of, shown
from tensor_guess.system import progress

_MAX_HEADER = 64 * 1024


class Partial:
    """What has come so far, in a file: a line that says what it is part of, then the content."""

    def __init__(self, path: Path, file: FileIO, url: str) -> None:
        self.path = path
        self.url = url
        self.validator = ""
        self.total: int | None = None
        self.size = 0
        self.received = 0  # by this run
        self._file = file
        self._start = 0
        self._recall()

    @property
    def complete(self) -> bool:
        return bool(self.validator) and self.size == self.total

    @property
    def resumable(self) -> bool:
        """Return whether it is worth keeping. Without a validator, the file may have changed."""
        return bool(self.validator) and self.size > 0

    def _recall(self) -> None:
        self._file.seek(0)
        header = self._file.readline(_MAX_HEADER)
        size = os.fstat(self._file.fileno()).st_size - len(header)
        try:
            kept = json.loads(header)
            url, validator, total = kept["url"], str(kept["validator"]), kept["total"]
            ours = url == self.url and (total is None or size <= total)
        except (ValueError, KeyError, TypeError, RecursionError):
            return  # empty, or torn when the machine went down
        if ours:
            self._start, self.size = len(header), size
            self.validator, self.total = validator, total

    def restart(self, validator: str, total: int | None) -> None:
        """Empty the file: it has nothing yet of what the server offers now."""
        self.validator, self.total, self.size = validator, total, 0
        header = json.dumps({"url": self.url, "validator": validator, "total": total})
        with on_disk(self.path):
            self._file.truncate(0)
        self._start = self._write(f"{header}\n".encode())

    def append(self, chunk: bytes) -> None:
        """Add the chunk to the file, or as much of it as fits on the disk."""
        self.size += self._write(chunk)
        self.received += len(chunk)

    def content(self) -> bytes:
        """Return all that has come."""
        self._file.seek(self._start)
        return self._file.read()

    def forget(self) -> None:
        """Keep nothing for a later run."""
        self.validator = ""

    def _write(self, data: bytes) -> int:
        left = memoryview(data)
        with on_disk(self.path):
            while left:
                left = left[self._file.write(left) :]
        return len(data)


@contextmanager
def opened(path: Path, url: str) -> Iterator[Partial]:
    """Yield the partial file, for this run alone; remove it afterwards unless it can be resumed.

    Raise UserError if its name is not a regular file's: a link would have another file emptied.
    """
    with on_disk(path), FileIO(path, "a+", opener=_as_it_is) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise UserError(f"could not write {shown(path)}: is not a regular file; remove it")
        _lock(file, path)
        partial = Partial(path, file, url)
        try:
            yield partial
        finally:
            if not partial.resumable:
                path.unlink(missing_ok=True)


def _as_it_is(path: str, flags: int) -> int:
    """Open without following a link or waiting for the other end of a FIFO."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)


@contextmanager
def on_disk(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(
            f"could not write {shown(path)}: {reason_of(error)}; "
            "once that is solved, run it again and it resumes"
        ) from error


def _lock(file: FileIO, path: Path) -> None:
    """Wait until no other run uses this file.

    If the other run has removed it by then, ours has no name and cannot be resumed later.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        progress.say(f"another run is downloading {shown(path.stem)}; waiting for it")
        fcntl.flock(file, fcntl.LOCK_EX)
    except OSError:
        pass  # some network shares have no locks; the digest still protects the result
