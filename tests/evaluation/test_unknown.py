"""Measures of strangeness: against another library, and what must not change them."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from sklearn import covariance, metrics

from tensor_guess.evaluation import unknown
from tensor_guess.evaluation.copies import unit

Floats = NDArray[np.float32]
Measure = Callable[[Floats], Floats]
VALUES = arrays.arrays(np.float32, st.integers(1, 30), elements=st.integers(-5, 5).map(float))
LOGITS = arrays.arrays(
    np.float32,
    st.tuples(st.integers(1, 6), st.integers(2, 5)),
    elements=st.floats(-20, 20, width=32),
)


def rows_of(count: int, width: int = 40, seed: int = 0) -> Floats:
    random = np.random.default_rng(seed)
    return random.random((count, width), dtype=np.float32)


@pytest.mark.slow
@given(VALUES, VALUES)
def test_the_auroc_is_that_of_another_library(known: Floats, others: Floats) -> None:
    truth = np.repeat([0, 1], [len(known), len(others)])
    expected = metrics.roc_auc_score(truth, np.concatenate([known, others]))
    assert unknown.auroc(known, others) == pytest.approx(expected)
    assert unknown.auroc(others, known) == pytest.approx(1 - expected)


@given(LOGITS, st.floats(-30, 30, width=32))
def test_what_is_added_to_all_logits_changes_no_score(logits: Floats, more: float) -> None:
    found = unknown.max_softmax(logits)
    np.testing.assert_allclose(unknown.max_softmax(logits + np.float32(more)), found, atol=1e-4)
    assert (found >= -1e-6).all()
    assert (found <= 1 - 1 / logits.shape[1] + 1e-6).all()
    shifted = unknown.energy(logits + np.float32(more))
    np.testing.assert_allclose(shifted, unknown.energy(logits) - more, atol=1e-3)


def test_brightness_changes_no_distance() -> None:
    training, rows = rows_of(30), rows_of(9, seed=1)
    truth = np.arange(30) % 3
    measures: list[Measure] = [
        lambda each: unknown.nearest(each, training, 3),
        lambda each: unknown.mahalanobis(each, training, truth),
    ]
    for measure in measures:
        np.testing.assert_allclose(measure(rows * 7), measure(rows), rtol=1e-4)


def test_the_nearest_is_the_kth_and_a_training_picture_is_its_own() -> None:
    training = np.eye(3, 4, dtype=np.float32)
    row = np.array([[3, 2, 1, 0]], np.float32)
    for k, value in ((1, 3), (2, 2), (3, 1), (9, 1)):
        assert unknown.nearest(row, training, k) == pytest.approx(1 - value / np.sqrt(14))
    assert unknown.nearest(training, training) == pytest.approx(np.zeros(3), abs=1e-6)


def test_the_distance_is_that_of_a_shrunk_covariance() -> None:
    training, rows, truth = rows_of(25), rows_of(6, seed=2), np.arange(25) % 2
    units, asked = unit(training), unit(rows)
    means = np.stack([units[truth == k].mean(axis=0) for k in (0, 1)])
    shared, _ = covariance.ledoit_wolf(units - means[truth], assume_centered=True)
    inverse = np.linalg.inv(shared)
    away = asked[:, None] - means
    expected = np.einsum("nkd,de,nke->nk", away, inverse, away).min(axis=1)
    found = unknown.mahalanobis(rows, training, truth)
    np.testing.assert_allclose(found, expected, rtol=1e-3)


def test_far_away_is_stranger_by_every_measure_of_distance() -> None:
    training, known = rows_of(40) + np.eye(1, 40, dtype=np.float32) * 9, rows_of(9, seed=3)
    known += np.eye(1, 40, dtype=np.float32) * 9
    strange, truth = rows_of(9, seed=4) - 0.5, np.arange(40) % 2
    weights, biases = rows_of(40, 2, seed=5), np.zeros(2, np.float32)
    measures: list[Measure] = [
        lambda each: unknown.nearest(each, training),
        lambda each: unknown.mahalanobis(each, training, truth),
        lambda each: unknown.vim(each, training, weights, biases),
    ]
    for measure in measures:
        assert unknown.auroc(measure(known), measure(strange)) == 1


def test_novelty_grows_with_distance_and_with_doubt() -> None:
    sure, unsure = np.array([[1, 0]], np.float32), np.array([[0.5, 0.5]], np.float32)
    near, far = np.array([[0.9, 0.1]], np.float32), np.array([[0.3, 0.1]], np.float32)
    least = unknown.novelty(near, near, sure)
    assert least == pytest.approx(0.1)
    assert unknown.novelty(near, near, unsure) == pytest.approx(0.1 + 0.4 * np.log(2))
    assert unknown.novelty(far, near, sure) > least
    assert unknown.novelty(near, far, sure) > least


def test_rows_as_bytes_have_nearly_the_same_cosines() -> None:
    rows, truth = rows_of(90, 300), np.arange(90) % 3
    known = unknown.familiar(rows, truth, 3)
    units = unknown.unpacked(known.packed())
    assert known.packed().shape == (93, 300)
    assert ((units * np.concatenate([known.middles, known.rows])).sum(axis=1) > 0.9999).all()


def test_of_many_pictures_each_category_keeps_as_many() -> None:
    truth = np.repeat([0, 1], [2000, 100])
    known = unknown.familiar(rows_of(2100, 5), truth, 2)
    assert known.rows.shape == (256 + 100, 5)
    middle = rows_of(2100, 5)[:2000].mean(axis=0)
    np.testing.assert_allclose(known.middles[0], middle / np.linalg.norm(middle), rtol=1e-5)


def test_a_training_picture_is_judged_by_the_others_only() -> None:
    rows = np.eye(4, dtype=np.float32)[[0, 0, 1, 2, 2, 3]]
    scores = np.eye(2, dtype=np.float32)[[0, 0, 0, 1, 1, 1]]
    found = unknown.of_training(rows, np.array([0, 0, 0, 1, 1, 1]), scores)
    # The copy is no other picture, but part of its category's middle.
    middle = 1 / np.sqrt(2)
    expected = [1 - middle / 2, 1 - middle / 2, 1, 1 - middle / 2, 1 - middle / 2, 1]
    assert found == pytest.approx(expected)


@given(VALUES)
def test_nearly_all_known_pictures_pass_the_threshold(known: Floats) -> None:
    least = unknown.threshold(known)
    assert (known <= least).mean() >= 0.95
    assert least in known


def test_error_rates_at_a_threshold_and_where_they_are_equal() -> None:
    own = np.array([0.1, 0.2, 0.3, 0.8], np.float32)
    others = np.array([0.25, 0.7, 0.9, 0.95], np.float32)
    assert unknown.error_rates(own, others, float(own[2])) == (0.25, 0.25)
    assert unknown.error_rates(own, others, 1) == (1, 0)
    assert unknown.equal_error(own, others) == 0.25
    assert unknown.equal_error(own, own + 1) == 0
