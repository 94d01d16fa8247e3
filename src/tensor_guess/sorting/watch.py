"""An inbox: a folder whose files are listed as they become complete, until somebody stops it.

It is looked at again and again, because notifications do not cross the mounts of Docker Desktop.
"""

import os
import signal
import time
from array import array
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from queue import Empty, SimpleQueue
from types import FrameType
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from tensor_guess.config import HIDDEN, LINK, SETTLED_SECONDS
from tensor_guess.errors import Unreadable, reason_of, shown
from tensor_guess.images import encoded
from tensor_guess.images.files import Files, Listed
from tensor_guess.sorting.apply import Told
from tensor_guess.sorting.companions import may_be, units
from tensor_guess.sorting.plan import Way
from tensor_guess.system import progress, reading

# How often the inbox is looked at while a file settles.
_LOOKS = 5
# A look at a million files takes seconds: the pause after it is so many times as long.
_REST = 3
# How many files are looked up together.
_CHUNK = 4096

Result = TypeVar("Result")
Marks = NDArray[np.int64]
_Found = tuple[str, int, str | None]  # its path, its mark, and why it cannot be used


class Incomplete(Unreadable):
    """A file that is not complete after all; it comes again."""


class Stop:
    """Whether somebody wants a watch to end: in a `with` block, by SIGINT or SIGTERM.

    `by`: the number of the signal; 0 as long as nobody does. A second one interrupts the work.
    """

    def __init__(self) -> None:
        self.by = 0
        self._asked = SimpleQueue[None]()  # a signal may put into it at any moment

    def ask(self, number: int = signal.SIGINT) -> None:
        """End the watch soon."""
        self.by = number
        self._asked.put(None)

    def _signalled(self, number: int, frame: FrameType | None) -> None:
        if self.by:
            raise KeyboardInterrupt
        progress.end_soon(128 + number)
        self.ask(number)

    def wait(self, seconds: float) -> None:
        """Return after that time, or as soon as the watch is to end."""
        with suppress(Empty):
            self._asked.get(timeout=seconds)

    def __enter__(self) -> Self:
        # SIGIO: see `reading.is_written_to`.
        handlers: dict[int, Any] = dict.fromkeys((signal.SIGINT, signal.SIGTERM), self._signalled)
        handlers[signal.SIGIO] = signal.SIG_IGN
        self._before = {each: signal.signal(each, how) for each, how in handlers.items()}
        return self

    def __exit__(self, *_: object) -> None:
        for each, how in self._before.items():
            signal.signal(each, how)


@dataclass(frozen=True)
class Watch:
    """How a folder is watched: until `stop`; each picture is `told` once it is in DEST.

    `settled`: for how many seconds a file must not change before it counts as complete.
    """

    told: Told
    settled: float = SETTLED_SECONDS
    stop: Stop = field(default_factory=Stop)
    clock: Callable[[], float] = time.monotonic

    def looks(self, source: Path, way: Way) -> Iterator["Inbox"]:
        """Yield what is complete in the folder, again and again, with pauses."""
        inbox = Inbox(source, self, link=way.way == LINK)
        with self.stop:
            progress.say(f"watching {shown(source)}; Ctrl-C stops it")
            while not self.stop.by:
                yield inbox
                inbox.pause()


class Inbox(Files):
    """The files below a folder: `complete` yields those that have become so, each once.

    What goes with a picture comes with it, as soon as all of it is complete. A file that changes
    later comes again. A file is known by its path, size, times and inode, of which
    8 bytes are kept. `link`: whether it gets a second name when it is sorted, which changes its
    ctime.
    """

    def __init__(self, root: Path, watch: Watch, *, link: bool = False) -> None:
        super().__init__(root)
        self._watch, self._link = watch, link
        self._done = _none()  # sorted, as all marks are
        self._looks = deque[tuple[float, Marks]]()  # when each ended, and what was not done then
        self._handed = dict[Path, int]()
        self._listing, self._away = 0.0, False

    def pause(self) -> None:
        """Wait until the next look."""
        self._watch.stop.wait(max(self._watch.settled / _LOOKS, _REST * self._listing))

    def complete(self) -> Iterator[Listed]:
        """Yield what has become complete since the last time."""
        self.hidden, self._listing = 0, 0.0
        still = self._unchanged_since(self._watch.clock() - self._watch.settled)
        done, waiting, listed = array("q"), array("q"), self._entries()
        units_of = _UnitsOf()
        while found := self._several(listed):
            marks = np.fromiter((mark for _, mark, _ in found), np.int64, len(found))
            is_done, is_still = _are_in(marks, self._done), _are_in(marks, still)
            done.extend(marks[is_done].tolist())
            for at in np.flatnonzero(~is_done).tolist():
                name, mark, reason = found[at]
                path = Path(name)
                beside = () if reason else units_of(path)
                if not is_still[at] or not self._is_still(path, reason, beside or (), still):
                    waiting.append(mark)
                    continue
                done.append(mark)
                if beside is not None:  # else it comes with its picture
                    self._handed[path] = mark
                    is_link = not reason and path.is_symlink()
                    why = self._reason_against_link(path) if is_link else reason
                    yield path, why, beside
        if done or waiting:  # else all was moved, or its disk is away and will come back
            self._done = _sorted(done)
        self._looks.append((self._watch.clock(), _sorted(waiting)))

    def _is_still(
        self, path: Path, reason: str | None, beside: tuple[str, ...], still: Marks
    ) -> bool:
        """Return whether nobody writes to a file, and what goes with it has not changed either."""
        others = [path.with_name(each) for each in beside]
        marks = np.array([self._mark(os.fspath(each)) for each in others], np.int64)
        if not (_are_in(marks, still) | _are_in(marks, self._done)).all():
            return False
        return bool(reason) or not any(map(reading.is_written_to, (path, *others)))

    def _several(self, listed: Iterator[_Found]) -> list[_Found]:
        start = self._watch.clock()
        found = list(islice(listed, _CHUNK))
        self._listing += self._watch.clock() - start
        return found

    def _entries(self) -> Iterator[_Found]:
        """Yield what `Files` lists, in the order of the disk: a million files take their time."""
        root = os.fspath(self.root)
        folders = [root]
        while folders:
            folder = folders.pop()
            try:
                with os.scandir(folder) as entries:
                    if folder == root:
                        self._away = False
                    for each in entries:
                        if each.name.startswith("."):
                            self.hidden += not each.name.startswith(HIDDEN)
                        elif each.is_dir(follow_symlinks=False):
                            folders.append(each.path)
                        elif mark := self._mark(each.path):
                            yield each.path, mark, None
            except OSError as error:
                if folder == root:
                    self._say_away(reason_of(error))
                elif mark := self._mark(folder):
                    yield folder, mark, reason_of(error)

    def ahead(
        self, look: Callable[[Listed], Result]
    ) -> Iterator[tuple[Listed, Result | Unreadable]]:
        """Yield as `encoded.ahead` does, until the watch is stopped.

        Files that change while they are looked at come again when they are complete.
        """

        def looked(item: Listed) -> Result:
            try:
                return look(item)
            finally:
                if self._mark(os.fspath(item[0])) != self._handed.pop(item[0]):
                    raise Incomplete

        complete = self.complete()
        for item, found in encoded.ahead(looked, complete, weigh=lambda x: encoded.size_of(x[0])):
            if self._watch.stop.by:
                return
            if not isinstance(found, Incomplete):
                yield item, found

    def _unchanged_since(self, then: float) -> Marks:
        """Return what the last look that ended before `then` left."""
        while len(self._looks) > 1 and self._looks[1][0] <= then:
            self._looks.popleft()
        return self._looks[0][1] if self._looks and self._looks[0][0] <= then else _none()

    def _mark(self, path: str) -> int:
        """Return a number for the file as it is now; 0 if it is gone."""
        try:
            now = os.lstat(path)
        except OSError:
            return 0
        ctime = 0 if self._link else now.st_ctime_ns
        return hash((path, now.st_size, now.st_mtime_ns, ctime, now.st_ino))

    def _say_away(self, reason: str) -> None:
        if not self._away:
            progress.warn(f"{shown(self.root)} cannot be read ({reason}); waiting for it")
        self._away = True


class _UnitsOf:
    """What goes with the files of an inbox, as it is during one look.

    Few files go with others: only the names that may belong together are kept.
    """

    def __init__(self) -> None:
        self._folders = dict[Path, dict[str, list[str]]]()

    def __call__(self, path: Path) -> tuple[str, ...] | None:
        """Return the names that go with a file; None if it goes with another one."""
        if path.parent not in self._folders:
            self._folders[path.parent] = _blocks(path.parent)
        block = self._folders[path.parent].get(_head(path.name), [])
        return dict(units(block)).get(path.name) if path.name in block else ()


def _blocks(folder: Path) -> dict[str, list[str]]:
    """Return the names that may belong together: what they begin with -> the names, sorted."""
    try:
        heads = {_head(each.name) for each in os.scandir(folder) if may_be(each.name)} - {""}
        names = [each.name for each in os.scandir(folder) if heads and _head(each.name) in heads]
    except OSError:  # the next look will say so
        return {}
    found = dict[str, list[str]]()
    for name in sorted(names):
        found.setdefault(_head(name), []).append(name)
    return found


def _head(name: str) -> str:
    return name.partition(".")[0]


def _none() -> Marks:
    return np.empty(0, np.int64)


def _sorted(marks: "array[int]") -> Marks:
    return np.sort(np.frombuffer(marks, np.int64)) if marks else _none()


def _are_in(marks: Marks, among: Marks) -> NDArray[np.bool_]:
    """Return which of the marks are among those, which are sorted."""
    if not len(among):
        return np.zeros(len(marks), np.bool_)
    nearest = among[np.minimum(np.searchsorted(among, marks), len(among) - 1)]
    return np.equal(nearest, marks)
