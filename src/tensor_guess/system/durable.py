"""The only way a file gets its final name: complete and on disk, or not at all."""

import errno
import os
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tensor_guess.errors import UserError, WrongUsage, reason_of, shown
from tensor_guess.system.reading import real

_PREFIX, _SUFFIX = ".tensor-guess-", ".tmp"
_ABANDONED_SECONDS = 24 * 3600
# Errors of link() on file systems without hard links (exFAT, some network shares).
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EACCES}
# Errors of fsync() on file systems that cannot sync a folder.
_NO_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EBADF, errno.EACCES}

# In one piece, or in several.
Data = bytes | Iterable[bytes | memoryview]


def publish(
    path: Path,
    data: Data,
    *,
    replace: bool = True,
    mtime_ns: int | None = None,
    private: bool = False,
) -> None:
    """Write `data` to `path` durably, or leave the old state untouched.

    `private`: only its owner can read it. Raise as `stage` and `Staged.commit` do.
    """
    with stage(path, data, mtime_ns=mtime_ns, private=private) as staged:
        staged.commit(replace=replace)
        with _writing(path):
            _sync(path.parent)


@dataclass(frozen=True)
class Staged:
    """A file that is complete and on disk, under a temporary name beside its final one.

    Several can be staged before the first is committed, so that a full disk is noticed in time.
    Leaving the `with` block removes what was not committed.
    """

    path: Path
    temporary: Path

    def commit(self, *, replace: bool = True) -> None:
        """Give the file its final name, which is durable once its folder is synced.

        Raise FileExistsError if `replace` is False and the name is taken, UserError if the system
        refuses.
        """
        with _writing(self.path):
            if replace:
                os.replace(self.temporary, self.path)
            else:
                _link(self.temporary, self.path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):  # committed; or the disk is gone, and nothing can be done about it
            os.unlink(self.temporary)


def stage(
    path: Path,
    data: Data,
    *,
    mtime_ns: int | None = None,
    private: bool = False,
) -> Staged:
    """Write and sync `data` under a temporary name in the folder of `path`.

    `mtime_ns`: the modification time of the file. `private`: see `publish`. Raise UserError if the
    system refuses (read-only, disk full), and whatever an iterator of data raises; nothing is left
    behind then.
    """
    staged = Staged(path, _temporary(path))
    with _writing(path):
        try:
            _write(staged.temporary, data, mtime_ns, 0o600 if private else 0o666)
        except BaseException:
            staged.__exit__()
            raise
    return staged


def sync_folder(folder: Path) -> None:
    """Sync the names in the folder to disk. Raise UserError if the system refuses."""
    with _writing(folder):
        _sync(folder)


def move(path: Path, to: Path) -> None:
    """Give the file another name on its disk, durably.

    A kill leaves it under one of the names, or under both: one file with two names. Raise
    FileExistsError if `to` is taken, UserError if the system refuses.
    """
    with _writing(to):
        _link(path, to)
        _sync(to.parent)
        with suppress(FileNotFoundError):  # without links, it was renamed
            os.unlink(path)
        _sync(path.parent)


@contextmanager
def draft(path: Path) -> Iterator[Path]:
    """Yield a temporary path to make a file or folder at, for `publish_made`; remove it afterwards.

    It has the name of `path`, and is on the same disk. Raise UserError if the system refuses.
    """
    folder = _temporary(path)
    try:
        folder.mkdir(mode=0o700)
    except OSError as error:
        raise UserError(f"could not write {shown(path)}: {reason_of(error)}") from error
    try:
        yield folder / path.name
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def publish_made(made: Path, path: Path) -> None:
    """Move the file or folder `made` to `path`, whole and durably.

    Raise UserError if something is there already, or if the system refuses.
    """
    try:
        for each in (made, *made.rglob("*")):
            _sync(each)
        if made.is_dir():
            made.rename(path)
        else:
            _link(made, path)
        _sync(path.parent)
    except OSError as error:
        raise UserError(f"could not write {shown(path)}: {reason_of(error)}") from error


def check_new(path: Path, pictures: Path) -> None:
    """Check, before any work, that `path` can be made and is not among `pictures`.

    Raise WrongUsage or UserError if it exists already, cannot be made, or is there.
    """
    if os.path.lexists(path):
        raise already_there(path)
    folder = real(path).parent
    if not folder.is_dir():
        raise WrongUsage(f"there is no folder {shown(path.parent)} for {shown(path.name)}")
    if folder.is_relative_to(real(pictures)):
        raise WrongUsage(f"{shown(path)} would lie among the pictures; choose another folder")
    check_writable(folder)


def already_there(path: Path) -> WrongUsage:
    """Return the error to raise if something is at `path` that must not be replaced."""
    return WrongUsage(f"{shown(path)} is there already; remove it or choose another name")


def make_folder(path: Path) -> None:
    """Make the folder and its parents, if missing. Raise UserError if that fails."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"could not make the folder {shown(path)}: {reason_of(error)}") from error


def check_writable(folder: Path) -> None:
    """Raise UserError, before any work, if no file can be made in the folder."""
    probe = _temporary(folder / "probe")
    try:
        probe.touch(exist_ok=False)
        probe.unlink()
    except OSError as error:
        raise UserError(
            f"cannot write to {shown(folder)}: {reason_of(error)}; "
            "make it writable or work on a copy of it"
        ) from error


def sweep(folder: Path) -> None:
    """Remove what killed runs left half-written in the folder at least a day ago."""
    for path in folder.glob(f"{_PREFIX}*{_SUFFIX}"):
        try:
            if time.time() - path.stat().st_mtime > _ABANDONED_SECONDS:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        except OSError:
            continue  # another run swept it, or it is not ours to remove


def _temporary(path: Path) -> Path:
    return path.with_name(f"{_PREFIX}{secrets.token_hex(8)}{_SUFFIX}")


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Turn an OSError into a UserError, except FileExistsError."""
    try:
        yield
    except FileExistsError:
        raise
    except OSError as error:
        raise UserError(f"could not write {shown(path)}: {reason_of(error)}") from error


def _write(path: Path, data: Data, mtime_ns: int | None, mode: int = 0o666) -> None:
    handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, mode)
    try:
        for part in (data,) if isinstance(data, bytes) else data:
            left = memoryview(part)
            while left:
                left = left[os.write(handle, left) :]
        os.fsync(handle)
    finally:
        os.close(handle)
    if mtime_ns is not None:
        os.utime(path, ns=(mtime_ns, mtime_ns))


def _link(temporary: Path, path: Path) -> None:
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # Without links, reserve the name first, so that nobody's file is replaced.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        try:
            os.replace(temporary, path)
        except OSError:
            path.unlink()
            raise


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        # Some network shares cannot sync a folder; its names are then as safe as they can be.
        if error.errno not in _NO_SYNC or not path.is_dir():
            raise
    finally:
        os.close(handle)
