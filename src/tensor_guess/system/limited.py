"""Work with a stranger's file, in a process of its own that may take only so much.

Whatever the file does to a library that reads it, the program goes on.
"""

import ctypes
import gc
import os
import resource
import select
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import NoReturn

from tensor_guess.errors import Unreadable, reason_of

# A fork takes milliseconds; macOS' own libraries do not outlive one.
CAN_FORK = sys.platform == "linux"

_SET_PARENT_DEATH_SIGNAL = 1  # prctl(2)
# Whoever needs memory most takes it from this process first (proc(5)).
_FIRST_TO_GO = "1000"
# A machine may be busy: so many seconds of the clock for one of a processor.
_PATIENCE = 3
_CHUNK = 1_000_000
_DONE, _UNREADABLE = b"+", b"-"

# Else another's child would hold this one's pipe open.
_forking = Lock()


def run(work: Callable[[], bytes], memory: int, seconds: int) -> bytes:
    """What `work` returns, in a fork that may take `memory` bytes more and `seconds` of processors.

    Nothing that it does is seen here. Raises Unreadable: as `work` does, where it took too much,
    or where it crashed. To be called where CAN_FORK.
    """
    try:
        with _forking:
            reading, writing = os.pipe()
            child = os.fork()
            if not child:
                _work(work, writing, memory, seconds)
            os.close(writing)
    except OSError as error:
        raise Unreadable(f"no process could be started for it: {reason_of(error)}") from error
    try:
        said = _all_of(reading, time.monotonic() + _PATIENCE * seconds)
    finally:
        os.close(reading)
        os.kill(child, signal.SIGKILL)  # it has said all that it had to say
        ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if said is None or ended == -signal.SIGXCPU:
        raise Unreadable(f"takes more than {seconds} seconds")
    if said.startswith(_DONE):
        return said[1:]
    if said.startswith(_UNREADABLE):
        raise Unreadable(said[1:].decode())
    how = f" ({signal.Signals(-ended).name})" if ended < 0 else ""
    raise Unreadable(f"is too much for its decoder{how}")


def limit(memory: int, seconds: int) -> None:
    """Make this process silent, the first to go, and give it only so much more memory and time.

    Elsewhere than on Linux no limit on memory is kept.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # meant for the program, which ends this process
    silent = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(silent, stream)
    _at_most(resource.RLIMIT_CORE, 0)
    _at_most(resource.RLIMIT_CPU, seconds, seconds + 5)  # SIGXCPU says why, SIGKILL would not
    _at_most(resource.RLIMIT_FSIZE, memory)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
        Path("/proc/self/oom_score_adj").write_text(_FIRST_TO_GO)
        # Not the address space: of that, each thread reserves far more than it uses.
        status = Path("/proc/self/status").read_text()
        has = int(status.partition("VmData:")[2].split()[0]) * 1024
        _at_most(resource.RLIMIT_DATA, has + memory)


def _at_most(resource_: int, limit: int, hard: int | None = None) -> None:
    _, already = resource.getrlimit(resource_)
    most = limit if hard is None else hard
    most = most if already == resource.RLIM_INFINITY else min(most, already)
    resource.setrlimit(resource_, (min(limit, most), most))


def _work(work: Callable[[], bytes], writing: int, memory: int, seconds: int) -> NoReturn:
    """Does not come back: what `work` returned, or why not, is in the pipe."""
    # Nothing of the program's may be cleared away here: it could wait for its threads, which are
    # not there.
    gc.disable()
    try:
        limit(memory, seconds)
        try:
            said = _DONE + work()
        except Unreadable as error:
            said = _UNREADABLE + str(error).encode()
        left = memoryview(said)
        while left:
            left = left[os.write(writing, left) :]
    finally:
        os._exit(1)


def _all_of(reading: int, deadline: float) -> bytes | None:
    """What comes until the other end is closed; None if that takes longer."""
    parts: list[bytes] = []
    while (left := deadline - time.monotonic()) > 0:
        poll = select.poll()
        poll.register(reading, select.POLLIN)
        if poll.poll(1000 * left):
            part = os.read(reading, _CHUNK)
            if not part:
                return b"".join(parts)
            parts.append(part)
    return None
