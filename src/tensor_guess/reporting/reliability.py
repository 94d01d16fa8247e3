"""Whether scores mean what they say."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tensor_guess.evaluation.accuracy import Accuracy
from tensor_guess.evaluation.calibration import BINS


@dataclass(frozen=True)
class Bin:
    """The pictures whose best score is at least `low` and below `high`, or 1.

    `score`: the mean of their best scores. `accuracy`: how many of them were right.
    """

    low: float
    high: float
    score: float
    accuracy: Accuracy


def reliability(truth: NDArray[np.intp], scores: NDArray[np.float32]) -> tuple[Bin, ...]:
    """Return the bins, without empty ones, of scores [N, K] for true categories [N].

    The bins have the same width (Guo et al. 2017, "On Calibration of Modern Neural Networks").
    """
    best, right = scores.max(axis=1, initial=0), scores.argmax(axis=1) == truth
    of_bin = np.minimum((best * BINS).astype(np.intp), BINS - 1)
    found = []
    for i in np.unique(of_bin):
        own = of_bin == i
        accuracy = Accuracy(int(right[own].sum()), int(own.sum()))
        score = float(best[own].mean(dtype=np.float64))
        found.append(Bin(i / BINS, (i + 1) / BINS, score, accuracy))
    return tuple(found)
