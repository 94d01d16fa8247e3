"""Accuracy with its interval, and confusion, on pictures not trained on."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

_Z95 = 1.959964  # the normal distribution's 97.5 % point


@dataclass(frozen=True)
class Accuracy:
    """How many of `count` pictures are `right`."""

    right: int
    count: int

    @property
    def value(self) -> float:
        """Return the share of right ones, 0 to 1; NaN without pictures."""
        return self.right / self.count if self.count else float("nan")

    def interval(self) -> tuple[float, float]:
        """Return the 95 % interval (Wilson 1927), which is valid even for few pictures or 100 %."""
        if not self.count:
            return 0.0, 1.0
        n, p, z2 = self.count, self.value, _Z95**2
        middle = (p + z2 / (2 * n)) / (1 + z2 / n)
        half = _Z95 * sqrt(p * (1 - p) / n + z2 / (4 * n * n)) / (1 + z2 / n)
        return max(0.0, middle - half), min(1.0, middle + half)

    def __str__(self) -> str:
        if not self.count:
            return "unknown (N=0)"
        low, high = self.interval()
        return (
            f"{100 * self.value:.1f}% (N={self.count}, "
            f"95% interval {100 * low:.1f}% to {100 * high:.1f}%)"
        )


def confusion(truth: NDArray[np.intp], found: NDArray[np.intp], classes: int) -> NDArray[np.intp]:
    """Return [K, K]: how many pictures of each class (rows) were given which class (columns)."""
    counts = np.bincount(truth * classes + found, minlength=classes * classes)
    return counts.reshape(classes, classes)


def top(scores: NDArray[np.float32], truth: NDArray[np.intp], k: int) -> Accuracy:
    """Return for how many of N pictures the true category is among the k with the best scores.

    scores: [N, K]. Among equal scores, the first category comes first, as in a guess.
    """
    best = (-scores).argsort(axis=1, kind="stable")[:, :k]
    return Accuracy(int((best == truth[:, None]).any(axis=1).sum()), len(truth))


def recalls(taken: NDArray[np.intp]) -> list[Accuracy]:
    """Return, for each category of a confusion, how many of its pictures were given it."""
    return _of_diagonal(taken, taken.sum(axis=1))


def precisions(taken: NDArray[np.intp]) -> list[Accuracy]:
    """Return, for each category of a confusion, how many pictures that were given it are in it."""
    return _of_diagonal(taken, taken.sum(axis=0))


def balanced(taken: NDArray[np.intp]) -> float:
    """Return the mean recall of the categories that have pictures; NaN if none has."""
    found = [each.value for each in recalls(taken) if each.count]
    return sum(found) / len(found) if found else float("nan")


@dataclass(frozen=True)
class AtThreshold:
    """What becomes of a category if it is only given from a score of `threshold` on.

    `right`: its pictures that are given it. `wrong`: others that are (false positives). `missed`:
    its pictures that are not (false negatives).
    """

    threshold: float
    right: int
    wrong: int
    missed: int

    @property
    def precision(self) -> Accuracy:
        """Return how many of the pictures that are given the category are in it."""
        return Accuracy(self.right, self.right + self.wrong)

    @property
    def recall(self) -> Accuracy:
        """Return how many of the category's pictures are given it."""
        return Accuracy(self.right, self.right + self.missed)


def at_thresholds(
    scores: NDArray[np.float32], truth: NDArray[np.intp], k: int, thresholds: Sequence[float]
) -> list[AtThreshold]:
    """Return what each threshold does to category k, for N pictures.

    scores: [N, K]; truth: [N]. A picture is given the category if that has its best score, and the
    score is at least the threshold.
    """
    best, own = scores.argmax(axis=1) == k, truth == k
    found = []
    for threshold in thresholds:
        given = best & (scores[:, k] >= threshold)
        counts = (given & own).sum(), (given & ~own).sum(), (~given & own).sum()
        found.append(AtThreshold(threshold, *map(int, counts)))
    return found


def _of_diagonal(taken: NDArray[np.intp], counts: NDArray[np.intp]) -> list[Accuracy]:
    return [Accuracy(int(r), int(n)) for r, n in zip(taken.diagonal(), counts, strict=True)]
