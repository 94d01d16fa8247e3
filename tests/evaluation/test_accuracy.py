"""How good a classifier is, said honestly: intervals, and no picture that it has seen."""

import warnings
from math import comb, isnan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from sklearn import metrics

from tensor_guess.evaluation import accuracy as evaluation
from tensor_guess.evaluation.accuracy import Accuracy, confusion

Floats = NDArray[np.float32]
COUNTS = st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))

# Newcombe 1998 (Statistics in Medicine 17:857), table I, method 3; and R's prop.test without
# continuity correction.
PUBLISHED = [
    (81, 263, 0.2553, 0.3662),
    (15, 148, 0.0624, 0.1605),
    (0, 20, 0.0000, 0.1611),
    (1, 29, 0.0061, 0.1718),
    (8, 10, 0.4902, 0.9433),
    (10, 10, 0.7225, 1.0000),
]


@pytest.mark.parametrize(("right", "count", "low", "high"), PUBLISHED)
def test_the_interval_is_the_published_one(right: int, count: int, low: float, high: float) -> None:
    assert Accuracy(right, count).interval() == pytest.approx((low, high), abs=5e-5)


@given(COUNTS)
def test_the_interval_holds_the_value_and_is_one(counts: tuple[int, int]) -> None:
    accuracy = Accuracy(*counts)
    low, high = accuracy.interval()
    assert 0 <= low <= accuracy.value + 1e-12
    assert accuracy.value - 1e-12 <= high <= 1
    assert low < high


@given(COUNTS, st.integers(2, 50))
def test_the_interval_shrinks_with_more_pictures_and_mirrors(
    counts: tuple[int, int], times: int
) -> None:
    right, count = counts
    low, high = Accuracy(right, count).interval()
    smaller = Accuracy(right * times, count * times).interval()
    assert smaller[1] - smaller[0] < high - low
    mirrored = Accuracy(count - right, count).interval()
    assert mirrored == pytest.approx((1 - high, 1 - low), abs=1e-9)


@pytest.mark.parametrize(("true", "count"), [(0.5, 10), (0.8, 20), (0.9, 50), (0.95, 30)])
def test_the_interval_holds_the_truth_about_as_often_as_it_says(true: float, count: int) -> None:
    held = 0.0
    for right in range(count + 1):
        low, high = Accuracy(right, count).interval()
        if low <= true <= high:
            held += comb(count, right) * true**right * (1 - true) ** (count - right)
    assert 0.92 < held < 0.99


def test_it_is_said_with_its_count_and_interval() -> None:
    assert str(Accuracy(8, 10)) == "80.0% (N=10, 95% interval 49.0% to 94.3%)"
    assert str(Accuracy(0, 0)) == "unknown (N=0)"
    assert isnan(Accuracy(0, 0).value)
    assert Accuracy(0, 0).interval() == (0.0, 1.0)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4))))
def test_the_confusion_is_that_of_another_library(pairs: list[tuple[int, int]]) -> None:
    truth, found = (np.array([pair[i] for pair in pairs], np.intp) for i in (0, 1))
    counts = confusion(truth, found, 5)
    assert counts.sum() == len(pairs)
    if pairs:
        expected = metrics.confusion_matrix(truth, found, labels=range(5))
        np.testing.assert_array_equal(counts, expected)


TRUTHS = st.integers(2, 8).flatmap(
    lambda classes: st.integers(1, 40).flatmap(
        lambda count: st.tuples(
            arrays.arrays(np.intp, count, elements=st.integers(0, classes - 1)),
            arrays.arrays(
                np.float32, (count, classes), elements=st.sampled_from([0, 0.125, 0.25, 0.5, 1])
            ),
        )
    )
)


@pytest.mark.slow
@given(TRUTHS, st.integers(1, 5))
def test_top_k_is_scikit_learns_unless_scores_are_equal(
    drawn: tuple[NDArray[np.intp], Floats], k: int
) -> None:
    truth, scores = drawn
    ours = evaluation.top(scores, truth, k)
    classes = scores.shape[1]
    # Make the first of equal scores the best.
    distinct = scores - np.arange(classes, dtype=np.float32) * np.float32(1e-4)
    if classes == 2:
        theirs = float(np.mean((distinct.argmax(axis=1) == truth) | (k > 1)))
    else:
        labels = np.arange(classes)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that all labels are among the best k
            theirs = metrics.top_k_accuracy_score(truth, distinct, k=k, labels=labels)
    assert ours.count == len(truth)
    assert ours.value == pytest.approx(theirs)


@pytest.mark.slow
@given(TRUTHS)
def test_precision_recall_and_balanced_accuracy_are_scikit_learns(
    drawn: tuple[NDArray[np.intp], Floats],
) -> None:
    truth, scores = drawn
    classes = scores.shape[1]
    found = scores.argmax(axis=1)
    taken = confusion(truth, found, classes)
    how = {"labels": np.arange(classes), "average": None, "zero_division": np.nan}
    precision = metrics.precision_score(truth, found, **how)
    recall = metrics.recall_score(truth, found, **how)
    np.testing.assert_allclose([each.value for each in evaluation.precisions(taken)], precision)
    np.testing.assert_allclose([each.value for each in evaluation.recalls(taken)], recall)
    assert evaluation.balanced(taken) == pytest.approx(np.nanmean(recall))


@pytest.mark.slow
@given(TRUTHS, st.floats(0, 1))
def test_thresholds_give_scikit_learns_precision_and_recall(
    drawn: tuple[NDArray[np.intp], Floats], threshold: float
) -> None:
    truth, scores = drawn
    for k in range(scores.shape[1]):
        (at,) = evaluation.at_thresholds(scores, truth, k, [threshold])
        given_it = (scores.argmax(axis=1) == k) & (scores[:, k] >= threshold)
        how = {"zero_division": np.nan}
        precision = metrics.precision_score(truth == k, given_it, **how)
        recall = metrics.recall_score(truth == k, given_it, **how)
        np.testing.assert_allclose(at.precision.value, precision)
        np.testing.assert_allclose(at.recall.value, recall)
        assert at.wrong == int((given_it & (truth != k)).sum())
        assert at.missed == int((~given_it & (truth == k)).sum())


SURE = np.array([[0.95, 0.05], [0.97, 0.03], [0.4, 0.6], [0.45, 0.55]], np.float32)


def test_a_higher_threshold_finds_fewer() -> None:
    truth, thresholds = np.array([0, 1, 1, 1]), (0.5, 0.7, 0.8, 0.9, 0.95, 0.99)
    found = {each.threshold: each for each in evaluation.at_thresholds(SURE, truth, 0, thresholds)}
    assert tuple(found) == thresholds
    assert (found[0.5].precision, found[0.5].recall) == (Accuracy(1, 2), Accuracy(1, 1))
    assert (found[0.99].precision, found[0.99].recall) == (Accuracy(0, 0), Accuracy(0, 1))
    other = evaluation.at_thresholds(SURE, truth, 1, thresholds)
    assert [each.recall.right for each in other] == [2, 0, 0, 0, 0, 0]


def test_without_pictures_nothing_is_known() -> None:
    nothing = confusion(np.empty(0, np.intp), np.empty(0, np.intp), 3)
    assert isnan(evaluation.balanced(nothing))
    assert [each.count for each in evaluation.recalls(nothing)] == [0, 0, 0]
    assert evaluation.top(np.empty((0, 3), np.float32), np.empty(0, np.intp), 1).count == 0
