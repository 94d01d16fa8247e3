"""Read strangers' files: return bytes or a reason, whatever the name leads to.

A FIFO would hang, a device never ends, a link may lead to somebody's private file.
"""

import fcntl
import hashlib
import os
import stat
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from errno import ELOOP
from io import FileIO
from pathlib import Path, PosixPath

from tensor_guess.errors import Unreadable, reason_of

LEAVES = "is a link that leaves the folder"
CHANGED = "was changed while it was looked at"
_ZIP = b"PK\x03\x04"  # how a zip begins, unless it is empty
_CHUNK = 1 << 20


class RemoteFile(ABC):
    """A file of another machine that is being read; `status` is that of what is read."""

    status: os.stat_result

    @abstractmethod
    def read(self, size: int) -> bytes:
        """Return at most so many of the next bytes; b"" at the end."""

    @abstractmethod
    def seek(self, position: int) -> None:
        """Go on from there."""

    @abstractmethod
    def tell(self) -> int:
        """Return where it goes on."""


@dataclass(frozen=True)
class Listing:
    """A part of what is in a remote folder, in the order of names.

    `files`: names, each with its status. `odd`: what is the matter with what can have no path.
    """

    files: list[tuple[str, os.stat_result]]
    folders: list[str]
    odd: list[str]


class Remote(PosixPath, ABC):
    """A path to what is on no disk of this machine: it is known and read by its own methods.

    `listed`: its status, if it comes from a listing.
    """

    listed: os.stat_result | None = None

    @abstractmethod
    def opened(self) -> AbstractContextManager[RemoteFile]:
        """Yield the file, to be read. Raise OSError if it cannot be."""

    @abstractmethod
    def scan(self) -> Iterator[Listing]:
        """Yield what is in the folder. Raise OSError if it cannot be listed."""


def is_url(text: str) -> bool:
    """Return whether this is no path of this machine, which is anything with a scheme."""
    return "://" in text


def remote_status(size: int, seconds: int, version: int) -> os.stat_result:
    """Return the status of a remote file, which was changed then; a version is an inode here."""
    plain = (stat.S_IFREG | 0o644, version, 0, 1, 0, 0, size, seconds, seconds, seconds)
    times = dict.fromkeys(("st_atime_ns", "st_mtime_ns", "st_ctime_ns"), seconds * 1_000_000_000)
    return os.stat_result(plain, times)


def packed_status(status: os.stat_result) -> tuple[int, int, int]:
    """Return what `remote_status` makes it of again."""
    return status.st_size, int(status.st_mtime), status.st_ino


# What is being read.
File = FileIO | RemoteFile


@contextmanager
def opened_anywhere(
    path: Path, *, follow: bool = True, inside: Path | None = None
) -> Iterator[File]:
    """Yield the file at `path`, which may be remote. Raise as `opened` does."""
    if not isinstance(path, Remote):
        with opened(path, follow=follow, inside=inside) as file:
            yield file
        return
    if inside and not path.is_relative_to(inside):
        raise Unreadable(LEAVES)
    try:
        with path.opened() as remote:
            yield remote
    except OSError as error:
        raise Unreadable(reason_of(error)) from error


@contextmanager
def opened(path: Path, *, follow: bool = True, inside: Path | None = None) -> Iterator[FileIO]:
    """Yield the regular file at `path`, unbuffered; opening it never waits.

    `follow`: whether a link may lead to it. `inside`: the folder that it must be in, whatever
    became of `path` since it was listed. Raise Unreadable if it is missing, not a regular file, a
    link that may not be followed or one that leaves the folder; also for an OSError while it is
    open.
    """
    try:
        # Merely opening a device can have an effect.
        _check(os.stat(path, follow_symlinks=follow))
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | (0 if follow else os.O_NOFOLLOW)
        with FileIO(os.open(path, flags), "rb") as file:
            status = os.fstat(file.fileno())
            _check(status)
            if inside and not _was_opened_in(file, inside):
                _check_inside(path, status, inside)
            yield file
    except (OSError, ValueError) as error:  # ValueError: a name with a NUL byte
        raise Unreadable(_reason(error, follow)) from error


def status_of(file: File) -> os.stat_result:
    """Return the status of an opened file."""
    return file.status if isinstance(file, RemoteFile) else os.fstat(file.fileno())


def read(path: Path, limit: int, *, follow: bool = True) -> bytes:
    """Return the file's bytes. Raise Unreadable as `opened` does, and if they exceed `limit`."""
    with opened_anywhere(path, follow=follow) as file:
        return rest(file, limit)


def is_zip(path: Path) -> bool:
    """Return whether the file begins as a zip does; no frozen graph does."""
    try:
        with opened(path) as file:
            return file.read(len(_ZIP)) == _ZIP
    except Unreadable:
        return False


def rest(file: File, limit: int) -> bytes:
    """Return the rest of an opened file. Raise Unreadable if it has more than `limit` bytes.

    Nothing is copied if the file is as long as the system says.
    """
    size = _check_size(file, limit)
    parts, left = [], limit + 1
    while left and (part := file.read(min(left, size + 1))):
        parts.append(part)
        left -= len(part)
    if not left:
        raise too_large(limit)
    return b"".join(parts)


def real(path: Path) -> Path:
    """Return the absolute path that links lead to from `path`; links in a circle are left alone."""
    if isinstance(path, Remote):
        return path
    return Path(os.path.realpath(path))  # Path.resolve() raises RuntimeError for them


def is_there(path: Path) -> bool:
    """Return whether there is anything of this name, and be it a link that leads nowhere."""
    return path.exists() if isinstance(path, Remote) else os.path.lexists(path)


def leaves(path: Path, folder: Path) -> bool:
    """Return whether a link leads from `path`, which is in `folder`, to somewhere outside it."""
    return not real(path).is_relative_to(real(folder))


def is_written_to(path: Path) -> bool:
    """Return whether a process has the file open for writing; False if that cannot be known.

    Linux knows it, of files of one's own on its own disks. The process must ignore SIGIO, by which
    the system would say that somebody opens the file meanwhile.
    """
    if sys.platform != "linux":
        return False
    try:
        with opened(path) as file:
            # fcntl(2): a file that is being written to gets no lease. Closing it ends the lease.
            fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except Unreadable as error:
        return isinstance(error.__cause__, BlockingIOError)
    return False


def sha256(path: Path, limit: int, *, follow: bool = True) -> bytes:
    """Return the SHA-256 of the file, read piece by piece. Raise Unreadable as `read` does."""
    digest, left = hashlib.sha256(), limit
    with opened_anywhere(path, follow=follow) as file:
        _check_size(file, limit)
        while chunk := file.read(_CHUNK):
            left -= len(chunk)
            if left < 0:
                raise too_large(limit)
            digest.update(chunk)
    return digest.digest()


def too_large(limit: int) -> Unreadable:
    """Return the error to raise if a file has more than `limit` bytes."""
    return Unreadable(f"is larger than {limit / 1_000_000:g} MB")


def _check_size(file: File, limit: int) -> int:
    """Return the file's size in bytes. Raise Unreadable if more than `limit` of them follow."""
    size = status_of(file).st_size
    if size - file.tell() > limit:
        raise too_large(limit)
    return size


def _check(status: os.stat_result) -> None:
    if stat.S_ISLNK(status.st_mode):
        raise Unreadable("is a link")
    if not stat.S_ISREG(status.st_mode):
        raise Unreadable("is not a regular file")


def _was_opened_in(file: FileIO, folder: Path) -> bool:
    """Return whether the system says so; False if it does not say it, or if that is not so.

    proc(5): the link of an open file leads to where it is. This costs one call; to look at each
    folder on the way costs many.
    """
    try:
        return os.readlink(f"/proc/self/fd/{file.fileno()}").startswith(f"{folder}{os.sep}")
    except OSError:
        return False


def _check_inside(path: Path, status: os.stat_result, folder: Path) -> None:
    """Raise Unreadable unless `path` leads to the opened file now, and it is in `folder`."""
    there = real(path)
    same = os.path.samestat(status, os.lstat(there))
    if not same or not there.is_relative_to(real(folder)):
        raise Unreadable(LEAVES)


def _reason(error: OSError | ValueError, follow: bool) -> str:
    if isinstance(error, OSError):
        return "is a link" if error.errno == ELOOP and not follow else reason_of(error)
    return str(error)
