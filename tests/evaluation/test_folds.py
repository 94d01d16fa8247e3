"""Folds: near copies stay together, and every category is spread."""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tensor_guess.evaluation.folds import FOLDS, folds

Indices = NDArray[np.intp]

PAIRS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 6)), min_size=1, max_size=60)
SEEDS = st.integers(0, 5)


def arrays_of(pairs: list[tuple[int, int]]) -> tuple[Indices, Indices]:
    truth, groups = (np.array([pair[i] for pair in pairs], np.intp) for i in (0, 1))
    return truth, groups


@given(PAIRS, SEEDS)
def test_every_group_is_in_one_fold_even_across_categories(
    pairs: list[tuple[int, int]], seed: int
) -> None:
    truth, groups = arrays_of(pairs)
    found = folds(truth, groups, 3, seed)
    assert found.shape == (3, len(truth))
    assert ((found >= 0) & (found < FOLDS)).all()
    for repeat in found:
        for group in np.unique(groups):
            assert len(np.unique(repeat[groups == group])) == 1


@given(PAIRS, SEEDS)
def test_each_category_is_spread_as_evenly_as_its_groups_allow(
    pairs: list[tuple[int, int]], seed: int
) -> None:
    truth, groups = arrays_of(pairs)
    groups = groups + 10 * truth  # none is in two categories
    for repeat in folds(truth, groups, 2, seed):
        for k in np.unique(truth):
            counts = np.bincount(repeat[truth == k], minlength=FOLDS)
            assert np.ptp(counts) <= np.bincount(groups[truth == k]).max()


@given(st.lists(st.integers(0, 3), min_size=1, max_size=60), SEEDS)
def test_without_copies_no_fold_has_two_more_of_a_category(truth: list[int], seed: int) -> None:
    known = np.array(truth)
    for repeat in folds(known, np.arange(len(known)), 2, seed):
        for k in np.unique(known):
            assert np.ptp(np.bincount(repeat[known == k], minlength=FOLDS)) <= 1


def test_two_pictures_a_category_are_not_in_one_fold() -> None:
    truth = np.array([0, 0, 1, 1])
    for first, second, third, fourth in folds(truth, np.arange(4), 10, 0):
        assert first != second
        assert third != fourth


def test_the_splits_are_the_same_for_a_seed_and_differ_from_each_other() -> None:
    truth, groups = np.arange(40) % 2, np.arange(40)
    found = folds(truth, groups, 4, 7)
    np.testing.assert_array_equal(found, folds(truth, groups, 4, 7))
    assert (found != folds(truth, groups, 4, 8)).any()
    assert all((one != other).any() for one, other in pairwise(found))


def test_no_repeats_and_no_pictures_have_no_folds() -> None:
    assert folds(np.array([0, 1]), np.arange(2), 0, 0).shape == (0, 2)
    none = np.empty(0, np.intp)
    assert folds(none, none, 2, 0).shape == (2, 0)
