"""What a job prints while it works: all of it on stderr."""

import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from threading import Timer
from typing import Protocol, TextIO, TypeVar

Item = TypeVar("Item")

# How long the work may take to end: pictures are being decoded, or written to a slow disk.
_GRACE_SECONDS = 1.0
_TOLD_SECONDS = 0.05


class Voice(Enum):
    """How much is said; the value is the option that asks for it, and None is the default."""

    QUIET = "--quiet"
    USUAL = None
    VERBOSE = "--verbose"


# Colours by their number in ECMA-48's SGR.
RED, YELLOW, FAINT = "31", "33", "2"

_voice = Voice.USUAL


def speak(voice: Voice) -> None:
    """Say as much as that from now on, in this process."""
    global _voice
    _voice = voice


def voice() -> Voice:
    """Return how much is said now."""
    return _voice


def started() -> float:
    """Return when this program was started, by the monotonic clock; now, if that is not known."""
    if sys.platform != "linux":
        return time.monotonic()
    # proc(5): the 22nd field, in ticks since the machine was started; the second may have spaces.
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    since = int(fields[19]) / os.sysconf("SC_CLK_TCK")
    now, running = time.monotonic(), time.clock_gettime(time.CLOCK_BOOTTIME)
    return now - max(0, running - since)


class OutOfTime(Exception):
    """The time that was given for a job is up."""


def check_time(until: float | None) -> None:
    """Raise OutOfTime if the monotonic clock has passed `until`; None is no limit."""
    if until is not None and time.monotonic() > until:
        raise OutOfTime


def in_time(items: Iterable[Item], until: float | None) -> Iterator[Item]:
    """Yield the items, or as many as are asked for before `until`, by the monotonic clock."""
    for item in items:
        if until is not None and time.monotonic() > until:
            return
        yield item


def say(line: str) -> None:
    """Print a line about how the work goes on stderr, unless less is wanted."""
    if _voice is not Voice.QUIET:
        print(line, file=sys.stderr, flush=True)


def warn(line: str) -> None:
    """Print a line on stderr that the user should see in any case."""
    print(painted(line, YELLOW, sys.stderr), file=sys.stderr, flush=True)


def detail(line: str) -> None:
    """Print a line on stderr for who looks for the reason of something, if more is wanted."""
    if _voice is Voice.VERBOSE:
        print(painted(line, FAINT, sys.stderr), file=sys.stderr, flush=True)


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Say how long the work inside took, if more is wanted."""
    start = time.monotonic()
    yield
    detail(f"{what}: {time.monotonic() - start:.2f} s")


def has_colours(stream: TextIO) -> bool:
    """Return whether it is a terminal, and the user has not said otherwise (https://no-color.org)."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return not plain and stream.isatty()


def painted(text: str, colour: str, stream: TextIO) -> str:
    """Return the text in that colour if the stream has colours, else unchanged."""
    return f"\x1b[{colour}m{text}\x1b[0m" if has_colours(stream) else text


def end_soon(code: int) -> None:
    """End the process with this exit code in a moment, if it has not ended by itself by then.

    All that is on disk can be continued at any time, so a hard end loses nothing.
    """

    def end() -> None:
        if on_terminal():
            print("\x1b[?25h", end="", file=sys.stderr)  # a bar has hidden the cursor
        warn("tensor-guess: stopped in the midst of work; run it again to go on")
        os._exit(code)

    timer = Timer(_GRACE_SECONDS, end)
    timer.daemon = True
    timer.start()


@contextmanager
def silence() -> Iterator[None]:
    """Keep whatever libraries print, even from C++, off stdout and stderr."""
    sys.stdout.flush()
    sys.stderr.flush()
    with open(os.devnull, "wb") as nowhere:
        kept = [(stream, os.dup(stream)) for stream in (1, 2)]
        try:
            for stream, _ in kept:
                os.dup2(nowhere.fileno(), stream)
            yield
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for stream, copy in kept:
                os.dup2(copy, stream)
                os.close(copy)


def on_terminal() -> bool:
    """Return whether stderr is a terminal, on which a bar moves instead of lines being logged."""
    return sys.stderr.isatty()


class Show(Protocol):
    """A function that takes how much is done, and a note of one line about it."""

    def __call__(self, done: int, note: str = "") -> None: ...


@contextmanager
def bar(what: str, total: int) -> Iterator[Show]:
    """Yield a function to call with how much is done.

    On a terminal a bar shows it, with rate and time, above the latest note; the last note stays
    there when the work is done.
    """
    if not on_terminal() or _voice is Voice.QUIET:
        yield lambda done, note="": None
        return
    from rich.console import Console, RenderableType
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            speed = task.finished_speed or task.speed
            return Text(f"{speed:.0f}/s" if speed else "")

    class Noted(Progress):
        def get_renderables(self) -> Iterator[RenderableType]:
            yield self.make_tasks_table(self.tasks)
            for each in self.tasks:
                if each.fields["note"]:
                    yield Text(each.fields["note"])

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        Rate(),
        TimeRemainingColumn(),
    )
    with Noted(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task(what, total=total, note="")
        yield lambda done, note="": shown.update(task, completed=done, note=note)
    last = shown.tasks[0].fields["note"]
    if last:
        say(last)


def track(items: Iterable[Item], total: int, what: str) -> Iterator[Item]:
    """Yield the same items; on a terminal, a bar counts them."""
    with bar(what, total) as show:
        shown = 0.0
        for count, item in enumerate(items, 1):
            yield item
            # The bar's rate is that of the last thousand times it was told, of 30 s at most.
            if count == total or time.monotonic() - shown > _TOLD_SECONDS:
                shown = time.monotonic()
                show(count)
