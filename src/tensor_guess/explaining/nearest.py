"""Which training pictures look most like a picture: nearest by the cosine of their bottlenecks."""

import numpy as np
from numpy.typing import NDArray

from tensor_guess.evaluation.copies import NEAR_COPY, Pictures, common_of, unit

Floats = NDArray[np.float32]

# Of a category's own pictures, this share has another of the category as near as "near" means.
SHARE = 0.95
# With fewer pictures in a category, all categories say together what is near.
_FEW = 20
_BLOCK = 1024


class Nearest:
    """Training pictures, to be compared with others. A distance is 1 - cosine, from 0 to 2."""

    def __init__(self, pictures: Pictures) -> None:
        rows = pictures.bottlenecks
        self._truth = pictures.truth
        self._common = common_of(rows) if len(rows) else np.float32(0)
        self._units = unit(rows - self._common)

    def of(self, bottleneck: Floats, k: int, count: int) -> list[tuple[int, float]]:
        """Return the nearest pictures of category k, nearest first: position and distance.

        bottleneck: [D].
        """
        own = np.flatnonzero(self._truth == k)
        if not len(own):
            return []
        away = 1 - self._units[own] @ unit(bottleneck[None] - self._common)[0]
        order = away.argsort(kind="stable")[:count]
        return [(int(own[i]), float(max(away[i], 0))) for i in order]

    def limit(self, k: int) -> float:
        """Return the distance up to which a picture is near to category k.

        Each training picture of the category is compared with the others of it (leave-one-out), and
        SHARE of them have one within this distance. If there are few, those of all categories are
        taken; if there are none at all, near copies are near.
        """
        own = self._within(k)
        if len(own) < _FEW:
            own = np.concatenate([own[:0], *map(self._within, np.unique(self._truth))])
        return float(np.quantile(own, SHARE)) if len(own) else 1 - NEAR_COPY

    def _within(self, k: int | np.intp) -> Floats:
        """Return, for each picture of category k, the distance to the nearest other of it."""
        units = self._units[self._truth == k]
        found = np.empty(len(units) if len(units) > 1 else 0, np.float32)
        for start in range(0, len(found), _BLOCK):
            cosines = units[start : start + _BLOCK] @ units.T
            rows = np.arange(len(cosines))
            cosines[rows, start + rows] = -1
            found[start : start + _BLOCK] = 1 - cosines.max(axis=1)
        return np.maximum(found, 0)
