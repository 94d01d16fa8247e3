"""Pictures of many requests -> decoded -> through the network, some at a time -> a row for each.

What is larger than a guess is done in turn.
"""

import asyncio
import os
import time
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from math import ceil
from threading import Lock
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from tensor_guess.errors import Unreadable, UserError
from tensor_guess.images import encoded
from tensor_guess.images.pixels import Pixels, pixels
from tensor_guess.serving.metrics import Metrics
from tensor_guess.serving.refusal import Refused
from tensor_guess.serving.served import Served
from tensor_guess.system import progress

# Pictures that were accepted and are not done.
QUEUE = 128
# Pieces of work that were accepted and are not done.
TURNS = 8
# A picture whose decoder hangs keeps a thread for seconds.
_DECODERS = 2 * (os.cpu_count() or 1) + 2
_LONGEST_AGAIN, _TURN_SECONDS = 60, 1
# How much the latest picture counts in what one takes.
_LATEST = 0.2

Result = TypeVar("Result")
Row = NDArray[np.float32]
# What becomes of a picture: its row; why it cannot be read; why it has no row.
Outcome = Row | Unreadable | UserError


@dataclass(eq=False)
class _Job:
    data: bytes
    served: Served
    answer: "asyncio.Future[Outcome]"
    left: bool = False  # nobody waits for it any more
    image: Pixels | None = None
    waited: float = 0
    since: float = field(default_factory=time.perf_counter)  # when it began to wait


class Queue:
    """A queue of pictures, and the threads that decode them.

    A thread that has decoded a picture gives it to the network, unless that has as many as it can
    compute at once: then one of those that wait for it goes on with this one. So nobody waits if
    the network is free, and nobody waits for others. `rows` is called by one event loop.
    """

    def __init__(self, metrics: Metrics, queue: int = QUEUE) -> None:
        self._metrics, self._most = metrics, queue
        self._pending = 0
        self._seconds = 0.05  # what a picture takes
        self._decoders = ThreadPoolExecutor(_DECODERS, "decoder")
        self._decoded, self._computed, self._lock = deque[_Job](), 0, Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def rows(self, served: Served, pictures: Sequence[bytes]) -> list[Outcome]:
        """Return what becomes of each picture, by that classifier.

        If this is cancelled, what was not computed yet is left out. Raise Refused if too many wait.
        """
        loop = self._loop = asyncio.get_running_loop()
        if self._pending + len(pictures) > self._most:
            again = min(_LONGEST_AGAIN, ceil(self._pending * self._seconds) or 1)
            raise Refused(429, f"{self._pending} pictures are waiting already", again=again)
        jobs = [_Job(data, served, loop.create_future()) for data in pictures]
        self._count(len(jobs))
        for job in jobs:
            self._decoders.submit(self._look_at, job)
        try:
            return list(await asyncio.gather(*(job.answer for job in jobs)))
        finally:
            for job in jobs:
                job.left = True

    @property
    def pending(self) -> int:
        """Return how many pictures were accepted and are not done."""
        return self._pending

    def end(self) -> None:
        """End the threads once they have nothing to do."""
        self._decoders.shutdown(wait=False, cancel_futures=True)

    def _count(self, change: int) -> None:
        self._pending += change
        self._metrics.waiting.set(self._pending)

    # --- in a decoder's thread

    def _look_at(self, job: _Job) -> None:
        self._decode(job)
        while next_ := self._next():
            try:
                self._compute(next_)
            finally:
                with self._lock:
                    self._computed -= 1

    def _decode(self, job: _Job) -> None:
        if job.left:
            self._end(job, Unreadable("nobody waits for it"))
            return
        began = time.perf_counter()
        job.waited += began - job.since
        try:
            job.image = pixels(encoded.of_bytes(job.data), job.served.record.scaling)
        except Unreadable as error:
            self._end(job, error)
            return
        except Exception as error:  # a mistake of ours must not keep the client waiting
            self._end(job, _mistake(error))
            return
        job.data, job.since = b"", time.perf_counter()
        self._metrics.decoding.observe(job.since - began)
        with self._lock:
            self._decoded.append(job)

    def _next(self) -> _Job | None:
        """Return the picture to compute next; None without one, or if the network is busy."""
        with self._lock:
            while self._decoded and self._computed < self._decoded[0].served.at_once:
                job = self._decoded.popleft()
                if not job.left:
                    self._computed += 1
                    self._metrics.together.observe(self._computed)
                    return job
                self._end(job, Unreadable("nobody waits for it"))
        return None

    def _compute(self, job: _Job) -> None:
        began = time.perf_counter()
        job.waited += began - job.since
        assert job.image is not None
        try:
            ((_, row),) = job.served.network(self._pending).run([(job, job.image)])
        except UserError as error:
            self._end(job, error)
            return
        except Exception as error:
            self._end(job, _mistake(error))
            return
        took = time.perf_counter() - began
        self._metrics.waited.observe(job.waited)
        self._metrics.network.observe(took)
        self._seconds += _LATEST * (took / job.served.at_once - self._seconds)
        self._end(job, row)

    # --- in any thread

    def _end(self, job: _Job, outcome: Outcome) -> None:
        job.image, job.data = None, b""
        assert self._loop
        self._loop.call_soon_threadsafe(self._answer, job, outcome)

    def _answer(self, job: _Job, outcome: Outcome) -> None:
        self._count(-1)
        result = "guessed" if isinstance(outcome, np.ndarray) else "failed"
        if job.left or job.answer.done():
            result = "left"
        elif isinstance(outcome, Unreadable):
            result = "unreadable"
        self._metrics.pictures.labels(result).inc()
        if not job.answer.done():
            job.answer.set_result(outcome)


class Turns:
    """Work that is done one piece after another, in a thread of its own.

    So never more than one is done beside the guesses. `take` is called by one event loop.
    """

    def __init__(self, queue: int = TURNS) -> None:
        self._most, self._pending = queue, 0
        self._worker = ThreadPoolExecutor(1, "turns")

    async def take(self, work: Callable[[], Result]) -> Result:
        """Return what the work returns, once it was its turn.

        If this is cancelled before, the work is not done. Raise Refused if too many wait; UserError
        if the work makes a mistake.
        """
        loop = asyncio.get_running_loop()
        if self._pending >= self._most:
            raise Refused(429, f"{self._pending} of these are waiting already", again=_TURN_SECONDS)
        self._pending += 1
        done = self._worker.submit(_careful, work)

        def left(_: object) -> None:
            with suppress(RuntimeError):  # the server has ended
                loop.call_soon_threadsafe(self._left)

        done.add_done_callback(left)
        return await asyncio.wrap_future(done)

    @property
    def pending(self) -> int:
        """Return how many pieces of work were accepted and are not done."""
        return self._pending

    def end(self) -> None:
        """End the thread once it has nothing to do."""
        self._worker.shutdown(wait=False, cancel_futures=True)

    def _left(self) -> None:
        self._pending -= 1


def _careful(work: Callable[[], Result]) -> Result:
    try:
        return work()
    except (Unreadable, UserError):
        raise
    except Exception as error:  # a mistake of ours
        raise _mistake(error) from error


def _mistake(error: Exception) -> UserError:
    """Print an error that no picture should cause, and return what its client is told."""
    progress.warn("".join(traceback.format_exception(error)).rstrip())
    return UserError("the server made a mistake, which it prints")
