"""Two categories in one picture, seen in the logits at each place of the picture."""

import numpy as np
from numpy.typing import NDArray

from tensor_guess.evaluation.calibration import softmax

# How sure each half must be of its own category; chosen by bench/both.py.
LEAST = 0.8


def both(logits: NDArray[np.float32], least: float = LEAST) -> tuple[int, int] | None:
    """Return the numbers of the two categories that two halves show; None for one category.

    `logits` [H, W, K]: the head, applied at each place of the feature map. Left and right, and top
    and bottom, are compared; the middle row or column of an odd number belongs to neither. Each
    half's score of its category must be at least `least`.
    """
    height, width, _ = logits.shape
    x, y = width // 2, height // 2
    halves = [(logits[:, :x], logits[:, -x:])] if x else []
    halves += [(logits[:y], logits[-y:])] if y else []
    best, found = least, None
    for pair in halves:
        one, other = map(_scores, pair)
        surely = min(one.max(), other.max())
        if one.argmax() != other.argmax() and surely >= best:
            best, found = surely, (int(one.argmax()), int(other.argmax()))
    return found


def _scores(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the scores [K] that a picture of these places alone would have."""
    mean = logits.mean(axis=(0, 1))
    return softmax(mean)
