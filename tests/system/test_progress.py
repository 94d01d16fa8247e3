"""What is said while a job works is on stderr; a bar only where somebody watches."""

import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from made.place import ROOT
from made.terminal import on_terminal
from tensor_guess.system import progress

SOURCE = ROOT / "src"
COUNT = """
from tensor_guess.system import progress
progress.say("a line")
print(sum(progress.track(iter(range(300)), 300, "Counting")))
"""
LEARN = """
from tensor_guess.system import progress
with progress.bar("Learning", 3) as show:
    for step in range(3):
        show(step + 1, f"[b]loss[/b] {1 / (step + 1):.3f}")
"""


@pytest.mark.parametrize(
    ("work", "printed", "said"), [(COUNT, b"44850\n", b"a line\n"), (LEARN, b"", b"")]
)
def test_without_a_terminal_there_are_lines_and_no_bar(
    work: str, printed: bytes, said: bytes
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", work], env={"PYTHONPATH": str(SOURCE)}, capture_output=True
    )
    assert done.stdout == printed
    assert done.stderr == said


def test_on_a_terminal_a_bar_counts_on_stderr_only() -> None:
    printed, drawn = on_terminal([sys.executable, "-c", COUNT], {"PYTHONPATH": str(SOURCE)})
    assert printed == "44850\n"
    assert "Counting" in drawn
    assert "300/300" in drawn


def test_on_a_terminal_the_last_note_stays_when_the_bar_is_gone() -> None:
    _, drawn = on_terminal([sys.executable, "-c", LEARN], {"PYTHONPATH": str(SOURCE)})
    # A note is text, whatever brackets it has.
    bar, _, left = drawn.rpartition("\x1b[2K")  # clears a line
    assert "3/3" in bar
    assert "\r\n[b]loss[/b] 0.333\r\n" in bar
    assert left == "[b]loss[/b] 0.333\r\n"


SPEAK = """
import sys
from tensor_guess.system import progress
progress.speak(progress.Voice(None if sys.argv[1] == "usual" else f"--{sys.argv[1]}"))
progress.say("going on")
progress.warn("beware")
progress.detail("by the way")
with progress.timed("nothing"):
    pass
for _ in progress.track(range(3), 3, "Counting"):
    pass
"""


@pytest.mark.parametrize(
    ("voice", "said"),
    [
        ("quiet", "beware\n"),
        ("usual", "going on\nbeware\n"),
        ("verbose", "going on\nbeware\nby the way\nnothing: 0.00 s\n"),
    ],
)
def test_more_or_less_is_said_as_it_is_wanted(voice: str, said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SPEAK, voice],
        env={"PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.stderr) == ("", said)


def test_a_terminal_has_colours_unless_somebody_says_no() -> None:
    plain = "beware\r\n"
    command = [sys.executable, "-c", SPEAK, "quiet"]
    for environ, drawn in (
        ({}, "\x1b[33mbeware\x1b[0m\r\n"),
        ({"NO_COLOR": ""}, "\x1b[33mbeware\x1b[0m\r\n"),  # as no-color.org has it
        ({"NO_COLOR": "1"}, plain),
        ({"TERM": "dumb"}, plain),
    ):
        assert on_terminal(command, {"PYTHONPATH": str(SOURCE), **environ})[1] == drawn


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


def test_items_end_with_the_time() -> None:
    assert list(progress.in_time([1, 2, 3], None)) == [1, 2, 3]
    assert list(progress.in_time([1, 2, 3], time.monotonic() + 1000)) == [1, 2, 3]
    assert list(progress.in_time([1, 2, 3], time.monotonic() - 1)) == []


def test_the_time_is_up_or_it_is_not() -> None:
    progress.check_time(None)
    progress.check_time(time.monotonic() + 1000)
    with pytest.raises(progress.OutOfTime):
        progress.check_time(time.monotonic() - 1)


def test_the_program_knows_when_it_was_started() -> None:
    code = (
        "import time; from tensor_guess.system import progress; "
        "print(progress.started(), time.monotonic())"
    )
    before = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        check=True,
    )
    started, said = map(float, done.stdout.split())
    # Ticks are a hundredth of a second.
    assert before - 0.02 <= started <= said
