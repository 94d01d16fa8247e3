"""Whether scores mean what they say: counted by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensor_guess.evaluation.accuracy import Accuracy
from tensor_guess.evaluation.calibration import BINS, calibration_error
from tensor_guess.reporting.reliability import reliability

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
