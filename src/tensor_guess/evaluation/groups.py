"""Groups of pictures that look alike, found without labels; what is typical of each, what of none.

Spherical k-means: a group is what has the greatest cosine with one of K centres.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import log, sqrt

import numpy as np
from numpy.typing import NDArray

from tensor_guess.evaluation import looks
from tensor_guess.evaluation.copies import unit

Floats = NDArray[np.float32]
Indices = NDArray[np.intp]

# A group too many only gets the name of another; one too few must be taken apart by hand. So there
# are more than the data alone suggests, up to what a person will look through: docs/design.md.
_MOST_GROUPS = 30
# Centres are sought among so many rows, from so many starts, and then moved to fit all rows.
_SAMPLE, _STARTS, _SEED = 4096, 8, 0
_PASSES = 100
_BLOCK = 4096
_SAME = 1e-5  # rows are the same if 1 - their cosine is at most this


@dataclass(frozen=True)
class Groups:
    """For each row [N], the number of its group and the cosine with the centre of that.

    Groups are numbered from 0, the largest first.
    """

    number: Indices
    likeness: Floats

    @property
    def count(self) -> int:
        """Return how many groups there are."""
        return len(np.unique(self.number))

    def members(self, k: int) -> Indices:
        """Return the rows of a group, the most typical first."""
        own = np.flatnonzero(self.number == k)
        return own[np.argsort(-self.likeness[own], kind="stable")]


def usual_count(pictures: int) -> int:
    """Return how many groups to make of so many pictures."""
    return max(1, min(_MOST_GROUPS, round(sqrt(pictures / 2))))


def group(rows: Floats, count: int) -> Groups:
    """Return `count` groups of the rows [N, D], or fewer if there are fewer different rows.

    The same rows give the same groups. Besides the rows, it takes the memory of a few thousand.
    """
    if not len(rows):
        return Groups(np.empty(0, np.intp), np.empty(0, np.float32))
    middle, random = rows.mean(axis=0), np.random.default_rng(_SEED)
    sample = unit(rows[:: -(-len(rows) // _SAMPLE)] - middle)
    starts = (_settled(lambda: [sample], _start(sample, count, random)) for _ in range(_STARTS))
    centres, best = max(starts, key=lambda found: float(found[1].likeness.sum()))
    if len(sample) < len(rows):
        best = _settled(lambda: _units(rows, middle), centres)[1]
    sizes = np.bincount(best.number)
    largest_first = np.argsort(-sizes, kind="stable")
    place = np.empty(len(sizes), np.intp)
    place[largest_first] = np.arange(len(sizes))
    return Groups(place[best.number], best.likeness)


def unlike_all(rows: Floats, groups: Groups) -> NDArray[np.bool_]:
    """Return which rows [N] are near none of their group: below Tukey's fence of all pictures."""
    all_ = np.ones(len(rows), bool)
    like = looks.likeness(rows, groups.number, all_)
    fence = looks.fences(like, np.zeros(len(rows), np.intp), all_).get(0, -np.inf)
    unlike: NDArray[np.bool_] = like < fence
    return unlike


def choose(rows: Floats, count: int) -> Indices:
    """Return the `count` rows to label first, or fewer if there are fewer different rows.

    Each is the most typical of a group of its own, so that they show as much as so many can.
    """
    found = group(rows, count)
    return np.array([found.members(k)[0] for k in range(found.count)], np.intp)


def _units(rows: Floats, middle: Floats) -> Iterable[Floats]:
    for start in range(0, len(rows), _BLOCK):
        yield unit(rows[start : start + _BLOCK] - middle)


def _start(units: Floats, count: int, random: np.random.Generator) -> Floats:
    """Return rows to begin with, far from each other.

    Arthur and Vassilvitskii 2007, k-means++: The Advantages of Careful Seeding; the greedy form, in
    which each row is the best of several that were drawn.
    """
    chosen = [int(random.integers(len(units)))]
    away = 1 - units @ units[chosen[0]]
    while len(chosen) < count:
        chance = np.where(away > _SAME, away, 0).astype(np.float64)
        if not chance.any():
            break
        drawn = random.choice(len(units), 2 + int(log(count)), p=chance / chance.sum())
        after = np.minimum(away, 1 - units[drawn] @ units.T)
        best = int(after.sum(axis=1).argmin())
        chosen.append(int(drawn[best]))
        away = after[best]
    return units[chosen]


def _settled(blocks: Callable[[], Iterable[Floats]], centres: Floats) -> tuple[Floats, Groups]:
    """Return the centres, and the groups around them, once no row changes its group."""
    before = None
    for _ in range(_PASSES):
        numbers, likeness, sums = [], [], np.zeros_like(centres)
        for block in blocks():
            cosines = block @ centres.T
            number = cosines.argmax(axis=1)
            numbers.append(number)
            likeness.append(cosines[np.arange(len(block)), number])
            sums += (number == np.arange(len(centres))[:, None]).astype(np.float32) @ block
        found = Groups(np.concatenate(numbers), np.concatenate(likeness))
        if before is not None and np.array_equal(found.number, before):
            break
        taken, before = np.unique(found.number, return_inverse=True)
        centres = unit(sums[taken])
    return centres, Groups(np.unique(found.number, return_inverse=True)[1], found.likeness)
