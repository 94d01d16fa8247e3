"""Wrong labels: pictures that a head trained without them takes for something else."""

import numpy as np
from numpy.typing import NDArray

from tensor_guess.evaluation.calibration import softmax

Floats = NDArray[np.float32]
Indices = NDArray[np.intp]


def self_confidence(logits: Floats, truth: Indices) -> Floats:
    """Return the logarithm of the score [N] of each picture's own category; the worst is lowest.

    `logits`: [N, K], out of fold: no row was trained on. Northcutt et al. 2021 (Confident Learning,
    section 3.3) rank by this; margins found no more of the labels that bench/label_errors.py flips.
    """
    top = logits.max(axis=1, keepdims=True)
    logs = logits - top - np.log(np.exp(logits - top).sum(axis=1, keepdims=True))
    own: Floats = logs[np.arange(len(truth)), truth]
    return own


def suspects(logits: Floats, truth: Indices) -> Indices:
    """Return the pictures whose label is most likely wrong, worst first.

    They are those off the diagonal of the confident joint (Northcutt et al. 2021, equation 1): the
    best category whose score reaches the mean that its own pictures have is not their own.
    """
    scores = softmax(logits)
    sums = np.zeros(scores.shape[1])
    np.add.at(sums, truth, scores[np.arange(len(truth)), truth])
    counts = np.bincount(truth, minlength=scores.shape[1])
    usual = np.where(counts, sums / np.maximum(counts, 1), np.inf)
    confident = np.where(scores >= usual - 1e-6, scores, -1)
    wrong = (confident.max(axis=1) >= 0) & (confident.argmax(axis=1) != truth)
    found = np.flatnonzero(wrong)
    return found[np.argsort(self_confidence(logits, truth)[found], kind="stable")]
