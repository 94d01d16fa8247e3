"""A crash, a full disk or a bad one at the nth step by which a program reaches the file system.

A test forks a child for each n, until one comes through without reaching it:

    for nth in count(1):
        ended = ended_of(lambda: (die_at(nth), work()))
        ...
        if not reached():
            break

Where threads write, the order of their steps differs from run to run, and their number does not:
whichever is the nth, is the one.
"""

import errno
import gc
import mmap
import os
import signal
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from io import FileIO
from multiprocessing import get_context
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

from tensor_guess.system import reading

# All calls by which durable files are made. An open() is a step where it may make a file.
STEPS = (
    "open", "write", "fsync", "fchmod", "utime", "replace", "rename", "link", "symlink", "unlink",
    "mkdir", "rmdir", "close",
)  # fmt: skip
# Those that take room on a disk.
_GROWING = {"open", "write", "fsync", "replace", "rename", "link", "symlink", "mkdir"}

Result = TypeVar("Result")

_reached = mmap.mmap(-1, 1)  # shared with the children


def alone(code: Callable[..., Result], *arguments: object) -> Result:
    """What `code(*arguments)` returns, or raises, in a new process.

    It has no threads, so it can fork: OpenVINO in a fork waits for the threads that it had before.
    """
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(code, *arguments).result()


def ended_of(code: Callable[[], object]) -> int:
    """How a forked child that runs `code` ended: 0, 1 for an exception, its exit code, -signal."""
    _reached[0] = False
    child = os.fork()
    if not child:
        gc.disable()  # what is OpenVINO's waits for threads that are not in a fork
        try:
            code()
        except SystemExit as error:
            os._exit(error.code if isinstance(error.code, int) else int(error.code is not None))
        except BaseException:
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def reached() -> bool:
    """Whether the last child came to the step at which something was to happen."""
    return bool(_reached[0])


def die_at(nth: int, *, after: bool = False) -> None:
    """From now on the process dies by SIGKILL at its nth step, before it or just after it."""

    def die(number: int, step: str, done: bool) -> None:
        if number == nth and done is after:
            _reached[0] = True
            os.kill(os.getpid(), signal.SIGKILL)

    _watch(die)


def full_from(nth: int) -> None:
    """From the nth step on the disk is full: whatever would take room fails with ENOSPC."""

    def fail(number: int, step: str, done: bool) -> None:
        if number >= nth and step in _GROWING and not done:
            _reached[0] = True
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    _watch(fail)


def bad_at(nth: int) -> None:
    """The nth step fails with EIO, as on a disk that is dying; those after it do not.

    Closing does not fail: what was written is on the disk by then.
    """

    def fail(number: int, step: str, done: bool) -> None:
        if number == nth and not done:
            _reached[0] = True
            if step != "close":
                raise OSError(errno.EIO, os.strerror(errno.EIO))

    _watch(fail)


def unreadable_at(nth: int) -> None:
    """From now on the nth piece that is read of a stranger's file cannot be read: EIO."""
    counted = _counter()

    class Bad(FileIO):
        def read(self, size: int | None = -1, /) -> bytes | Any:
            if counted() == nth:
                _reached[0] = True
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return super().read(-1 if size is None else size)

    setattr(reading, "FileIO", Bad)  # noqa: B010  (mypy knows no such name there)


def watch_for_others(folder: Path) -> None:
    """From now on the process ends with 9 where it opens a file below `folder` for writing
    otherwise than by a step."""

    def look(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and arguments[1] is not None and not isinstance(arguments[0], int):
            path, _, flags = arguments
            if flags & (os.O_WRONLY | os.O_RDWR) and os.fsdecode(path).startswith(str(folder)):
                os._exit(9)

    sys.addaudithook(look)


def _watch(at: Callable[[int, str, bool], None]) -> None:
    """`at` is called before and after each step, with its number, its name and which it is."""
    counted, process = _counter(), os.getpid()

    def watched(step: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            reads = step == "open" and not _makes(*arguments[1:2], **options)
            if reads or os.getpid() != process:  # what it starts has steps of its own
                return real(*arguments, **options)
            own = counted()
            at(own, step, False)
            result = real(*arguments, **options)
            at(own, step, True)
            return result

        return call

    for step in STEPS:
        setattr(os, step, watched(step, getattr(os, step)))


def _counter() -> Callable[[], int]:
    """What gives 1, 2, 3, to whichever thread asks."""
    number, lock = 0, Lock()

    def counted() -> int:
        nonlocal number
        with lock:
            number += 1
            return number

    return counted


def _makes(flags: int = 0, **_: Any) -> bool:
    return bool(flags & (os.O_CREAT | os.O_TRUNC))
