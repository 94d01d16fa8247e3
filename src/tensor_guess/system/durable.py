"""The only way a file gets its final name: complete and on disk, or not at all.

And journals, whose lines say what is done to files.
"""

import errno
import fcntl
import json
import os
import secrets
import shutil
import stat
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any, Self

from tensor_guess.config import HIDDEN, TEMPORARY
from tensor_guess.errors import Unreadable, UserError, WrongUsage, reason_of, shown
from tensor_guess.system import progress
from tensor_guess.system.reading import Remote, real

# After so long, what is half-written was left by a killed run.
ABANDONED_SECONDS = 24 * 3600
# Errors of link() on file systems without hard links (exFAT, some network shares).
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EACCES}
# Errors of fsync() on file systems that cannot sync a folder.
_NO_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EBADF, errno.EACCES}
# Errors of cloning if the files are on different disks, or on one that cannot share blocks.
_NO_CLONES = {errno.EXDEV, errno.EINVAL, errno.ENOTTY, errno.EPERM, errno.EBADF, errno.ETXTBSY}
_NO_CLONES |= {errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}
_FICLONE = 0x40049409  # Linux: make one file share the blocks of another
# Errors of fchmod() on file systems without permissions.
_NO_MODES = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}

# O_APPEND puts each line at the end as a whole, even if another run writes at the same time.
# O_NOFOLLOW, because a link may lead to somebody's photo.
_JOURNAL = os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_MAX_LINE = 8_000_000  # a hundred thousand labels with their scores fit

# In one piece, or in several.
Data = bytes | Iterable[bytes | memoryview]


def publish(
    path: Path,
    data: Data,
    *,
    replace: bool = True,
    private: bool = False,
) -> None:
    """Write `data` to `path` durably, or leave the old state untouched.

    `private`: only its owner can read it. Raise as `stage` and `Staged.commit` do.
    """
    with stage(path, data, private=private) as staged:
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

    def take_back(self) -> None:
        """Take the final name away again; it is staged as before. Raise UserError if that fails."""
        with _writing(self.path):
            if os.path.lexists(self.temporary):
                os.unlink(self.path)
            else:  # without links, it was renamed
                os.rename(self.path, self.temporary)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.discard()

    def discard(self) -> None:
        """Remove it, unless it was committed."""
        with suppress(OSError):  # or the disk is gone, and nothing can be done about it
            os.unlink(self.temporary)


def stage(
    path: Path,
    data: Data,
    *,
    like: os.stat_result | None = None,
    mode: int | None = None,
    private: bool = False,
    run: str = "",
) -> Staged:
    """Write and sync `data` under a temporary name in the folder of `path`.

    `like`: of which file it gets the modification time and the permissions. `mode`: permissions
    alone. `private`: see `publish`. `run`: see `sweep`. Raise UserError if the system refuses
    (read-only, disk full), and whatever an iterator of data raises; nothing is left behind then.
    """
    staged = Staged(path, _temporary(path, run))
    with _staging(staged), _new(staged.temporary, like, 0o600 if private else 0o666) as handle:
        _write(handle, data)
        if mode is not None:
            _give_mode(handle, mode)
    return staged


def stage_clone(path: Path, source: int, *, like: os.stat_result, run: str) -> Staged | None:
    """Stage a copy of an opened file that shares its blocks; return None if that is not possible.

    The other arguments and errors are those of `stage`.
    """
    if sys.platform != "linux":
        return None
    staged = Staged(path, _temporary(path, run))
    with _staging(staged):
        try:
            with _new(staged.temporary, like, 0o600) as handle:
                fcntl.ioctl(handle, _FICLONE, source)
        except OSError as error:
            if error.errno not in _NO_CLONES:
                raise
            staged.discard()
            return None
    return staged


def stage_link(path: Path, source: Path, *, run: str) -> Staged:
    """Stage another name of the file at `source`; it may be a symbolic link, and is not followed.

    Raise Unreadable if there can be none: it is gone, on another disk, or on one without hard
    links. Raise UserError if the system refuses for another reason.
    """
    staged = Staged(path, _temporary(path, run))
    with _staging(staged):
        try:
            os.link(source, staged.temporary, follow_symlinks=False)
        except OSError as error:
            if error.errno not in {errno.EXDEV, errno.ENOENT, *_NO_LINKS}:
                raise
            raise Unreadable(f"cannot get another name: {reason_of(error)}") from error
    return staged


def stage_symlink(path: Path, target: str, *, run: str) -> Staged:
    """Stage a symbolic link. Raise UserError if the system refuses."""
    staged = Staged(path, _temporary(path, run))
    with _staging(staged):
        os.symlink(target, staged.temporary)
    return staged


def sync_folder(folder: Path) -> None:
    """Sync the names in the folder to disk. Raise UserError if the system refuses.

    A remote folder, here and below, is nothing that could be made, locked or synced.
    """
    if isinstance(folder, Remote):
        return
    with _writing(folder):
        _sync(folder)


def move(path: Path, to: Path) -> None:
    """Give the file another name on its disk, durably.

    A kill leaves it under one of the names, or under both: one file with two names. That is no
    obstacle the next time. Raise FileExistsError if `to` is taken by another file, UserError if the
    system refuses.
    """
    with _writing(to):
        if not is_same(path, to):
            _link(path, to)
            _sync(to.parent)
        with suppress(FileNotFoundError):  # without links, it was renamed
            os.unlink(path)
        _sync(path.parent)


def is_same(path: Path, other: Path) -> bool:
    """Return whether both names are there, for one file."""
    try:
        return os.path.samestat(os.lstat(path), os.lstat(other))
    except OSError:
        return False


def remove(path: Path) -> None:
    """Remove the name of a file, if it is still there; it is gone for good once its folder is
    synced. Raise UserError if the system refuses.
    """
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise UserError(f"could not remove {shown(path)}: {reason_of(error)}") from error


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
    if isinstance(path, Remote):
        return
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"could not make the folder {shown(path)}: {reason_of(error)}") from error


def make_folder_in(root: Path, folder: Path) -> None:
    """Make the folder, which is below `root`, durably if it is missing. Raise as `make_folder`."""
    if not folder.is_dir():
        make_folder(folder)
        for each in (folder, *folder.parents):
            if each.is_relative_to(root):
                sync_folder(each)


def check_writable(folder: Path) -> None:
    """Raise UserError, before any work, if no file can be made in the folder."""
    if isinstance(folder, Remote):  # the first line of a journal shows it
        return
    probe = _temporary(folder / "probe")
    try:
        probe.touch(exist_ok=False)
        probe.unlink()
    except OSError as error:
        raise UserError(
            f"cannot write to {shown(folder)}: {reason_of(error)}; "
            "make it writable or work on a copy of it"
        ) from error


def sweep(folder: Path, run: str = "") -> None:
    """Remove what killed runs left half-written in the folder at least a day ago.

    With `run`, all that this run has left, at once.
    """
    if isinstance(folder, Remote):
        return
    for path in folder.glob(f"{HIDDEN}{run}*{TEMPORARY}"):
        try:
            # The time of a copy, and of what a link leads to, is that of somebody's photo.
            if run or time.time() - path.lstat().st_ctime > ABANDONED_SECONDS:
                is_folder = stat.S_ISDIR(path.lstat().st_mode)
                shutil.rmtree(path) if is_folder else path.unlink()
        except OSError:
            continue  # another run swept it, or it is not ours to remove


@contextmanager
def turn(folder: Path) -> Iterator[None]:
    """Keep the folder for one run at a time: wait until no other has it, and say so.

    This is a courtesy. On a file system without locks, all go on at once: nothing is overwritten,
    but what one of them has just done, the others do not know.
    """
    if isinstance(folder, Remote):
        yield
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(OSError):  # there are no locks
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                progress.say(f"another run is at work in {shown(folder)}; waiting for it")
                fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


class Journal:
    """A file of lines in JSON: they are added at its end, and it is never rewritten.

    Open in a `with` block; `make`: if it is missing, it is made; `read_only`: nothing is added.
    Every method raises UserError if the system refuses.
    """

    def __init__(self, path: Path, *, make: bool = True, read_only: bool = False) -> None:
        self.path, self.damaged = path, 0
        self._flags = _JOURNAL | (os.O_CREAT if make else 0)
        if read_only:
            self._flags &= ~(os.O_RDWR | os.O_APPEND)
        self._writing, self._torn = Lock(), False

    def __enter__(self) -> Self:
        with self._said("open"):
            self._file = os.open(self.path, self._flags, 0o666)
        try:
            with self._said("read"):
                if not stat.S_ISREG(os.fstat(self._file).st_mode):
                    raise UserError(f"{shown(self.path)} is not a regular file; move it away")
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error:
            with suppress(UserError):  # an earlier error is reported, not this one
                self._sync_own()
            self._close()
            return
        try:
            self._sync_own()
        except UserError:
            self._close()
            raise
        with self._said("write"):
            os.close(self._file)

    def _sync_own(self) -> None:
        if self._flags & os.O_RDWR:
            self.sync()

    def _close(self) -> None:
        with suppress(OSError):
            os.close(self._file)

    def lines(self) -> Iterator[dict[str, Any]]:
        """Yield the objects in it, in their order; afterwards `damaged` lines were passed over.

        To be read to the end before the first line is added.
        """
        self.damaged, line = 0, b"\n"
        for line in self._lines():
            if line.isspace():  # two runs found the same unfinished line, and both ended it
                continue
            try:
                values = json.loads(line)
            except (RecursionError, ValueError):
                values = None
            if isinstance(values, dict):
                yield values
            else:
                self.damaged += 1
        self._torn = not line.endswith(b"\n")  # the last run was killed in the middle of a line

    def add(self, *, sync: bool = False, **values: Any) -> None:
        """Add a line; with `sync`, it is on disk when this returns, and all before it are."""
        line = json.dumps(values).encode() + b"\n"
        with self._writing, self._said("write"):
            left = memoryview(b"\n" + line if self._torn else line)
            self._torn = True  # until all of it is there
            while left:
                left = left[os.write(self._file, left) :]
            self._torn = False
        if sync:
            self.sync()

    def sync(self) -> None:
        """Return when all lines are on disk."""
        with self._said("write"):
            os.fsync(self._file)

    def sync_name(self) -> None:
        """Return when its name is on disk."""
        with self._said("write"):
            _sync(self.path.parent)

    def _lines(self) -> Iterator[bytes]:
        with self._said("read"), open(os.dup(self._file), "rb") as file:
            file.seek(0)
            if file.peek(1)[:1] not in (b"", b"{", b"\n"):
                raise UserError(f"{shown(self.path)} is not one of ours; move it away")
            while line := file.readline(_MAX_LINE):
                yield line

    @contextmanager
    def _said(self, doing: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise UserError(f"could not {doing} {shown(self.path)}: {reason_of(error)}") from error


def _temporary(path: Path, run: str = "") -> Path:
    return path.with_name(f"{HIDDEN}{run}{secrets.token_hex(8)}{TEMPORARY}")


@contextmanager
def _staging(staged: Staged) -> Iterator[None]:
    """Remove what was staged, and turn an OSError into a UserError, if there is an error."""
    with _writing(staged.path):
        try:
            yield
        except BaseException:
            staged.discard()
            raise


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Turn an OSError into a UserError, except FileExistsError."""
    try:
        yield
    except FileExistsError:
        raise
    except OSError as error:
        raise UserError(f"could not write {shown(path)}: {reason_of(error)}") from error


@contextmanager
def _new(path: Path, like: os.stat_result | None, mode: int) -> Iterator[int]:
    """Make a file, and sync it after the block."""
    handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, mode)
    try:
        yield handle
        if like:
            _make_like(handle, like)
        os.fsync(handle)
    finally:
        os.close(handle)


def _give_mode(handle: int, mode: int) -> None:
    try:
        os.fchmod(handle, mode & 0o777)  # what else there is (setuid) is no photo's
    except OSError as error:
        if error.errno not in _NO_MODES:
            raise


def _make_like(handle: int, like: os.stat_result) -> None:
    _give_mode(handle, like.st_mode)
    os.utime(handle, ns=(like.st_mtime_ns, like.st_mtime_ns))


def _write(handle: int, data: Data) -> None:
    for part in (data,) if isinstance(data, bytes) else data:
        left = memoryview(part)
        while left:
            left = left[os.write(handle, left) :]


def _link(temporary: Path, path: Path) -> None:
    try:
        os.link(temporary, path, follow_symlinks=False)
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
