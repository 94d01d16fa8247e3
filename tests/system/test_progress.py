"""What is said while a job works is on stderr; a bar only where somebody watches."""

import os
import pty
import subprocess
import sys
from collections.abc import Iterator

import pytest

from made.place import ROOT
from tensor_guess.system import progress

SOURCE = ROOT / "src"
COUNT = """
from tensor_guess.system import progress
progress.say("a line")
print(sum(progress.track(iter(range(300)), 300, "Counting")))
"""


def test_without_a_terminal_there_are_lines_and_no_bar() -> None:
    done = subprocess.run(
        [sys.executable, "-c", COUNT], env={"PYTHONPATH": str(SOURCE)}, capture_output=True
    )
    assert done.stdout == b"44850\n"
    assert done.stderr == b"a line\n"


def test_on_a_terminal_a_bar_counts_on_stderr_only() -> None:
    ours, theirs = pty.openpty()
    try:
        done = subprocess.run(
            [sys.executable, "-c", COUNT],
            env={"PYTHONPATH": str(SOURCE), "TERM": "xterm", "COLUMNS": "120"},
            stdout=subprocess.PIPE,
            stderr=theirs,
        )
        assert done.stdout == b"44850\n"
        drawn = os.read(ours, 65536).decode()
    finally:
        os.close(ours)
        os.close(theirs)
    assert "Counting" in drawn
    assert "300/300" in drawn


def test_items_come_one_by_one_as_they_are_asked_for() -> None:
    taken = []

    def items() -> Iterator[int]:
        for n in range(3):
            taken.append(n)
            yield n

    tracked = progress.track(items(), 3, "Counting")
    assert next(tracked) == 0
    assert taken == [0]
    assert list(tracked) == [1, 2]


def test_a_job_that_fails_under_the_bar_says_its_own_error() -> None:
    def work() -> None:
        with progress.bar("Working", 3) as show:
            show(1)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()
