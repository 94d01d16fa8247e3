"""Whether scores mean what they say: counted by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensor_guess.evaluation.accuracy import Accuracy
from tensor_guess.evaluation.calibration import BINS, calibration_error
from tensor_guess.reporting.reliability import THRESHOLDS, at_thresholds, reliability

SCORES = np.array([[0.95, 0.05], [0.97, 0.03], [0.4, 0.6], [0.45, 0.55]], np.float32)
TRUTH = np.array([0, 1, 1, 1])


def test_each_picture_is_in_the_bin_of_its_best_score() -> None:
    low, middle, high = reliability(TRUTH, SCORES)
    assert [each.accuracy for each in (low, middle, high)] == [
        Accuracy(1, 1), Accuracy(1, 1), Accuracy(1, 2),
    ]  # fmt: skip
    assert high.score == pytest.approx(0.96)
    assert (high.low, high.high) == ((BINS - 1) / BINS, 1)


@given(st.integers(0, 60), st.integers(2, 5), st.integers(0, 100))
def test_the_bins_are_those_of_the_calibration_error(count: int, classes: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    scores = random.dirichlet(np.ones(classes), count).astype(np.float32)
    truth = random.integers(classes, size=count)
    bins = reliability(truth, scores)
    assert sum(each.accuracy.count for each in bins) == count
    gaps = [abs(each.score - each.accuracy.value) * each.accuracy.count for each in bins]
    if count:
        assert sum(gaps) / count == pytest.approx(calibration_error(scores, truth), abs=1e-5)


def test_a_higher_threshold_finds_fewer() -> None:
    found = {each.threshold: each for each in at_thresholds(TRUTH, SCORES, 0)}
    assert tuple(found) == THRESHOLDS
    assert (found[0.5].precision, found[0.5].recall) == (Accuracy(1, 2), Accuracy(1, 1))
    assert (found[0.99].precision, found[0.99].recall) == (Accuracy(0, 0), Accuracy(0, 1))
    other = at_thresholds(TRUTH, SCORES, 1)
    assert [each.recall.right for each in other] == [2, 0, 0, 0, 0, 0]
