"""Undo a run of tagging: what it added to sidecars goes, and those that it made with nothing else.

Removing is harmless to repeat, so killing it is too.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from tensor_guess.config import MANIFEST, TAGS
from tensor_guess.errors import Unreadable, UserError, WrongUsage, shown
from tensor_guess.images.files import LeftOut
from tensor_guess.system import reading
from tensor_guess.system.durable import Journal, remove, sweep, sync_folder
from tensor_guess.system.reading import CHANGED, real
from tensor_guess.tagging import sidecars
from tensor_guess.tagging.sidecars import Sidecar
from tensor_guess.tagging.tags import Adding, Ended, Event, Removed, Run, Tagged, read
from tensor_guess.tagging.xmp import Keywords, says_nothing, without_keywords

_BATCH = 32  # sidecars that share their syncs


@dataclass(frozen=True)
class Untagged:
    """What an `undo` did: of which run, of how many sidecars, and which were left, with the reason.

    `earlier`: how many runs can still be undone.
    """

    run: str
    count: int
    left: tuple[LeftOut, ...]
    earlier: int


def is_meant(folder: Path, run: str | None = None) -> bool:
    """Return whether undoing this folder, or this run there, is about its tags.

    If pictures were sorted into it too, the tags come first. Raise UserError if their journal
    cannot be read.
    """
    if not os.path.lexists(folder / TAGS):
        return False
    if not os.path.lexists(folder / MANIFEST):
        return True
    with Journal(folder / TAGS, read_only=True) as journal:
        runs = _Runs(read(journal, quiet=True)).open()
    return run in runs if run else bool(runs)


def undo(folder: Path, run: str | None = None) -> Untagged:
    """Undo the last run that is not undone, or the one named `run`; return what was done.

    Only what the run added is removed: a keyword that was there before stays, and one that a person
    has removed since is no problem. A sidecar that cannot be read as XMP any more stays and is
    named.

    Raise WrongUsage if the run is not known, and UserError if nothing can be undone, or the system
    refuses.
    """
    root = real(folder)
    with Journal(root / TAGS, make=False) as journal:
        runs = _Runs(read(journal))
        name = runs.choose(folder, run)
        removing = _Removing(root, journal, name, runs.made)
        left = tuple(removing.remove(runs.added[name]))
        journal.add(ended=name)
    return Untagged(name, removing.count, left, sum(each != name for each in runs.open()))


class _Runs:
    """What each run added, by sidecar; `made`: the sidecars that any of them made."""

    def __init__(self, events: Iterator[Event]) -> None:
        self.added = dict[str, dict[str, Keywords]]()
        self.made = set[str]()
        self._unended = set[str]()  # they may have left something half-written
        for event in events:
            match event:
                case Run(run=run):
                    self.added.setdefault(run, {})
                    self._unended.add(run)
                case Adding(run=run, changes=changes):
                    own = self.added.setdefault(run, {})
                    for each in changes:
                        before, new = own.get(each.sidecar, Keywords()), each.words
                        own[each.sidecar] = Keywords(
                            before.subject + new.subject, before.tags_list + new.tags_list
                        )
                    self.made.update(each.sidecar for each in changes if each.made)
                case Removed(run=run, sidecars=sidecars):
                    for name in sidecars:
                        self.added.get(run, {}).pop(name, None)
                case Ended(run=run):
                    self._unended.discard(run)
                case Tagged():
                    pass

    def open(self) -> list[str]:
        """Return the runs that have something to undo, in their order."""
        return [run for run, own in self.added.items() if own or run in self._unended]

    def choose(self, folder: Path, run: str | None) -> str:
        """Return the run to undo."""
        if run and run not in self.added:
            names = ", ".join(list(self.added)[-5:])
            raise WrongUsage(f"{shown(folder)} has no run {shown(run)}; the last are {names}")
        runs = self.open()
        if not runs or (run and run not in runs):
            what = f"run {run}" if run else "every run"
            raise UserError(f"nothing to undo in {shown(folder)}: {what} is undone already")
        return run or runs[-1]


class _Removing:
    def __init__(self, root: Path, journal: Journal, run: str, made: set[str]) -> None:
        self._root, self._journal, self._run, self._made = root, journal, run, made
        self.count = 0

    def remove(self, added: dict[str, Keywords]) -> Iterator[LeftOut]:
        """Remove what was added; yield the sidecars that are left as they are."""
        folders = {(self._root / name).parent for name in added}
        for folder in folders:
            if not reading.leaves(folder, self._root):
                sweep(folder, self._run)
        names = iter(list(added.items()))
        while batch := list(islice(names, _BATCH)):
            yield from self._batch(batch)

    def _batch(self, batch: Sequence[tuple[str, Keywords]]) -> Iterator[LeftOut]:
        left, folders = list[LeftOut](), set[Path]()
        for name, words in batch:
            path = self._root / name
            try:
                if self._cleared(sidecars.found(path, self._root), words, name in self._made):
                    self.count += 1
                    folders.add(path.parent)
            except Unreadable as error:
                left.append(LeftOut(path, f"stays: it {error}"))
        for folder in folders:
            sync_folder(folder)
        stay = {each.path for each in left}
        done = [name for name, _ in batch if self._root / name not in stay]
        if done:
            self._journal.add(sync=True, by=self._run, removed=done)
        yield from left

    def _cleared(self, sidecar: Sidecar, words: Keywords, made: bool) -> bool:
        """Return whether the sidecar had any of the words; it has them no more."""
        if sidecar.data is None:
            return False
        data = without_keywords(sidecar.data, words)
        if made and says_nothing(data):
            _check(sidecar)
            remove(sidecar.path)
            return True
        if data == sidecar.data:
            return False
        with sidecar.staged(data, self._run) as staged:
            sidecar.commit(staged)
        return True


def _check(sidecar: Sidecar) -> None:
    status = os.lstat(sidecar.path)
    if not sidecar.status or not os.path.samestat(status, sidecar.status):
        raise Unreadable(CHANGED)
