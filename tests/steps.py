"""A crash or a full disk at the nth step by which a program reaches the file system.

A test forks a child for each n, until one comes through:

    for nth in count(1):
        ended = ended_of(lambda: (die_at(nth), work()))
        ...
        if ended == 0:
            break
"""

import errno
import os
import signal
from collections.abc import Callable
from typing import Any

# All calls by which durable files are made. An open() is a step where it may make a file.
STEPS = ("open", "write", "fsync", "utime", "replace", "rename", "link", "unlink", "mkdir", "close")
# Those that take room on a disk.
_GROWING = {"open", "write", "fsync", "replace", "rename", "link", "mkdir"}


def ended_of(code: Callable[[], object]) -> int:
    """How a forked child that runs `code` ended: 0, 1 for an exception, its exit code, -signal."""
    child = os.fork()
    if not child:
        try:
            code()
        except SystemExit as error:
            os._exit(error.code if isinstance(error.code, int) else 1)
        except BaseException:
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def die_at(nth: int, *, after: bool = False) -> None:
    """From now on the process dies by SIGKILL at its nth step, before it or just after it."""

    def die(number: int, step: str, done: bool) -> None:
        if number == nth and done is after:
            os.kill(os.getpid(), signal.SIGKILL)

    _watch(die)


def full_from(nth: int) -> None:
    """From the nth step on the disk is full: whatever would take room fails with ENOSPC."""

    def fail(number: int, step: str, done: bool) -> None:
        if number >= nth and step in _GROWING and not done:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    _watch(fail)


def _watch(at: Callable[[int, str, bool], None]) -> None:
    """`at` is called before and after each step, with its number, its name and which it is."""
    number = 0

    def watched(step: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            nonlocal number
            if step == "open" and not _makes(*arguments[1:2], **options):
                return real(*arguments, **options)
            number += 1
            own = number
            at(own, step, False)
            result = real(*arguments, **options)
            at(own, step, True)
            return result

        return call

    for step in STEPS:
        setattr(os, step, watched(step, getattr(os, step)))


def _makes(flags: int = 0, **_: Any) -> bool:
    return bool(flags & (os.O_CREAT | os.O_TRUNC))
