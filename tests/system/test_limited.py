"""Whatever a stranger's file does to the process that reads it, the program gets a reason."""

import ctypes
import faulthandler
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from made.processes import children
from tensor_guess.errors import Unreadable
from tensor_guess.system import limited

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
        limited.run(lambda: b"" if number else os.read(reading, 1), 100_000_000, 10)
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
