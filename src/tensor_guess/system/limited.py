"""Run work on a stranger's file in a separate process with limits on memory and time.

Whatever the file does to the library that reads it, the program goes on. `run` and `stream` start a
process for each file, `Workers` keeps them for the next.
"""

import atexit
import ctypes
import gc
import mmap
import os
import resource
import select
import signal
import struct
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, suppress
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
# there is none, or nothing after the last piece. A worker may also say that the result is in memory
# that both see, and ask for room, for which it gets an answer.
_PIECE, _UNREADABLE, _DONE, _SHARED, _ROOM = b"+", b"-", b".", b"=", b"?"
_HEADER = struct.Struct("<cQ")
_NUMBER, _GRANTED = struct.Struct("<Q"), b"y"
# What a worker is sent: the lengths of the job and of the file, which are in memory that both see.
_JOB = struct.Struct("<QQ")
# Larger ones are not carried to a worker: a new one has their bytes from the start.
_CARRIED = 8_000_000
# What a worker may take without asking for room.
_SMALL = 16_000_000

# Without it, another thread's child could hold this one's pipe open.
_forking = Lock()


def run(work: Callable[[], bytes], memory: int, seconds: int) -> bytes:
    """Return what `work` returns in a fork with `memory` more bytes and `seconds` of CPU time.

    Nothing else that it does is seen here, and no file that is open here is open there. Raise
    Unreadable as `work` does, and if it exceeds a limit or crashes. Call it only if CAN_FORK.
    """
    return b"".join(stream(lambda: (work(),), memory, seconds, files=False))


def stream(
    work: Callable[[], Iterable[bytes]], memory: int, seconds: int, *, files: bool = True
) -> Iterator[bytes]:
    """Yield each piece that `work` yields in such a fork, which waits until it is taken.

    `files`: whether it has the files that are open here. Raise Unreadable as `run` does, after the
    pieces that came before. The fork ends with this iterator.
    """
    try:
        with _forking:
            reading, writing = os.pipe()
            child = os.fork()
            if not child:
                if not files:  # a connection ends only if nobody has it any more
                    _close_all_but(writing)
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
    if kind == _UNREADABLE:
        raise Unreadable(said.decode())
    if late or kind != _DONE:
        raise Unreadable(_why(ended, seconds, late=late))


def _why(ended: int, seconds: int, *, late: bool) -> str:
    """Return why there is no result of a process that ended like this."""
    if late or ended in (-signal.SIGXCPU, -signal.SIGPROF):
        return f"takes more than {seconds} seconds"
    how = f" ({signal.Signals(-ended).name})" if ended < 0 else ""
    return f"is too much for its decoder{how}"


def limit(memory: int, seconds: int) -> None:
    """Silence this process, let it be killed first, and limit its further memory and time.

    Memory is limited on Linux only. It dies with the thread that started it.
    """
    # SIGXCPU says why it ended, SIGKILL would not.
    _at_most(resource.RLIMIT_CPU, seconds, seconds + 5)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    _limit(memory)


def _limit(memory: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # meant for the program, which ends this process
    silent = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(silent, stream)
    _at_most(resource.RLIMIT_CORE, 0)
    _at_most(resource.RLIMIT_FSIZE, memory)
    if sys.platform == "linux":
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
        _write_all(writing, part)


def _write_all(writing: int, data: bytes) -> None:
    left = memoryview(data)
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


# --- processes that are kept

# Waits until this many bytes may be taken, and gives them back; Unreadable if they never may.
Room = Callable[[int], AbstractContextManager[None]]
# Returns the result of a job on a file's bytes; before it takes memory, it calls its last argument.
Work = Callable[[bytes, bytes, Callable[[int], None]], bytes]


class Workers:
    """Forks that do one job after another, each with `memory` more bytes and `seconds` of CPU time.

    One that crashes, hangs or grows too much ends, and the next job gets another. All end with this
    process. Any thread may call `run`; call it only if CAN_FORK.
    """

    def __init__(self, work: Work, memory: int, seconds: int) -> None:
        self._work, self._memory, self._seconds = work, memory, seconds
        self._idle: list[_Worker] = []
        os.register_at_fork(after_in_child=self._idle.clear)
        atexit.register(self.end)

    def end(self) -> None:
        """End the workers that are idle, so that what they used is known of this process."""
        while self._idle:
            self._idle.pop().end()

    def run(self, job: bytes, data: bytes, room: Room) -> bytes:
        """Return what `work` returns for the job and the file's bytes.

        `room` is entered for what it asks for, until the job is done. Raise Unreadable as `work`
        and `room` do, and if a limit is exceeded or the worker crashes.
        """
        kept = len(job) + len(data) <= _CARRIED
        worker = self._told(job, data) if kept else self._started((job, data))
        kind, said, late, ended = b"", b"", False, 0
        try:
            with ExitStack() as rooms:
                kind, said = worker.answer(lambda more: rooms.enter_context(room(more)))
        except TimeoutError:
            late = True
        finally:
            if kept and kind in (_DONE, _UNREADABLE):
                self._idle.append(worker)
            else:
                ended = worker.end()
        if kind == _UNREADABLE:
            raise Unreadable(said.decode())
        if kind != _DONE:
            raise Unreadable(_why(ended, self._seconds, late=late))
        return said

    def _told(self, job: bytes, data: bytes) -> "_Worker":
        """Return a worker that has been sent the job."""
        while True:
            try:
                worker, new = self._idle.pop(), False
            except IndexError:
                worker, new = self._started(None), True
            try:
                worker.send(job, data)
            except OSError:  # it was killed while it was idle
                worker.end()
                if new:
                    raise Unreadable("is too much for its decoder") from None
            else:
                return worker

    def _started(self, first: tuple[bytes, bytes] | None) -> "_Worker":
        try:
            with _forking:
                reading, answering = os.pipe()
                hearing, telling = os.pipe()
                shared = mmap.mmap(-1, _CARRIED)
                child = os.fork()
                if not child:
                    limits = self._memory, self._seconds
                    _serve(self._work, first, hearing, answering, shared, limits)
                os.close(answering)
                os.close(hearing)
        except OSError as error:
            raise Unreadable(f"no process could be started for it: {reason_of(error)}") from error
        return _Worker(child, reading, telling, shared, _PATIENCE * self._seconds)


@dataclass
class _Worker:
    """A fork, the ends of its pipes, memory that both see, and the seconds to wait in a job."""

    child: int
    reading: int
    telling: int
    shared: mmap.mmap
    patience: float

    def send(self, job: bytes, data: bytes) -> None:
        """Send a job. Raise OSError if the fork is gone."""
        self.shared[: len(job)] = job
        self.shared[len(job) : len(job) + len(data)] = data
        _write_all(self.telling, _JOB.pack(len(job), len(data)))

    def answer(self, room: Callable[[int], object]) -> tuple[bytes, bytes]:
        """Return the kind and the content of its answer; let it take what `room` lets it take.

        Raise TimeoutError if it takes too long, and Unreadable as `room` does.
        """
        pipe = _Pipe(self.reading, self.patience)
        while (said := pipe.message())[0] == _ROOM:
            room(*_NUMBER.unpack(said[1]))
            with suppress(BrokenPipeError):  # then there is no answer either
                _write_all(self.telling, _GRANTED)
        if said[0] == _SHARED:
            (length,) = _NUMBER.unpack(said[1])
            return _DONE, self.shared[:length]
        return said

    def end(self) -> int:
        """End the fork, and return how it ended: its exit code, or minus a signal."""
        os.close(self.reading)
        os.close(self.telling)
        self.shared.close()
        os.kill(self.child, signal.SIGKILL)
        return os.waitstatus_to_exitcode(os.waitpid(self.child, 0)[1])


def _serve(
    work: Work,
    first: tuple[bytes, bytes] | None,
    hearing: int,
    answering: int,
    shared: mmap.mmap,
    limits: tuple[int, int],
) -> NoReturn:
    """Do jobs until there are no more, and exit."""
    memory, seconds = limits
    gc.freeze()  # as in `_work`, nothing of the program's may be finalised here
    try:
        for end in (signal.SIGTERM, signal.SIGHUP, signal.SIGPROF):
            signal.signal(end, signal.SIG_DFL)
        _limit(memory)
        # It ends when nobody can tell it anything any more; so it must not hold others' pipes.
        _close_all_but(hearing, answering)

        def room(more: int) -> None:
            if more > _SMALL:
                _write(answering, _ROOM, _NUMBER.pack(more))
                _read_all(hearing, len(_GRANTED))

        while True:
            job, data = first or _heard(hearing, shared)
            first = None
            signal.setitimer(signal.ITIMER_PROF, seconds)
            try:
                found = work(job, data, room)
            except Unreadable as error:
                _write(answering, _UNREADABLE, str(error).encode())
            else:
                if len(found) <= _CARRIED:
                    shared[: len(found)] = found
                    _write(answering, _SHARED, _NUMBER.pack(len(found)))
                else:
                    _write(answering, _DONE, found)
            signal.setitimer(signal.ITIMER_PROF, 0)
            del job, data
    finally:
        os._exit(1)


def _heard(hearing: int, shared: mmap.mmap) -> tuple[bytes, bytes]:
    job, data = _JOB.unpack(_read_all(hearing, _JOB.size))
    return shared[:job], shared[job : job + data]


def _read_all(end: int, count: int) -> bytes:
    """Return as many bytes; raise EOFError if nobody is left to write them."""
    parts: list[bytes] = []
    while count:
        part = os.read(end, min(count, _CHUNK))
        if not part:
            raise EOFError
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def _close_all_but(*kept: int) -> None:
    last = 2
    for each in sorted(kept):
        os.closerange(last + 1, each)
        last = each
    os.closerange(last + 1, os.sysconf("SC_OPEN_MAX"))
