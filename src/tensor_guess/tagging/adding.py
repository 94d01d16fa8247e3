"""Add labels to sidecars: a batch is announced, then written, then told.

So a kill at any moment leaves whole sidecars, and the next run knows what is still to do.
"""

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tensor_guess.errors import Unreadable, shown
from tensor_guess.images.files import LeftOut
from tensor_guess.system import progress
from tensor_guess.system.durable import Staged, sweep, sync_folder
from tensor_guess.tagging import sidecars
from tensor_guess.tagging.sidecars import Sidecar
from tensor_guess.tagging.tags import Change, Tags
from tensor_guess.tagging.xmp import Keywords, with_keywords

# A disk is fast only if it has many writes under way at once.
_WRITERS = 8
_BATCH = 32  # sidecars that share their syncs


@dataclass(frozen=True)
class _Wanted:
    """A picture, its SHA-256, its sidecar, and the keywords that this is to have."""

    image: Path
    sha256: str
    sidecar: Path
    words: Sequence[str]
    scores: Mapping[str, float]


@dataclass(frozen=True)
class _Next:
    """The next state of a sidecar."""

    wanted: _Wanted
    sidecar: Sidecar
    data: bytes
    added: Keywords


class AddingTags:
    """The sidecars of a folder, for one run; leaving the `with` block writes the last of them.

    `counts`: how many pictures got which label; `there`: how many had theirs already.
    """

    def __init__(self, tags: Tags) -> None:
        self.counts = Counter[str]()
        self.there = 0
        self.left_out: list[LeftOut] = []
        self._tags = tags
        self._batch: list[_Wanted] = []
        self._swept = set[Path]()
        self._writers = ThreadPoolExecutor(_WRITERS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                self._write()
        finally:
            self._writers.shutdown()

    def add(
        self,
        image: Path,
        sha256: str,
        sidecar: Path,
        words: Sequence[str],
        scores: Mapping[str, float],
    ) -> None:
        """Let the sidecar have these keywords; `scores` is ordered best first.

        Raise UserError if this sidecar, or an earlier one, could not be written.
        """
        self._batch.append(_Wanted(image, sha256, sidecar, words, scores))
        if len(self._batch) >= _BATCH:
            self._write()

    def _write(self) -> None:
        ready = [found for each in self._batch if (found := self._next(each))]
        self._batch = []
        new = [each for each in ready if each.added]
        self._sweep({each.sidecar.path.parent for each in ready})
        self._tags.adding(
            [
                Change(
                    self._tags.relative(each.sidecar.path), each.added, each.sidecar.data is None
                )
                for each in new
            ]
        )
        lost = self._commit(new)
        for each in ready:
            wanted = each.wanted
            if wanted not in lost:
                self._tags.tagged(wanted.image, wanted.sidecar, wanted.sha256, wanted.scores)
                if each.added:
                    self.counts[next(iter(wanted.scores))] += 1
                else:
                    self.there += 1

    def _next(self, wanted: _Wanted) -> _Next | None:
        try:
            sidecar = sidecars.found(wanted.sidecar, self._tags.source)
            data, added = with_keywords(sidecar.data, wanted.words)
        except Unreadable as error:
            self._leave_out(wanted, error)
            return None
        return _Next(wanted, sidecar, data, added)

    def _commit(self, new: Sequence[_Next]) -> list[_Wanted]:
        """Put the sidecars in their places; return those that changed meanwhile."""
        lost = []
        with ExitStack() as stack:
            jobs = [self._writers.submit(self._stage, each) for each in new]
            staged = []
            for job in jobs:
                if not job.exception():
                    staged.append(stack.enter_context(job.result()))
            for job in jobs:
                job.result()
            for each, one in zip(new, staged, strict=True):
                try:
                    each.sidecar.commit(one)
                except Unreadable as error:
                    self._leave_out(each.wanted, error)
                    lost.append(each.wanted)
        for folder in {each.sidecar.path.parent for each in new}:
            sync_folder(folder)
        return lost

    def _stage(self, each: _Next) -> Staged:
        return each.sidecar.staged(each.data, self._tags.run)

    def _sweep(self, folders: Iterable[Path]) -> None:
        for folder in folders:
            if folder not in self._swept:
                self._swept.add(folder)
                sweep(folder)
                if self._tags.continued:
                    sweep(folder, self._tags.run)

    def _leave_out(self, wanted: _Wanted, error: Unreadable) -> None:
        reason = f"its sidecar {shown(os.fspath(wanted.sidecar.name))} {error}"
        self.left_out.append(LeftOut(wanted.image, reason))
        self._tags.left_out(wanted.image, reason)
        progress.warn(str(self.left_out[-1]))
