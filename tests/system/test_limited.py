"""Whatever a stranger's file does to the process that reads it, the program gets a reason."""

import ctypes
import faulthandler
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import pytest

from made.processes import children
from tensor_guess.errors import Unreadable
from tensor_guess.system import limited
from tensor_guess.system.limited import Workers

pytestmark = pytest.mark.skipif(not limited.CAN_FORK, reason="no process is forked here")


def crash() -> bytes:
    faulthandler.disable()  # pytest's
    ctypes.string_at(0)
    return b""


def spin() -> bytes:
    while True:
        pass


def wait() -> bytes:
    signal.pause()
    return b""


def take() -> bytes:
    return bytes(ctypes.create_string_buffer(400_000_000))


def leave() -> bytes:
    os._exit(0)


def refuse() -> bytes:
    raise Unreadable("is no picture: 東京")


def fail() -> bytes:
    raise KeyError("what nobody thought of")


@pytest.mark.parametrize(
    ("work", "said"),
    [
        (crash, r"is too much for its decoder \(SIGSEGV\)"),
        (spin, "takes more than 1 seconds"),
        (take, "is too much for its decoder"),
        (leave, "is too much for its decoder"),
        (refuse, "is no picture: 東京"),
        (fail, "is too much for its decoder"),
    ],
)
def test_what_goes_wrong_is_a_reason(work: Callable[[], bytes], said: str) -> None:
    before = children(), os.listdir("/proc/self/fd")
    with pytest.raises(Unreadable, match=f"^{said}$"):
        limited.run(work, 100_000_000, 1)
    assert (children(), os.listdir("/proc/self/fd")) == before


def test_one_that_waits_for_ever_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limited, "_PATIENCE", 0.1)
    with pytest.raises(Unreadable, match="takes more than 1 seconds"):
        limited.run(wait, 100_000_000, 1)


@pytest.mark.parametrize("size", [0, 1, 5_000_000])
def test_the_result_comes_back_whole(size: int) -> None:
    assert limited.run(lambda: b"x" * size, 100_000_000, 10) == b"x" * size


def counting() -> Iterator[bytes]:
    for number in range(3):
        yield str(number).encode() * 100_000
    raise Unreadable("ends early")


def test_a_fork_has_no_file_that_is_open_here_unless_it_is_to() -> None:
    """A connection ends for the client only if nobody has it any more."""
    with open(os.devnull, "rb") as file:

        def is_there() -> bytes:
            try:
                os.fstat(file.fileno())
            except OSError:
                return b"no"
            return b"yes"

        assert limited.run(is_there, 100_000_000, 5) == b"no"
        assert b"".join(limited.stream(lambda: [is_there()], 100_000_000, 5)) == b"yes"


def test_pieces_come_whole_and_the_reason_after_them() -> None:
    before = children()
    found: list[bytes] = []
    with pytest.raises(Unreadable, match=r"^ends early$"):
        found.extend(limited.stream(counting, 100_000_000, 10))
    # What `extend` had taken before stays.
    assert found == [str(number).encode() * 100_000 for number in range(3)]
    assert children() == before


def test_a_reader_may_take_its_time_and_leave_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limited, "_PATIENCE", 0.2)
    before = children(), os.listdir("/proc/self/fd")
    pieces = limited.stream(counting, 100_000_000, 1)
    assert next(pieces)
    time.sleep(0.4)
    assert next(pieces)
    pieces.close()  # type: ignore[attr-defined]
    assert (children(), os.listdir("/proc/self/fd")) == before


def test_a_process_that_dies_between_pieces_is_a_reason() -> None:
    def dies() -> Iterator[bytes]:
        yield b"one"
        os.kill(os.getpid(), signal.SIGKILL)

    pieces = limited.stream(dies, 100_000_000, 1)
    assert next(pieces) == b"one"
    with pytest.raises(Unreadable, match=r"is too much for its decoder \(SIGKILL\)"):
        next(pieces)


def test_threads_do_not_wait_for_each_others_processes() -> None:
    reading, writing = os.pipe()
    ended: list[int] = []

    def one(number: int) -> None:
        # The first ends when all others have.
        work = lambda: [b"" if number else os.read(reading, 1)]  # noqa: E731
        list(limited.stream(work, 100_000_000, 10))
        ended.append(number)
        if len(ended) == 7:
            os.write(writing, b"x")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(one, range(8)))
    os.close(reading)
    os.close(writing)
    assert ended[-1] == 0


def test_nothing_is_seen_of_what_it_says_and_the_program_goes_on() -> None:
    code = """
import os, sys
from tensor_guess.system import limited
from tensor_guess.system.limited import Workers
def work():
    print("noise", flush=True)
    os.write(2, b"noise")
    return b"done"
print(limited.run(work, 100_000_000, 10))
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("b'done'\n", "", 0)


# --- processes that are kept


def free(_: int) -> AbstractContextManager[None]:
    return nullcontext()


def told(job: bytes, data: bytes, room: Callable[[int], None]) -> bytes:
    """Do what the job says: one of the above, or say who did it and what with."""
    if job == b"ask":
        room(int(data))
    if job in (b"say", b"ask"):
        return f"{os.getpid()} {len(data)}".encode()
    if job == b"echo":
        return data
    return {each.__name__: each for each in (crash, spin, wait, take, leave, refuse, fail)}[
        job.decode()
    ]()


@pytest.fixture
def workers() -> Iterator[Workers]:
    found = Workers(told, 100_000_000, 1)
    yield found
    found.end()


@pytest.mark.parametrize(
    ("job", "said"),
    [
        ("crash", r"is too much for its decoder \(SIGSEGV\)"),
        ("spin", "takes more than 1 seconds"),
        ("wait", "takes more than 1 seconds"),
        ("take", "is too much for its decoder"),
        ("leave", "is too much for its decoder"),
        ("refuse", "is no picture: 東京"),
        ("fail", "is too much for its decoder"),
    ],
)
def test_what_goes_wrong_costs_a_worker_one_job(workers: Workers, job: str, said: str) -> None:
    before = children(), os.listdir("/proc/self/fd")
    one, _ = workers.run(b"say", b"", free).split()
    with pytest.raises(Unreadable, match=f"^{said}$"):
        workers.run(job.encode(), b"", free)
    two, _ = workers.run(b"say", b"", free).split()
    assert (one == two) == (job == "refuse")
    workers.end()
    assert (children(), os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("size", [0, 1, 7_999_000, 8_000_001])
def test_a_jobs_file_and_its_result_come_whole(workers: Workers, size: int) -> None:
    data = os.urandom(size)
    assert workers.run(b"echo", data, free) == data
    assert workers.run(b"echo", b"after", free) == b"after"


def test_memory_is_taken_only_if_there_is_room(workers: Workers) -> None:
    asked: list[int] = []
    left: list[int] = []

    @contextmanager
    def room(more: int) -> Iterator[None]:
        asked.append(more)
        if more > 90_000_000:
            raise Unreadable("is too large")
        yield
        left.append(more)

    for more in (1_000, 50_000_000):
        workers.run(b"ask", str(more).encode(), room)
    assert (asked, left) == ([50_000_000], [50_000_000])
    with pytest.raises(Unreadable, match="is too large"):
        workers.run(b"ask", b"95000000", room)
    assert left == [50_000_000]
    assert workers.run(b"echo", b"x", room) == b"x"


def test_one_that_is_killed_while_it_waits_is_replaced(workers: Workers) -> None:
    one, _ = workers.run(b"say", b"", free).split()
    os.kill(int(one), signal.SIGKILL)
    os.waitid(os.P_PID, int(one), os.WEXITED | os.WNOWAIT)
    two, _ = workers.run(b"say", b"", free).split()
    assert one != two


def test_threads_have_a_worker_each(workers: Workers) -> None:
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda n: workers.run(b"echo", bytes(n), free), range(400)))
    assert [len(each) for each in found] == list(range(400))
    assert len(workers._idle) <= 4


def test_workers_end_with_the_program_that_is_killed() -> None:
    code = """
import os, signal
from contextlib import nullcontext
from tensor_guess.system.limited import Workers
workers = Workers(lambda job, data, room: str(os.getpid()).encode(), 100_000_000, 1)
first = workers._told(b"", b"")
print(first.child, int(workers.run(b"", b"", lambda _: nullcontext())), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
    )
    one, two = map(int, done.stdout.split())
    assert one != two
    for each in (one, two):
        gone = os.pidfd_open(each) if Path(f"/proc/{each}").exists() else None
        if gone is not None:
            assert select.select([gone], [], [], 10)[0]
            os.close(gone)
