"""Temporary folders; those that killed runs left behind are removed at the next chance."""

import fcntl
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tensor_guess.config import HIDDEN, TEMPORARY
from tensor_guess.errors import UserError, reason_of, shown
from tensor_guess.system.durable import ABANDONED_SECONDS
from tensor_guess.system.progress import OutOfTime


@contextmanager
def folder() -> Iterator[Path]:
    """Yield a new folder that only this user can read; remove it afterwards.

    Raise UserError if it cannot be made.
    """
    try:
        _sweep(Path(tempfile.gettempdir()))
        made = tempfile.TemporaryDirectory(TEMPORARY, HIDDEN, ignore_cleanup_errors=True)
        held = _held(made.name)
    except OSError as error:
        raise UserError(
            f"could not make a temporary folder: {reason_of(error)}; set TMPDIR to a folder for it"
        ) from error
    with made as name:
        try:
            yield Path(name)
        finally:
            os.close(held)


@contextmanager
def kept(place: Path, name: str) -> Iterator[Path]:
    """Yield the folder of that name in `place`; it is removed when all is done or given up.

    It is given up by OutOfTime. Otherwise it stays for a day, so that the next run with this name
    can go on. Raise UserError if it cannot be made, or if another run uses it.
    """
    folder = place / f"{HIDDEN}{name}{TEMPORARY}"
    try:
        place.mkdir(parents=True, exist_ok=True)
        _sweep(place)
        folder.mkdir(mode=0o700, exist_ok=True)
        held = _held(folder)
    except BlockingIOError as error:
        raise UserError(f"another run is at work in {shown(folder)}; wait for it") from error
    except OSError as error:
        raise UserError(f"could not make the folder {shown(folder)}: {reason_of(error)}") from error
    try:
        yield folder
    except OutOfTime:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    else:
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(held)


def _held(folder: str | Path) -> int:
    """Return a handle that marks the folder as in use. Raise BlockingIOError if it is already."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException:
        os.close(handle)
        raise
    return handle


def _sweep(place: Path) -> None:
    """Remove the folders in `place` that this user's runs left at least a day ago."""
    for path in place.glob(f"{HIDDEN}*{TEMPORARY}"):
        try:
            status = path.lstat()
            ours = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()
            if ours and time.time() - status.st_mtime > ABANDONED_SECONDS:
                os.close(_held(path))  # a run may have slept for a day
                shutil.rmtree(path)
        except OSError:
            continue  # in use, or another run swept it
