"""How unlike all training pictures a picture is; what follows from such numbers for a threshold.

Every measure here grows with strangeness. `bench/unknown.py` compares them; `novelty`, a mixture of
the distance in the space of bottlenecks and of the head's doubt, is the one that is used: distances
alone miss what lies between two categories, and scores alone miss what is far from all.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tensor_guess.evaluation.copies import NEAR_COPY, unit

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]
Indices = NDArray[np.intp]

# Share of the known pictures that are to pass.
PASSING = 0.95
# How much a nat of entropy counts beside the distance (1 - cosine); chosen by bench/unknown.py.
_DOUBT = 0.4
# A graph holds at most about this many training pictures' rows, of one byte a number.
_MOST_ROWS = 512
_TINY = np.finfo(np.float32).tiny


@dataclass(frozen=True)
class Familiar:
    """What is known: the categories' middles [K, D], and training pictures' rows [N, D]; units."""

    middles: Floats
    rows: Floats

    def cosines(self, bottlenecks: Floats) -> tuple[Floats, Floats]:
        """Return the cosines [M, K] and [M, N] of bottlenecks [M, D] with what is known."""
        found = unit(bottlenecks)
        return found @ self.middles.T, found @ self.rows.T

    def packed(self) -> Bytes:
        """Return middles and rows as one array [K + N, D] of bytes, 128 being 0."""
        both = np.concatenate([self.middles, self.rows])
        largest = np.maximum(np.abs(both).max(axis=1, keepdims=True), _TINY)
        found: Bytes = np.rint(both / largest * 127 + 128).astype(np.uint8)
        return found


def unpacked(data: Bytes) -> Floats:
    """Return the units [K + N, D] in what `Familiar.packed` returned."""
    return unit(data.astype(np.float32) - 128)


def familiar(bottlenecks: Floats, truth: Indices, classes: int) -> Familiar:
    """Return what is known after training on bottlenecks [N, D] of categories `truth` [N].

    Of many rows, the first of each category are kept. Every category must have one.
    """
    each = max(1, _MOST_ROWS // classes)
    own = [np.flatnonzero(truth == k) for k in range(classes)]
    middles = np.stack([bottlenecks[rows].mean(axis=0) for rows in own])
    kept = np.concatenate([rows[:each] for rows in own])
    return Familiar(unit(middles), unit(bottlenecks[kept]))


def novelty(middles: Floats, rows: Floats, scores: Floats) -> Floats:
    """Return how new each of M pictures is [M].

    `middles` [M, K], `rows` [M, N]: cosines of `Familiar`; `scores` [M, K]. It is the mean of the
    distances to the nearest picture (Sun 2022) and to the nearest category's middle, and _DOUBT
    times the entropy of the scores.
    """
    distance = 1 - (middles.max(axis=1) + rows.max(axis=1)) / 2
    found: Floats = distance + _DOUBT * entropy(scores)
    return found


def entropy(scores: Floats) -> Floats:
    """Return the entropy of scores [M, K], in nats [M]."""
    found: Floats = -(scores * np.log(np.maximum(scores, _TINY))).sum(axis=1)
    return found


def of_training(bottlenecks: Floats, truth: Indices, scores: Floats) -> Floats:
    """Return the novelty of the training pictures [N], each judged by the others.

    `bottlenecks` [N, D], `truth` [N]; `scores` [N, K] come from heads that were trained without the
    picture. The picture itself and its near copies do not count as others.
    """
    known = familiar(bottlenecks, truth, scores.shape[1])
    middles, rows = known.cosines(bottlenecks)
    for k in range(scores.shape[1]):
        own = np.flatnonzero(truth == k)
        without = bottlenecks[own].sum(axis=0) - bottlenecks[own]
        middles[own, k] = (unit(without) * unit(bottlenecks[own])).sum(axis=1)
    return novelty(middles, np.where(rows < NEAR_COPY, rows, 0), scores)


def threshold(known: Floats) -> float:
    """Return the novelty that PASSING of the known pictures [N] do not exceed."""
    return float(np.quantile(known, PASSING, method="higher"))


# --- other measures


def max_softmax(logits: Floats) -> Floats:
    """Return what the best score [M] of logits [M, K] lacks (Hendrycks and Gimpel 2017)."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    found: Floats = 1 - 1 / np.exp(shifted).sum(axis=1)
    return found


def energy(logits: Floats) -> Floats:
    """Return the energy [M] of logits [M, K] at temperature 1 (Liu 2020)."""
    highest = logits.max(axis=1, keepdims=True)
    found: Floats = -(highest[:, 0] + np.log(np.exp(logits - highest).sum(axis=1)))
    return found


def nearest(bottlenecks: Floats, training: Floats, k: int = 1) -> Floats:
    """Return 1 - cosine of each bottleneck [M, D] and its k-th nearest in training (Sun 2022)."""
    cosines = unit(bottlenecks) @ unit(training).T
    k = min(k, len(training))
    found: Floats = 1 - np.partition(cosines, -k, axis=1)[:, -k]
    return found


def mahalanobis(bottlenecks: Floats, training: Floats, truth: Indices) -> Floats:
    """Return the squared distance [M] to the nearest category's mean (Lee 2018).

    The covariance is shared, and shrunk as Ledoit and Wolf (2004) did, since N is less than D. It
    is inverted in the N dimensions of the training rows: (Woodbury) of shrinkage * identity + rows.
    """
    rows = unit(training)
    means = np.stack([rows[truth == k].mean(axis=0) for k in np.unique(truth)])
    centred = rows - means[np.searchsorted(np.unique(truth), truth)]
    n, width = centred.shape
    gram = centred @ centred.T
    size, squared = np.trace(gram) / n / width, (gram**2).sum() / n**2
    delta = (squared - width * size**2) / width
    beta = ((np.diag(gram) ** 2).sum() / n - squared) / (width * n)
    shrinkage = float(np.clip(beta / max(delta, _TINY), 1e-3, 1))
    values, vectors = np.linalg.eigh(gram)
    kept = values > values[-1] * 1e-6
    axes = centred.T @ vectors[:, kept] / np.sqrt(values[kept])
    along = (1 - shrinkage) * values[kept] / n
    weights = along / (along + shrinkage * size)
    away = unit(bottlenecks)[:, None] - means
    found: Floats = ((away**2).sum(axis=2) - ((away @ axes) ** 2) @ weights).min(axis=1)
    return found / np.float32(shrinkage * size)


def vim(bottlenecks: Floats, training: Floats, weights: Floats, biases: Floats) -> Floats:
    """Return the virtual-logit matching's value [M] (Wang 2022) for a head [D, K], [K].

    The principal space has half as many dimensions as there are training rows.
    """
    origin = -np.linalg.pinv(weights.T) @ biases
    centred = training - origin
    values, vectors = np.linalg.eigh(centred @ centred.T)
    count = max(1, len(training) // 2)
    axes = centred.T @ vectors[:, -count:] / np.sqrt(np.maximum(values[-count:], _TINY))

    def residual(rows: Floats) -> Floats:
        away = rows - origin
        left = (away**2).sum(axis=1) - ((away @ axes) ** 2).sum(axis=1)
        found: Floats = np.sqrt(np.maximum(left, 0))
        return found

    highest = (training @ weights + biases).max(axis=1).mean()
    factor = highest / max(residual(training).mean(), _TINY)
    found: Floats = factor * residual(bottlenecks) + energy(bottlenecks @ weights + biases)
    return found


# --- how well two groups are told apart


def auroc(known: Floats, unknown: Floats) -> float:
    """Return how often an unknown picture's value [N] exceeds a known one's [M]; ties are half."""
    ordered = np.sort(known)
    below = np.searchsorted(ordered, unknown, "left")
    level = np.searchsorted(ordered, unknown, "right")
    return float((below + level).mean() / 2 / len(known))


def error_rates(own: Floats, others: Floats, least: float) -> tuple[float, float]:
    """Return the rates of others accepted and of own rejected, if values below `least` pass."""
    return float((others <= least).mean()), float((own > least).mean())


def equal_error(own: Floats, others: Floats) -> float:
    """Return the rate of errors at the threshold where both kinds are most nearly alike."""
    rates = [error_rates(own, others, least) for least in np.concatenate([own, others])]
    accepted, rejected = min(rates, key=lambda pair: (abs(pair[0] - pair[1]), pair[0] + pair[1]))
    return (accepted + rejected) / 2
