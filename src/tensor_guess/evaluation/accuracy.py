"""Accuracy with its interval, confusion and near copies, on pictures not trained on."""

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

# From this cosine of their bottlenecks on, two pictures are one: saved again, cropped a little,
# brightened. A higher limit misses most copies; a lower one takes two photos of the same thing for
# copies. It was measured on real pictures: docs/design.md.
NEAR_COPY = 0.90
# Bottlenecks with values below this are logits, as `retrain.py` took from MobileNet, not averages
# of an activation with a lower bound (the lowest, that of swish, is -0.28).
_LOGITS_BELOW = -1
_Z95 = 1.959964  # the normal distribution's 97.5 % point
_BLOCK = 1024


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


@dataclass(frozen=True)
class Pictures:
    """Bottlenecks [N, D], and the number of the category of each [N]."""

    bottlenecks: NDArray[np.float32]
    truth: NDArray[np.intp]


@dataclass(frozen=True)
class NearCopies:
    """Which of M pictures have a near copy in training, in their own or in another category.

    A copy in the same category was memorised, and shows nothing. One in another category is most
    likely a wrong label, and shows much.
    """

    own: NDArray[np.bool_]
    other: NDArray[np.bool_]


def near_copies(held_out: Pictures, training: Pictures) -> NearCopies:
    """Find which of the M held-out pictures have a near copy in training, by their bottlenecks."""
    found = NearCopies(*np.zeros((2, len(held_out.truth)), bool))
    if not len(training.truth):
        return found
    # What all logits have in common does not distinguish pictures.
    rows = training.bottlenecks
    common = rows.mean(axis=0) if rows.min() < _LOGITS_BELOW else np.float32(0)
    units = _unit(rows - common)
    for start in range(0, len(held_out.truth), _BLOCK):
        part = slice(start, start + _BLOCK)
        block = _unit(held_out.bottlenecks[part] - common)
        for first in range(0, len(units), _BLOCK):
            close = block @ units[first : first + _BLOCK].T >= NEAR_COPY
            same = held_out.truth[part, None] == training.truth[first : first + _BLOCK]
            found.own[part] |= (close & same).any(axis=1)
            found.other[part] |= (close & ~same).any(axis=1)
    return found


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: NDArray[np.float32] = rows / np.maximum(lengths, np.finfo(np.float32).tiny)
    return unit
