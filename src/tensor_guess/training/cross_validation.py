"""Cross-validation: each picture is judged by a head that was trained without it and its copies."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tensor_guess.bottlenecks.examples import Examples
from tensor_guess.config import Training
from tensor_guess.evaluation import copies
from tensor_guess.evaluation.calibration import softmax
from tensor_guess.evaluation.folds import FOLDS, folds
from tensor_guess.images.dataset import Split
from tensor_guess.training import head as heads

Floats = NDArray[np.float32]
Indices = NDArray[np.intp]

# With no more pictures than this in a category, a tenth of them is no test.
FEW_PICTURES = 30
# Scores that all heads of all folds may have together: more takes longer than it tells.
_WIDEST = 100
_REPEATS = 4


@dataclass(frozen=True)
class Judged:
    """The examples `rows` [M] by heads that were not trained on them; logits [R, N, K] of all N."""

    rows: Indices
    logits: Floats

    def scores(self, temperature: float = 1.0) -> Floats:
        """Return scores [M, K], the mean of the repeats."""
        if not len(self.rows):
            return np.empty((0, self.logits.shape[-1]), np.float32)
        mean: Floats = softmax(self.logits[:, self.rows] / np.float32(temperature)).mean(axis=0)
        return mean


def are_few(examples: Examples) -> bool:
    """Return whether a category has so few pictures that the accuracy is cross-validated."""
    counts = np.bincount(examples.truth, minlength=len(examples.data.categories))
    return bool(counts.min() <= FEW_PICTURES)


def folds_of(examples: Examples, near: copies.Pairs | None, options: Training) -> Indices:
    """Return the fold of each example [R, N], -1 if it is not trained on; near copies share one.

    near: the near copies among the examples, or None if there are too many examples to look. Then,
    and with so many categories that folds would take longer than they tell, R is 0.
    """
    truth = np.array(examples.truth, np.intp)
    trained_on = np.sort(np.concatenate(examples.of(Split.TRAINING)))
    few = are_few(examples)
    repeats = _repeats(len(examples.data.categories), few)
    if options.hidden:
        repeats = int(few)  # such heads are trained one after the other, not side by side
    if near is None or not repeats or options.fine_tuning:
        return np.full((0, len(truth)), -1, np.intp)
    found = np.full((repeats, len(truth)), -1, np.intp)
    groups = copies.chains(len(truth), near)[trained_on]
    found[:, trained_on] = folds(truth[trained_on], groups, repeats, options.seed)
    return found


def out_of_fold(
    bottlenecks: Floats,
    truth: Indices,
    groups: Indices,
    classes: int,
    repeats: int = 1,
    seed: int = 0,
    options: Training | None = None,
) -> Floats:
    """Return logits [N, K] of the rows [N, D] by heads that saw neither them nor their group.

    They are the mean of the repeats. truth [N]: the number of the category, below `classes`.
    groups [N]: near copies share a number.
    """
    rows = [np.flatnonzero(truth == k) for k in range(classes)]
    none: Sequence[Indices] = [np.empty(0, np.intp)] * classes
    logits = heads.train_with_folds(
        bottlenecks,
        rows,
        none,
        options or Training(seed=seed),
        lambda *_: None,
        folds(truth, groups, repeats, seed),
    ).out_of_fold
    mean: Floats = logits.mean(axis=0)
    return mean


def _repeats(classes: int, few: bool) -> int:
    fits = _WIDEST // (FOLDS * classes)
    return max(2 if few else 1, min(fits, _REPEATS)) if fits or few else 0
