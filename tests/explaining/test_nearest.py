"""Nearest training pictures: the same as by comparing each with each, and a limit that is usual."""

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import pairwise

from tensor_guess.evaluation.copies import NEAR_COPY, Pictures
from tensor_guess.explaining import nearest as module
from tensor_guess.explaining.nearest import SHARE, Nearest


def drawn(count: int, classes: int = 3, low: float = 0) -> Pictures:
    random = np.random.default_rng(7)
    rows = random.random((count, 12)).astype(np.float32) + np.float32(low)
    return Pictures(rows, np.arange(count) % classes)


def distances(pictures: Pictures, row: NDArray[np.float32]) -> NDArray[np.float32]:
    found: NDArray[np.float32] = pairwise.cosine_distances(pictures.bottlenecks, row[None])[:, 0]
    return found


def test_the_nearest_are_scikit_learns() -> None:
    pictures = drawn(100)
    row = np.random.default_rng(8).random(12).astype(np.float32)
    for k in range(3):
        away = np.where(pictures.truth == k, distances(pictures, row), 9)
        found = Nearest(pictures).of(row, k, 5)
        assert [i for i, _ in found] == list(away.argsort()[:5])
        np.testing.assert_allclose([d for _, d in found], np.sort(away)[:5], atol=1e-6)
    assert Nearest(pictures).of(row, 3, 5) == []
    assert len(Nearest(pictures).of(row, 0, 1000)) == 34


def test_most_pictures_of_a_category_are_near_to_another_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_BLOCK", 7)
    pictures = drawn(120)
    limit = Nearest(pictures).limit(1)
    own = pictures.bottlenecks[pictures.truth == 1]
    away = pairwise.cosine_distances(own)
    np.fill_diagonal(away, 9)
    assert np.mean(away.min(axis=1) <= limit + 1e-6) == pytest.approx(SHARE, abs=1 / len(own))


def test_few_pictures_take_what_is_near_from_all() -> None:
    few = drawn(15)
    nearest = Nearest(few)
    assert nearest.limit(0) == nearest.limit(2) > 0
    alone = Nearest(Pictures(few.bottlenecks[:3], few.truth[:3]))
    assert alone.limit(0) == pytest.approx(1 - NEAR_COPY)
    none = Nearest(Pictures(few.bottlenecks[:0], few.truth[:0]))
    assert none.limit(0) == pytest.approx(1 - NEAR_COPY)
    assert none.of(few.bottlenecks[0], 0, 3) == []


def test_what_all_logits_share_does_not_count() -> None:
    logits = drawn(60, low=-50)
    shifted = Pictures(logits.bottlenecks - logits.bottlenecks.mean(axis=0), logits.truth)
    own = Nearest(logits).of(logits.bottlenecks[5], 2, 3)
    away = np.where(logits.truth == 2, distances(shifted, shifted.bottlenecks[5]), 9)
    assert [i for i, _ in own] == list(away.argsort()[:3])
    np.testing.assert_allclose([d for _, d in own], np.sort(away)[:3], atol=1e-4)
