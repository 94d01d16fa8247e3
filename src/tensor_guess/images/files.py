"""The files below a folder, and why some are left out."""

import os
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from heapq import merge
from itertools import islice
from pathlib import Path
from typing import overload

from tensor_guess.config import HIDDEN
from tensor_guess.errors import reason_of, shown
from tensor_guess.system import reading
from tensor_guess.system.reading import Remote, packed_status, remote_status

# How many names of a folder are kept as strings.
_UNPACKED = 50_000
# How many are packed into a piece, and how many pieces are at hand: what a search looks at.
_PIECE, _AT_HAND = 1_000, 32


@dataclass(frozen=True)
class LeftOut:
    """A file that is not used, and why."""

    path: Path
    reason: str

    def __str__(self) -> str:
        return f"left out {shown(self.path)}: {self.reason}"


# A file, why it is left out, and the names of those beside it that go with it.
Listed = tuple[Path, str | None, tuple[str, ...]]
# The sorted names of a folder -> each with those that go with it.
Units = Callable[[Sequence[str]], Iterable[tuple[str, tuple[str, ...]]]]


@dataclass
class Files:
    """The files below a folder and its subfolders, in a fixed order; none outside it.

    Iterating yields (path, None), or (path, reason) for a file that is left out. Hidden files and
    folders (`.DS_Store`, `._photo.jpg`, `.ipynb_checkpoints`) are skipped and counted in `hidden`,
    but for those of this program.
    """

    root: Path
    hidden: int = field(default=0, init=False)

    def __iter__(self) -> Iterator[tuple[Path, str | None]]:
        for path, reason, _ in self.units(_alone):
            yield path, reason

    def units(self, units: Units) -> Iterator[Listed]:
        """Yield the same, each with the names of the files that go with it, by this rule.

        Those are beside it, are not yielded themselves, and have not been looked at.
        """
        folders = [self.root]
        while folders:
            folder = folders.pop()
            try:
                here = self._looked_into(folder)
            except OSError as error:
                yield folder, reason_of(error), ()
                continue
            for reason in here.odd:
                yield folder, reason, ()
            links = here.links
            for name, others in units(here.names):
                path = folder / name
                if here.statuses is not None and isinstance(path, Remote):
                    path.listed = here.status(name)
                yield path, self._reason_against_link(path) if name in links else None, others
            folders.extend(folder / name for name in reversed(here.deeper))

    def _looked_into(self, folder: Path) -> "_Here":
        """Return what is in a folder and not hidden."""
        if isinstance(folder, Remote):
            return self._scanned(folder)
        names, links, deeper = _Sorting(), set[str](), list[str]()
        with os.scandir(folder) as found:
            for entry in found:
                if entry.name.startswith("."):
                    self._pass_over(entry.name)
                elif _is(entry.is_dir, follow_symlinks=False):
                    deeper.append(entry.name)
                else:
                    names.add(entry.name)
                    if _is(entry.is_symlink):
                        links.add(entry.name)
        return _Here(names.sorted(), sorted(deeper), links)

    def _scanned(self, folder: Remote) -> "_Here":
        """Return the same of a remote folder."""
        names, deeper, odd, last = _Sorting(), list[str](), list[str](), ""
        statuses: array[int] | None = array("Q")
        for listing in folder.scan():
            for name in (each for each in listing.folders if not self._pass_over(each)):
                deeper.append(name)
            for name, status in listing.files:
                if self._pass_over(name):
                    continue
                if name < last:  # few stores list without an order
                    statuses = None
                if statuses is not None:
                    statuses.extend(packed_status(status))
                last = name
                names.add(name)
            odd += listing.odd
        return _Here(names.sorted(), sorted(deeper), odd=odd, statuses=statuses)

    def _pass_over(self, name: str) -> bool:
        """Return whether a name is hidden, and count it."""
        if not name.startswith("."):
            return False
        self.hidden += not name.startswith(HIDDEN)
        return True

    def _reason_against_link(self, path: Path) -> str | None:
        if reading.leaves(path, self.root):
            return reading.LEAVES
        return "is a link to a folder" if path.is_dir() else None


@dataclass(frozen=True)
class _Here:
    """What a folder has: names of files and of folders, sorted; which files are links.

    `odd`: what is the matter with what can have no path. `statuses`: of a remote folder, those of
    the files, packed.
    """

    names: Sequence[str]
    deeper: list[str]
    links: set[str] = field(default_factory=set)
    odd: list[str] = field(default_factory=list)
    statuses: "array[int] | None" = None

    def status(self, name: str) -> os.stat_result:
        """Return the status of a file in a remote folder."""
        assert self.statuses is not None
        at = 3 * bisect_left(self.names, name)
        return remote_status(*self.statuses[at : at + 3])


class _Sorting:
    """Names that are being sorted; of many, most are packed: strings take five times as much."""

    def __init__(self) -> None:
        self._names, self._packed = list[str](), list[_Packed]()

    def add(self, name: str) -> None:
        """Take in one more name."""
        self._names.append(name)
        if len(self._names) == _UNPACKED:
            self._packed.append(self._pack())

    def sorted(self) -> Sequence[str]:
        """Return the names, sorted."""
        if not self._packed:
            return sorted(self._names)
        return _Packed(merge(*self._packed, self._pack()))

    def _pack(self) -> "_Packed":
        names, self._names = sorted(self._names), []
        return _Packed(names)


class _Packed(Sequence[str]):
    """Names in pieces of memory that have a thousand each."""

    def __init__(self, names: Iterable[str]) -> None:
        names, self._pieces, self._len = iter(names), list[bytes](), 0
        while some := list(islice(names, _PIECE)):
            self._pieces.append(os.fsencode("\0".join(some)))
            self._len += len(some)
        self._piece = lru_cache(_AT_HAND)(self._unpacked)

    def _unpacked(self, number: int) -> list[str]:
        return os.fsdecode(self._pieces[number]).split("\0")

    def __len__(self) -> int:
        return self._len

    def __iter__(self) -> Iterator[str]:
        for number in range(len(self._pieces)):
            yield from self._unpacked(number)

    @overload
    def __getitem__(self, at: int) -> str: ...
    @overload
    def __getitem__(self, at: slice) -> list[str]: ...
    def __getitem__(self, at: int | slice) -> str | list[str]:
        if isinstance(at, slice):
            return [self[each] for each in range(*at.indices(len(self)))]
        return self._piece(at // _PIECE)[at % _PIECE]


def _alone(names: Sequence[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    return ((name, ()) for name in names)


def _is(ask: Callable[..., bool], **how: bool) -> bool:
    try:
        return ask(**how)
    except OSError:  # opening it as a file will report why
        return False
