"""Scores that mean what they say: the temperature of a head, and how far scores are off."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Indices = NDArray[np.intp]

# How far the logarithm of the temperature is from 0 before anything was seen of a classifier: the
# spread over real sets of pictures (bench/heads.py). The fewer the pictures, the more this counts.
_SPREAD = 0.3
# With fewer pictures it varies more by chance than it helps (bench/heads.py).
_FEWEST = 100
_LOWEST, _HIGHEST = -2.5, 2.5  # of its logarithm
_ENOUGH = 1e-4
BINS = 15


def softmax(logits: Floats, axis: int = -1) -> Floats:
    """Return the scores of logits [..., K]; they sum to 1 along the axis."""
    scores: Floats = np.exp(logits - logits.max(axis=axis, keepdims=True))
    scores /= scores.sum(axis=axis, keepdims=True)
    return scores


def temperature(logits: Floats, truth: Indices, count: int) -> float:
    """Return T such that softmax(logits / T) is as likely as can be (Guo et al. 2017).

    logits [M, K] of pictures that their head was not trained on; truth [M]. `count`: how many
    different pictures they are of. The logarithm of T has a normal prior around 0, which keeps T
    nearer to 1 the fewer they are; with too few of them to tell, T is 1.
    """
    if count < _FEWEST or logits.shape[1] < 2:
        return 1.0
    own = np.arange(len(truth))

    def cost(log: float) -> float:
        scaled = logits * np.exp(-log)
        scaled -= scaled.max(axis=1, keepdims=True)
        loss = np.log(np.exp(scaled).sum(axis=1)) - scaled[own, truth]
        return float(loss.mean()) * count + log * log / (2 * _SPREAD**2)

    return float(np.exp(_lowest(cost)))


def log_loss(scores: Floats, truth: Indices) -> float:
    """Return the mean of -log(score of the true category), in nats; NaN without pictures."""
    if not len(truth):
        return float("nan")
    own = scores[np.arange(len(truth)), truth]
    return float(-np.log(np.maximum(own, np.finfo(np.float32).tiny)).mean())


def calibration_error(scores: Floats, truth: Indices) -> float:
    """Return the expected calibration error, 0 to 1, over BINS bins of equal width (Naeini 2015).

    It is the mean distance between the best score and how often the best label is right.
    """
    if not len(truth):
        return float("nan")
    best, right = scores.max(axis=1), scores.argmax(axis=1) == truth
    bins = np.minimum((best * BINS).astype(int), BINS - 1)
    sums = (np.bincount(bins, each, BINS) for each in (best, right))
    return float(np.abs(np.subtract(*sums)).sum() / len(truth))


def _lowest(cost: Callable[[float], float]) -> float:
    """Return where a convex function is lowest (golden section)."""
    low, high = _LOWEST, _HIGHEST
    golden = (5**0.5 - 1) / 2
    one, other = high - golden * (high - low), low + golden * (high - low)
    at_one, at_other = cost(one), cost(other)
    while high - low > _ENOUGH:
        if at_one < at_other:
            high, other, at_other = other, one, at_one
            one = high - golden * (high - low)
            at_one = cost(one)
        else:
            low, one, at_one = one, other, at_other
            other = low + golden * (high - low)
            at_other = cost(other)
    return (low + high) / 2
