"""The only way a file gets its final name: complete, on disk, or not at all."""

import errno
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tensor_guess.errors import UserError, WrongUsage, reason_of, shown

_PREFIX, _SUFFIX = ".tensor-guess-", ".tmp"
_ABANDONED_SECONDS = 24 * 3600
# What file systems without hard links (exFAT, some network shares) answer to link().
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EACCES}


def publish(path: Path, data: bytes, *, replace: bool = True, mtime_ns: int | None = None) -> None:
    """Nothing comes back; `data` is at `path`, durably, or the old state is untouched.

    Written to a temporary name in the same folder, synced, then renamed (or linked where nothing
    may be replaced), and the folder synced. `mtime_ns`: modification time the file gets.

    Raises FileExistsError where `replace` is False and the name is taken, UserError where the
    system refuses (read-only, disk full).
    """
    temporary = _temporary(path)
    try:
        try:
            _write(temporary, data, mtime_ns)
            if replace:
                os.replace(temporary, path)
            else:
                _link(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
        _sync(path.parent)
    except FileExistsError:
        raise
    except OSError as error:
        raise UserError(f"could not write {shown(path)}: {reason_of(error)}") from error


@contextmanager
def draft(path: Path) -> Iterator[Path]:
    """A path of that name where a file or folder can be made, for `publish_made`; then it is gone.

    It is on the same disk. Raises UserError where the system refuses.
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
    """Nothing comes back; the file or folder `made` is at `path`, whole and durably.

    Raises UserError where there is something already, or the system refuses.
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
    """Nothing comes back: `path` is not there, can be, and would not lie among `pictures`.

    Raises WrongUsage or UserError: said before the work rather than after it.
    """
    if os.path.lexists(path):
        raise taken(path)
    folder = path.resolve().parent
    if not folder.is_dir():
        raise WrongUsage(f"there is no folder {shown(path.parent)} for {shown(path.name)}")
    if folder.is_relative_to(pictures.resolve()):
        raise WrongUsage(f"{shown(path)} would lie among the pictures; choose another folder")
    check_writable(folder)


def taken(path: Path) -> WrongUsage:
    """What is raised where something is there that is not to be replaced."""
    return WrongUsage(f"{shown(path)} is there already; remove it or choose another name")


def make_folder(path: Path) -> None:
    """Nothing comes back; the folder is there, with its parents, or UserError says why not."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"could not make the folder {shown(path)}: {reason_of(error)}") from error


def check_writable(folder: Path) -> None:
    """Nothing comes back, or UserError: said before the work rather than after it."""
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
    """Nothing comes back; what killed runs left half-written in the folder, a day ago, is gone."""
    for path in folder.glob(f"{_PREFIX}*{_SUFFIX}"):
        try:
            if time.time() - path.stat().st_mtime > _ABANDONED_SECONDS:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        except OSError:
            continue  # another run swept it, or it is not ours to remove


def _temporary(path: Path) -> Path:
    return path.with_name(f"{_PREFIX}{secrets.token_hex(8)}{_SUFFIX}")


def _write(path: Path, data: bytes, mtime_ns: int | None) -> None:
    with open(path, "xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
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
        # Without links the name is reserved first, so that nobody's file is replaced.
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
    finally:
        os.close(handle)
