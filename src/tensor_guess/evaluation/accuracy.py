"""Accuracy with its interval, and confusion, on pictures not trained on."""

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
