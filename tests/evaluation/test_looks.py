"""What is like nothing in training is told from what is usual there."""

import numpy as np
import pytest

from tensor_guess.evaluation.looks import fences, likeness


def test_likeness_is_that_with_the_nearest_other_of_the_category_in_training() -> None:
    rows = np.array([[1, 0], [1, 0], [0, 1], [1, 1], [0, 1]], np.float32)
    truth = np.array([0, 0, 0, 0, 1])
    training = np.array([True, True, False, False, True])
    found = likeness(rows, truth, training)
    assert found == pytest.approx([1, 1, 0, 0.5**0.5, -1], abs=1e-6)


def test_the_fence_is_the_published_one() -> None:
    like = np.array([0.5, 0.6, 0.7, 0.8, 0.9, 0.7, 0.7, 0.8, 0.1], np.float32)
    truth = np.array([0] * 8 + [1])
    found = fences(like, truth, np.ones(9, bool))
    low, high = np.quantile(like[:8], (0.25, 0.75))
    assert found == {0: pytest.approx(low - 1.5 * (high - low))}


def test_another_look_is_found_and_the_usual_one_is_not() -> None:
    random = np.random.default_rng(2)
    usual = random.gamma(2, 1, (1, 40)) * random.normal(1, 0.3, (60, 40))
    other = random.gamma(2, 1, (2, 40)) * np.eye(40)[:2]
    rows = np.concatenate([usual, other]).astype(np.float32)
    truth, training = np.zeros(62, np.intp), np.arange(62) < 50
    like = likeness(rows, truth, training)
    missing = like < fences(like, truth, training)[0]
    assert missing[60:].all()
    assert missing[:60].sum() <= 3


def test_many_rows_are_compared_in_pieces() -> None:
    rows = np.random.default_rng(3).random((2500, 6), np.float32)
    truth = np.arange(2500) % 2
    found = likeness(rows, truth, truth >= 0)
    for i in (0, 1, 1500, 2499):
        others = np.flatnonzero((truth == truth[i]) & (np.arange(2500) != i))
        unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        assert found[i] == pytest.approx((unit[others] @ unit[i]).max(), abs=1e-5)


def test_no_pictures_have_no_looks() -> None:
    none = np.empty((0, 4), np.float32)
    assert len(likeness(none, np.empty(0, np.intp), np.empty(0, bool))) == 0
    assert fences(np.empty(0, np.float32), np.empty(0, np.intp), np.empty(0, bool)) == {}
