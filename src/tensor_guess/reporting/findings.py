"""All that a report shows, as plain values: what was trained on, and how good the result is."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tensor_guess.evaluation.accuracy import Accuracy, confusion
from tensor_guess.graphs.files import Record
from tensor_guess.images.dataset import Split
from tensor_guess.images.files import LeftOut

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Example:
    """A picture that was trained or tested on.

    `category`, `given`: the numbers of its own category and of the one that it was taken for, which
    may differ. `scores` [K]: those of the final classifier for a held-out picture; those of a
    classifier that never saw it for a training picture; None without. `tested`: whether it counts
    in the accuracy.
    """

    path: Path
    category: int
    split: Split
    given: int | None = None
    scores: Floats | None = None
    tested: bool = False


@dataclass(frozen=True, eq=False)
class Curves:
    """How training went, one value for each look [L]; cross entropy in nats, NaN if not known."""

    steps: NDArray[np.intp]
    train_accuracy: Floats
    cross_entropy: Floats
    validation_accuracy: Floats


@dataclass(frozen=True, eq=False)
class Findings:
    """What is known about a classifier. None means: not looked for.

    `not_counted`: test pictures left out as near copies of training pictures. `near_copies`: pairs
    of numbers of examples. `suspects`: numbers of examples whose label may be wrong, worst first.
    `by_folds`: the tested examples were judged by classifiers that were trained without them.
    `settings`: the options of training. `augmented`: a JPEG file of some versions that were trained
    on, each row those of one picture.
    """

    record: Record
    examples: tuple[Example, ...]
    curves: Curves
    graph_sha256: str
    data_sha256: str
    versions: Mapping[str, str]
    settings: Mapping[str, object] = field(default_factory=dict)
    notice: str = ""
    left_out: tuple[LeftOut, ...] = ()
    not_counted: int = 0
    by_folds: bool = False
    cross_validated: Accuracy | None = None
    near_copies: tuple[tuple[int, int], ...] | None = None
    suspects: tuple[int, ...] | None = None
    temperature: float = 1.0
    augmented: bytes | None = None

    @cached_property
    def pairs(self) -> list[tuple[int, int]]:
        """Return the near copies, those in different categories first."""
        of = [each.category for each in self.examples]
        return sorted(self.near_copies or (), key=lambda pair: of[pair[0]] == of[pair[1]])

    @cached_property
    def tested(self) -> tuple[int, ...]:
        """Return the numbers of the examples that count in the accuracy."""
        return tuple(
            i for i, each in enumerate(self.examples) if each.tested and each.given is not None
        )

    @cached_property
    def wrong(self) -> tuple[int, ...]:
        """Return the tested examples that were taken for another category, surest first."""
        found = [i for i in self.tested if self.examples[i].given != self.examples[i].category]
        return tuple(sorted(found, key=lambda i: -self.sureness(i)))

    @cached_property
    def confusion(self) -> NDArray[np.intp]:
        """Return [K, K]: how many tested pictures of each category (rows) were taken for which."""
        each = [self.examples[i] for i in self.tested]
        truth = np.array([example.category for example in each], np.intp)
        given = np.array([example.given for example in each], np.intp)
        return confusion(truth, given, len(self.record.labels))

    @property
    def accuracy(self) -> Accuracy:
        """Return the accuracy on the tested pictures."""
        return Accuracy(int(self.confusion.trace()), len(self.tested))

    @cached_property
    def counts(self) -> tuple[Counter[Split], ...]:
        """Return, for each category, how many pictures each split has."""
        found = tuple(Counter[Split]() for _ in self.record.labels)
        for each in self.examples:
            found[each.category][each.split] += 1
        return found

    @cached_property
    def unseen(self) -> tuple[NDArray[np.intp], Floats]:
        """Return true categories [M] and scores [M, K] of the pictures that were not trained on.

        These are the tested pictures and, if there are out-of-fold scores, the training pictures.
        """
        each = [
            (example.category, example.scores)
            for example in self.examples
            if example.scores is not None and (example.tested or example.split is Split.TRAINING)
        ]
        scores = np.array([row for _, row in each], np.float32)
        truth = np.array([k for k, _ in each], np.intp)
        return truth, scores.reshape(len(each), len(self.record.labels))

    def sureness(self, i: int) -> float:
        """Return the score of the label that example `i` was given; 0 without scores."""
        scores = self.examples[i].scores
        return 0.0 if scores is None else float(scores.max())
