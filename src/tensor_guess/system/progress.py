"""What a job says while it works: all of it on stderr."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

Item = TypeVar("Item")


def say(line: str) -> None:
    """Nothing comes back; one line is on stderr."""
    print(line, file=sys.stderr, flush=True)


@contextmanager
def silence() -> Iterator[None]:
    """Nothing that libraries say reaches stderr or stdout, not even what is not Python."""
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
    """Whether somebody watches: then a bar moves instead of lines being logged."""
    return sys.stderr.isatty()


@contextmanager
def bar(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """A function that takes how much is done; on a terminal a bar shows it, with rate and time."""
    if not on_terminal():
        yield lambda done: None
        return
    from rich.console import Console
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

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        Rate(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task(what, total=total)
        yield lambda done: shown.update(task, completed=done)


def track(items: Iterable[Item], total: int, what: str) -> Iterator[Item]:
    """The same items; on a terminal, a bar counts them."""
    with bar(what, total) as show:
        for count, item in enumerate(items, 1):
            yield item
            show(count)
