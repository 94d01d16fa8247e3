"""Missing looks: pictures that are like no training picture of their own category."""

import numpy as np
from numpy.typing import NDArray

from tensor_guess.evaluation.copies import common_of, unit

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]

# Of a category with fewer training pictures, nobody can say what is usual in it.
_FEWEST = 8
_BLOCK = 1024


def likeness(rows: Floats, truth: NDArray[np.intp], training: Bools) -> Floats:
    """Return each picture's cosine [N] with the nearest other training picture of its category.

    `rows`: bottlenecks [N, D]. `truth`: the number of each one's category. `training`: which are
    trained on. Where there is no other one, it is -1.
    """
    found = np.full(len(truth), -1, np.float32)
    common = common_of(rows) if len(rows) else np.float32(0)
    for k in np.unique(truth):
        own = np.flatnonzero(truth == k)
        near = own[training[own]]
        units = unit(rows[near] - common)
        for start in range(0, len(own), _BLOCK):
            block = own[start : start + _BLOCK]
            cosines = unit(rows[block] - common) @ units.T
            cosines[block[:, None] == near] = -1
            found[block] = cosines.max(axis=1, initial=-1)
    return found


def fences(like: Floats, truth: NDArray[np.intp], training: Bools) -> dict[int, float]:
    """Return, for each category with enough training pictures, the least likeness that is usual.

    It is the lower fence (Tukey 1977, Exploratory Data Analysis) of what `likeness` returned for
    the training pictures: the lower quartile less 1.5 times the distance of the quartiles.
    """
    found = {}
    for k in np.unique(truth):
        own = like[training & (truth == k)]
        if len(own) >= _FEWEST:
            low, high = np.quantile(own, (0.25, 0.75))
            found[int(k)] = float(low - 1.5 * (high - low))
    return found
