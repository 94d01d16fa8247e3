"""Bursts: shots that were taken one soon after the other show one thing, and get one decision."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from tensor_guess.errors import Unreadable, counted
from tensor_guess.guessing.guess import Guess, of_row
from tensor_guess.guessing.ready import Ready
from tensor_guess.images import decoding
from tensor_guess.images.encoded import Picture
from tensor_guess.sorting.corrections import Labelled
from tensor_guess.sorting.manifest import Burst, Manifest
from tensor_guess.system import progress

# The most pictures of a burst: they wait for each other, and memory is bounded.
MOST = 256
# What a score of float32 can still tell from 0.
_LEAST = float(np.finfo(np.float32).eps)

Floats = NDArray[np.float32]
# A picture as `sort` passes it on: its path in SRC, its Picture, and what else there is.
Item = TypeVar("Item", bound=tuple[Any, ...])
# The same with its vector and its own guess.
_Waiting = tuple[Item, Floats, Guess]


def pooled(scores: Floats) -> Floats:
    """Return the scores [K] of a burst whose pictures have the scores [N, K].

    The logarithmic opinion pool with equal weights: p_k = exp(mean_i log s_ik) / sum_j exp(mean_i
    log s_ij), the geometric mean of the pictures' scores, made to add up to 1 (Genest and Zidek
    1986, Combining Probability Distributions, Statistical Science 1, 1). It is the mean, and not
    the sum, of the logarithms: shots of a burst are nearly one picture, so ten that are 0.7 sure
    are together 0.7 sure. Scores below 1.2e-7 (float32's epsilon) count as that, so that no picture
    alone rules a label out.
    """
    logs = np.log(np.maximum(scores.astype(np.float64), _LEAST)).mean(axis=0)
    found = np.exp(logs - logs.max())
    shares: Floats = (found / found.sum()).astype(np.float32)
    return shares


def is_soon(one: datetime, other: datetime, within: timedelta) -> bool:
    """Return whether the times are at most so far apart, whichever comes first.

    If only one of them has a zone, both are taken as the clock on the wall.
    """
    if not (one.tzinfo and other.tzinfo):
        one, other = one.replace(tzinfo=None), other.replace(tzinfo=None)
    return abs(one - other) <= within


class Chains:
    """Numbers the bursts of files that come in the order of their names.

    Cameras number what they take, so the files of a burst follow each other. A file belongs to the
    burst of the one before it if it is in the same folder and was taken at most `within` earlier or
    later. A burst that has MOST files is over.
    """

    def __init__(self, within: timedelta) -> None:
        self._within = within
        self._last: tuple[Path, datetime] | None = None
        self._number, self._count = 0, 0

    def next(self, folder: Path, when: datetime) -> int:
        """Return the number of the next file's burst."""
        there, last = self._last or (None, when)
        if there != folder or self._count == MOST or not is_soon(last, when, self._within):
            self._number, self._count = self._number + 1, 0
        self._last, self._count = (folder, when), self._count + 1
        return self._number


class Bursts:
    """The bursts of one run. A picture is `looked_at` in any thread, then `seen`, then `decided`.

    What a person has labelled keeps its own decision, and is no part of the others'. A decision is
    in the manifest before any of its pictures is in DEST: if the run is killed, the next one takes
    it from there, since pictures that were moved cannot be asked again.
    """

    def __init__(self, within: Fraction, manifest: Manifest, labelled: Labelled | None) -> None:
        self._chains = Chains(timedelta(microseconds=round(within * 1_000_000)))
        self._manifest, self._labelled = manifest, labelled
        self._times = dict[Path, datetime | None]()
        self._numbers = dict[Path, int | None]()
        self._count = self._together = self._timeless = 0

    def looked_at(self, path: Path, picture: Picture) -> None:
        """Take in when the picture was taken, while its bytes are there."""
        try:
            self._times[path] = decoding.taken_at(picture)
        except Unreadable:
            self._times[path] = None

    def seen(self, path: Path, picture: Picture, *, known: bool) -> None:
        """Take in the next picture, in the order of names; `known`: it is in DEST already."""
        when = self._times.pop(path, None)
        number = None if when is None else self._chains.next(path.parent, when)
        if known:
            return
        self._timeless += when is None
        labelled = self._labelled and self._labelled.has(picture.key.hex(), picture.size)
        self._numbers[path] = None if labelled else number

    def decided(
        self, found: Iterable[tuple[Item, Floats]], ready: Ready, least: Mapping[str, float]
    ) -> Iterator[tuple[Item, Guess, Guess]]:
        """Yield each picture with its own guess, and with the one by which it is sorted.

        `found`: the pictures that were seen and are not known, with their vectors. `least`: see
        `of_row`.
        """
        waiting: list[_Waiting[Item]] = []
        last = None
        for item, row in found:
            path, key = item[0], item[1].key.hex()
            number, own = self._numbers.pop(path, None), of_row(path, ready, row, least=least)
            if before := self._before(key, own, ready, least):
                yield item, own, before
            elif number is None:
                yield item, own, own
            else:
                if number != last:
                    yield from self._settled(waiting, ready, least)
                    waiting, last = [], number
                waiting.append((item, row, own))
        yield from self._settled(waiting, ready, least)

    def say(self) -> None:
        """Report how many bursts there were."""
        timeless = f"; {self._timeless} without a time in EXIF" if self._timeless else ""
        pictures = counted(self._together, "picture")
        progress.say(f"{counted(self._count, 'burst')}, of {pictures} in all{timeless}")

    def _before(
        self, key: str, own: Guess, ready: Ready, least: Mapping[str, float]
    ) -> Guess | None:
        """Return what this run has decided before it was killed, if it has."""
        burst = self._manifest.bursts.get(key)
        if burst is None or burst.label not in ready.record.labels:
            return None
        return Guess(
            own.path,
            ready.record.categories[ready.record.labels.index(burst.label)],
            dict(burst.scores),
            least.get(burst.label, 0),
            None if own.unknown is None else burst.unknown,
            burst.both,
        )

    def _settled(
        self, waiting: Sequence[_Waiting[Item]], ready: Ready, least: Mapping[str, float]
    ) -> Iterator[tuple[Item, Guess, Guess]]:
        """Decide for a whole burst; what more than half of its pictures are, all of them are."""
        if len(waiting) < 2:
            yield from ((item, own, own) for item, _, own in waiting)
            return
        (first, row, _), owns = waiting[0], [own for _, _, own in waiting]
        scores = pooled(np.stack([ready.scores(each) for _, each, _ in waiting]))
        one = of_row(first[0], ready, row, least=least, scores=scores)
        if one.unknown is not None:
            one = replace(one, unknown=2 * sum(bool(own.unknown) for own in owns) > len(owns))
        both = [own.both for own in owns if own.both]
        one = replace(one, both=both[0] if 2 * len(both) > len(owns) else ())
        keys = [item[1].key.hex() for item, _, _ in waiting]
        image = self._manifest.relative(first[0])
        decision = image, keys, one.scores, bool(one.unknown), one.both
        self._manifest.deciding(Burst(self._manifest.run, *decision))
        self._count, self._together = self._count + 1, self._together + len(waiting)
        yield from ((item, own, replace(one, path=own.path)) for item, _, own in waiting)
