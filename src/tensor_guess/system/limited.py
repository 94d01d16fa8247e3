"""Run work on a stranger's file in a separate process with limits on memory and time.

Whatever the file does to the library that reads it, the program goes on.
"""

import ctypes
import gc
import os
import resource
import select
import signal
import struct
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import NoReturn

from tensor_guess.errors import Unreadable, reason_of

# A fork takes milliseconds; macOS' own libraries do not survive one.
CAN_FORK = sys.platform == "linux"

_SET_PARENT_DEATH_SIGNAL = 1  # prctl(2)
# When memory runs out, this process is killed first (proc(5)).
_FIRST_TO_GO = "1000"
# Seconds of the clock for each second of processor time: the machine may be busy.
_PATIENCE = 3
_CHUNK = 1_000_000
# Each message is one of these bytes and the length of what follows: a piece of the result, why
# there is none, or nothing after the last piece.
_PIECE, _UNREADABLE, _DONE = b"+", b"-", b"."
_HEADER = struct.Struct("<cQ")

# Without it, another thread's child could hold this one's pipe open.
_forking = Lock()


def run(work: Callable[[], bytes], memory: int, seconds: int) -> bytes:
    """Return what `work` returns in a fork with `memory` more bytes and `seconds` of CPU time.

    Nothing else that it does is seen here. Raise Unreadable as `work` does, and if it exceeds a
    limit or crashes. Call it only if CAN_FORK.
    """
    return b"".join(stream(lambda: (work(),), memory, seconds))


def stream(work: Callable[[], Iterable[bytes]], memory: int, seconds: int) -> Iterator[bytes]:
    """Yield each piece that `work` yields in such a fork, which waits until it is taken.

    Raise Unreadable as `run` does, after the pieces that came before. The fork ends with this
    iterator.
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
    pipe, kind, said, late = _Pipe(reading, _PATIENCE * seconds), b"", b"", False
    try:
        while True:
            kind, said = pipe.message()
            if kind != _PIECE:
                break
            yield said
    except TimeoutError:
        late = True
    finally:
        os.close(reading)
        os.kill(child, signal.SIGKILL)  # it has written all it had to
        ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if late or ended == -signal.SIGXCPU:
        raise Unreadable(f"takes more than {seconds} seconds")
    if kind == _UNREADABLE:
        raise Unreadable(said.decode())
    if kind != _DONE:
        how = f" ({signal.Signals(-ended).name})" if ended < 0 else ""
        raise Unreadable(f"is too much for its decoder{how}")


def limit(memory: int, seconds: int) -> None:
    """Silence this process, let it be killed first, and limit its further memory and time.

    Memory is limited on Linux only.
    """
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # meant for the program, which then ends this process
    silent = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(silent, stream)
    _at_most(resource.RLIMIT_CORE, 0)
    _at_most(
        resource.RLIMIT_CPU, seconds, seconds + 5
    )  # SIGXCPU says why it ended, SIGKILL would not
    _at_most(resource.RLIMIT_FSIZE, memory)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
        Path("/proc/self/oom_score_adj").write_text(_FIRST_TO_GO)
        # Not the address space: each thread reserves far more of it than it uses.
        status = Path("/proc/self/status").read_text()
        has = int(status.partition("VmData:")[2].split()[0]) * 1024
        _at_most(resource.RLIMIT_DATA, has + memory)


def _at_most(resource_: int, limit: int, hard: int | None = None) -> None:
    _, already = resource.getrlimit(resource_)
    most = limit if hard is None else hard
    most = most if already == resource.RLIM_INFINITY else min(most, already)
    resource.setrlimit(resource_, (min(limit, most), most))


def _work(work: Callable[[], Iterable[bytes]], writing: int, memory: int, seconds: int) -> NoReturn:
    """Write what `work` yields, or why it failed, into the pipe, and exit."""
    # None of the program's objects may be finalised here: that could wait for its threads, which
    # this process does not have.
    gc.disable()
    try:
        limit(memory, seconds)
        try:
            for piece in work():
                _write(writing, _PIECE, piece)
            _write(writing, _DONE, b"")
        except Unreadable as error:
            _write(writing, _UNREADABLE, str(error).encode())
    finally:
        os._exit(1)


def _write(writing: int, kind: bytes, said: bytes) -> None:
    for part in (_HEADER.pack(kind, len(said)), said):
        left = memoryview(part)
        while left:
            left = left[os.write(writing, left) :]


@dataclass
class _Pipe:
    """The end to read from, and for how many more seconds to wait for what comes out of it."""

    end: int
    patience: float

    def message(self) -> tuple[bytes, bytes]:
        """Return the next message's kind and content; b"", b"" if the other end was closed.

        Raise TimeoutError if it takes too long.
        """
        header = self._take(_HEADER.size)
        if header is None:
            return b"", b""
        kind, length = _HEADER.unpack(header)
        said = self._take(length)
        return (b"", b"") if said is None else (kind, said)

    def _take(self, count: int) -> bytes | None:
        parts: list[bytes] = []
        while count:
            began, poll = time.monotonic(), select.poll()
            poll.register(self.end, select.POLLIN)
            ready = self.patience > 0 and poll.poll(1000 * self.patience)
            self.patience -= time.monotonic() - began
            if not ready:
                raise TimeoutError
            part = os.read(self.end, min(count, _CHUNK))
            if not part:
                return None
            parts.append(part)
            count -= len(part)
        return b"".join(parts)
