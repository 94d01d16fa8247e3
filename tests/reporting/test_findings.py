"""What a report shows is counted from the examples alone."""

import numpy as np

from made.findings import example_of, findings_of, trained_on
from tensor_guess.evaluation.accuracy import Accuracy
from tensor_guess.images.dataset import Split
from tensor_guess.reporting.findings import Example


def test_only_what_was_tested_counts() -> None:
    right, wrong, surer = example_of(0, 0), example_of(1, 0, 0.6), example_of(0, 1, 0.9)
    not_counted = Example(right.path, 1, Split.TESTING, 0, right.scores)
    found = findings_of(trained_on(0), right, wrong, not_counted, surer)
    assert found.tested == (1, 2, 4)
    assert found.wrong == (4, 2)
    assert found.accuracy == Accuracy(1, 3)
    assert found.confusion.tolist() == [[1, 1], [1, 0]]
    assert [each[Split.TESTING] for each in found.counts] == [2, 2]
    assert [each[Split.TRAINING] for each in found.counts] == [1, 0]


def test_out_of_fold_scores_of_training_pictures_are_of_unseen_pictures_too() -> None:
    scores = np.array([0.25, 0.75], np.float32)
    fold = Example(trained_on(0).path, 0, Split.TRAINING, 1, scores)
    validation = Example(trained_on(0).path, 0, Split.VALIDATION, 1, scores)
    truth, found = findings_of(fold, validation, example_of(1, 1)).unseen
    assert truth.tolist() == [0, 1]
    assert found.tolist() == [[0.25, 0.75], [0.25, 0.75]]


def test_without_any_test_nothing_is_known() -> None:
    found = findings_of(trained_on(0), trained_on(1))
    assert found.accuracy == Accuracy(0, 0)
    assert found.unseen[1].shape == (0, 2)
