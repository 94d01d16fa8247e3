"""Cross-validation: who is judged by which fold, and that nothing leaks into it."""

import numpy as np
import pytest
from numpy.typing import NDArray

from tensor_guess.bottlenecks.examples import Examples
from tensor_guess.config import Training
from tensor_guess.evaluation import copies
from tensor_guess.evaluation.folds import FOLDS
from tensor_guess.images.dataset import Category, Dataset, Split
from tensor_guess.training import cross_validation
from tensor_guess.training.cross_validation import FEW_PICTURES, are_few, folds_of, out_of_fold

Floats = NDArray[np.float32]
SHORT = Training(steps=300)


def examples(*counts: int, validation: int = 0) -> Examples:
    """So many pictures in each category, of which the first `validation` are for validation."""
    names = [str(k) for k in range(len(counts))]
    found = Examples(Dataset(tuple(Category(name, name, ()) for name in names), (), 0))
    for k, count in enumerate(counts):
        found.truth += [k] * count
        found.parts += [Split.VALIDATION] * validation + [Split.TRAINING] * (count - validation)
    return found


def rows(count: int, length: int = 40) -> Floats:
    return np.random.default_rng(1).gamma(0.3, 1, (count, length)).astype(np.float32)


def test_pictures_are_few_if_one_category_has_few() -> None:
    assert are_few(examples(2, 2))
    assert are_few(examples(500, FEW_PICTURES))
    assert not are_few(examples(FEW_PICTURES + 1, FEW_PICTURES + 1))


def test_only_what_is_trained_on_has_folds() -> None:
    few = examples(10, 12, validation=2)
    found = folds_of(few, [], Training())
    trained_on = np.array(few.parts) == Split.TRAINING
    assert (found[:, trained_on] >= 0).all()
    assert (found[:, ~trained_on] == -1).all()
    assert set(np.unique(found)) == {-1, *range(FOLDS)}


def test_near_copies_share_a_fold() -> None:
    bottlenecks = rows(40)
    bottlenecks[20:] = bottlenecks[:20] * np.float32(1.01)
    found = folds_of(examples(20, 20), copies.pairs_soon(bottlenecks), Training())
    np.testing.assert_array_equal(found[:, :20], found[:, 20:])


def test_folds_depend_on_the_seed_alone() -> None:
    few, near = examples(20, 20), copies.pairs_soon(rows(40))
    first = folds_of(few, near, Training())
    np.testing.assert_array_equal(first, folds_of(few, near, Training()))
    assert (first != folds_of(few, near, Training(seed=1))).any()


@pytest.mark.parametrize(
    ("classes", "count", "repeats"),
    [
        (2, 10, 4),
        (5, 10, 4),
        (10, 10, 2),
        (100, 3, 2),
        (2, FEW_PICTURES + 1, 4),
        (100, FEW_PICTURES + 1, 0),
    ],
)
def test_it_is_repeated_as_often_as_it_is_worth(classes: int, count: int, repeats: int) -> None:
    assert len(folds_of(examples(*[count] * classes), [], Training())) == repeats


def test_many_pictures_are_not_cross_validated() -> None:
    near = copies.pairs_soon(np.zeros((5001, 1), np.float32))
    assert near is None
    assert folds_of(examples(40, 40), near, Training()).shape == (0, 80)


@pytest.mark.filterwarnings("error")
def test_of_nobody_judged_there_are_no_scores() -> None:
    judged = cross_validation.Judged(np.empty(0, np.intp), np.zeros((0, 7, 3), np.float32))
    assert judged.scores(2).shape == (0, 3)


def test_what_can_be_told_apart_is_out_of_fold_too() -> None:
    truth = np.arange(60) % 3
    bottlenecks = rows(60) / np.float32(4)
    bottlenecks[np.arange(60), truth] += 3
    logits = out_of_fold(bottlenecks, truth, np.arange(60), 3, repeats=2, options=SHORT)
    assert logits.shape == (60, 3)
    assert (logits.argmax(axis=1) == truth).mean() > 0.95


def test_what_was_learned_by_heart_does_not_count() -> None:
    # Each picture is there twice, and its label says nothing about it.
    bottlenecks, truth = np.tile(rows(60, 200), (2, 1)), np.tile(np.arange(60) % 2, 2)
    groups, options = np.tile(np.arange(60), 2), Training(steps=1000)
    apart = out_of_fold(bottlenecks, truth, groups, 2, options=options)
    assert (apart.argmax(axis=1) == truth).mean() < 0.7
    leaking = out_of_fold(bottlenecks, truth, np.arange(120), 2, options=options)
    assert (leaking.argmax(axis=1) == truth).mean() > 0.75


def test_a_wrong_label_is_not_believed() -> None:
    truth = np.arange(60) % 2
    bottlenecks = rows(60) / np.float32(4)
    bottlenecks[np.arange(60), truth] += 3
    said = truth.copy()
    said[[4, 31]] = 1 - said[[4, 31]]
    logits = out_of_fold(bottlenecks, said, np.arange(60), 2, repeats=2, options=SHORT)
    assert set(np.flatnonzero(logits.argmax(axis=1) != said)) == {4, 31}
