"""Scores that mean what they say: the temperature is found, and what is off is measured."""

from math import isnan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from sklearn import metrics

from tensor_guess.evaluation.calibration import (
    BINS,
    calibration_error,
    log_loss,
    softmax,
    temperature,
)

Floats = NDArray[np.float32]
Indices = NDArray[np.intp]


def logits_within(limit: float) -> st.SearchStrategy[Floats]:
    return arrays.arrays(
        np.float32,
        arrays.array_shapes(min_dims=2, max_dims=2, max_side=6),
        elements=st.floats(-limit, limit, width=32),
    )


def drawn(count: int, classes: int, true: float) -> tuple[Floats, Indices]:
    """Logits, and categories that are as likely as softmax(logits / true) says."""
    random = np.random.default_rng(3)
    logits = random.normal(0, 3, (count, classes)).astype(np.float32)
    sums = softmax(logits / np.float32(true)).cumsum(axis=1)
    truth = (sums < random.random((count, 1))).sum(axis=1)
    return logits, np.minimum(truth, classes - 1)


@given(logits_within(2.0**100))
def test_scores_are_a_distribution_in_the_order_of_the_logits(logits: Floats) -> None:
    scores = softmax(logits)
    assert scores.dtype == np.float32
    assert ((scores >= 0) & (scores <= 1)).all()
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-5)
    for row, given_ in zip(scores, logits, strict=True):
        assert (np.diff(row[np.argsort(given_)]) >= 0).all()


def test_scores_are_those_of_the_formula_along_the_last_axis() -> None:
    logits = np.array([[0, np.log(2), np.log(5)], [700, 700, 700]], np.float32)
    expected = [[1 / 8, 2 / 8, 5 / 8], [1 / 3] * 3]
    np.testing.assert_allclose(softmax(logits), expected, rtol=1e-5)
    np.testing.assert_allclose(softmax(np.stack([logits] * 2)), [expected] * 2, rtol=1e-5)


@pytest.mark.parametrize("true", [0.3, 0.7, 1, 1.5, 4])
@pytest.mark.parametrize("classes", [2, 5])
def test_the_temperature_of_many_pictures_is_found(true: float, classes: int) -> None:
    logits, truth = drawn(20_000, classes, true)
    assert temperature(logits, truth, len(truth)) == pytest.approx(true, rel=0.06)


@pytest.mark.parametrize("true", [0.3, 4])
def test_fewer_pictures_leave_it_nearer_to_1_and_few_at_1(true: float) -> None:
    logits, truth = drawn(2000, 2, true)
    distances = [abs(np.log(temperature(logits, truth, count))) for count in (100, 300, 2000)]
    assert distances == sorted(distances)
    assert 0.3 < distances[0] < distances[-1] - 0.01
    for count in (0, 1, 4, 99):
        assert temperature(logits[:count], truth[:count], count) == 1


def test_it_is_1_where_nothing_can_be_learned() -> None:
    assert temperature(np.ones((200, 1), np.float32), np.zeros(200, np.intp), 200) == 1
    same = np.zeros((200, 3), np.float32)
    assert temperature(same, np.zeros(200, np.intp), 200) == pytest.approx(1, abs=1e-3)


def test_repeats_do_not_make_it_surer() -> None:
    logits, truth = drawn(120, 3, 3)
    once = temperature(logits, truth, 120)
    four_times = temperature(np.tile(logits, (4, 1)), np.tile(truth, 4), 120)
    assert four_times == pytest.approx(once, rel=1e-3)
    assert temperature(np.tile(logits, (4, 1)), np.tile(truth, 4), 480) > once + 0.01


@pytest.mark.slow
@given(logits_within(100), st.integers(0, 100))
def test_scaled_scores_are_likelier_and_keep_their_order(logits: Floats, seed: int) -> None:
    truth = np.random.default_rng(seed).integers(logits.shape[1], size=len(logits))
    found = temperature(logits, truth, 1000)
    assert 0.05 < found < 20
    scaled = logits / np.float32(found)
    assert log_loss(softmax(scaled), truth) <= log_loss(softmax(logits), truth) + 1e-3
    best = scaled[np.arange(len(scaled)), logits.argmax(axis=1)]
    np.testing.assert_array_equal(best, scaled.max(axis=1))


@pytest.mark.slow
@given(logits_within(10), st.integers(0, 100))
def test_the_log_loss_is_that_of_another_library(logits: Floats, seed: int) -> None:
    scores = softmax(logits)
    truth = np.random.default_rng(seed).integers(scores.shape[1], size=len(scores))
    if scores.shape[1] > 1:
        expected = metrics.log_loss(truth, scores.astype(np.float64), labels=range(scores.shape[1]))
        assert log_loss(scores, truth) == pytest.approx(expected, rel=1e-3, abs=1e-5)


def test_a_true_category_with_no_score_is_a_large_loss_and_not_endless() -> None:
    assert 80 < log_loss(np.array([[1, 0]], np.float32), np.array([1])) < 100


@given(logits_within(10), st.integers(0, 100))
def test_the_calibration_error_is_that_of_a_plain_loop(logits: Floats, seed: int) -> None:
    scores = softmax(logits)
    truth = np.random.default_rng(seed).integers(scores.shape[1], size=len(scores))
    error = 0.0
    for number in range(BINS):
        own = [
            (row.max(), row.argmax() == k)
            for row, k in zip(scores, truth, strict=True)
            if min(int(row.max() * BINS), BINS - 1) == number
        ]
        if own:
            sure, right = np.mean(own, axis=0)
            error += abs(sure - right) * len(own) / len(scores)
    assert calibration_error(scores, truth) == pytest.approx(error, abs=1e-5)


def test_the_calibration_error_of_known_cases() -> None:
    sure = np.array([[0.9, 0.1]] * 10, np.float32)
    assert calibration_error(sure, np.array([0] * 9 + [1])) == pytest.approx(0, abs=1e-6)
    assert calibration_error(sure, np.ones(10, np.intp)) == pytest.approx(0.9)
    logits, truth = drawn(20_000, 3, 1)
    assert calibration_error(softmax(logits), truth) < 0.02
    assert calibration_error(softmax(logits * 4), truth) > 0.1


def test_without_pictures_nothing_is_known() -> None:
    none = np.empty((0, 2), np.float32), np.empty(0, np.intp)
    assert isnan(log_loss(*none))
    assert isnan(calibration_error(*none))
