"""Whether scores mean what they say, and what a threshold on them would do."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tensor_guess.evaluation.accuracy import Accuracy
from tensor_guess.evaluation.calibration import BINS

THRESHOLDS = (0.5, 0.7, 0.8, 0.9, 0.95, 0.99)


@dataclass(frozen=True)
class Bin:
    """The pictures whose best score is at least `low` and below `high`, or 1.

    `score`: the mean of their best scores. `accuracy`: how many of them were right.
    """

    low: float
    high: float
    score: float
    accuracy: Accuracy


@dataclass(frozen=True)
class AtThreshold:
    """What happens to one category if lower scores than `threshold` do not count as an answer.

    `precision`: of the pictures given this label, how many have it. `recall`: of the pictures that
    have it, how many are given it.
    """

    threshold: float
    precision: Accuracy
    recall: Accuracy


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


def at_thresholds(
    truth: NDArray[np.intp], scores: NDArray[np.float32], category: int
) -> tuple[AtThreshold, ...]:
    """Return precision and recall of the category at each of THRESHOLDS; see `reliability`."""
    best, given = scores.max(axis=1, initial=0), scores.argmax(axis=1)
    own, found = truth == category, []
    for threshold in THRESHOLDS:
        said = (given == category) & (best >= threshold)
        right = int((said & own).sum())
        precision, recall = Accuracy(right, int(said.sum())), Accuracy(right, int(own.sum()))
        found.append(AtThreshold(threshold, precision, recall))
    return tuple(found)
