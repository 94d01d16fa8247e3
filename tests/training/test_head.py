"""The head: learns what can be learned, gives every category its due, always the same."""

import tracemalloc
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from tensor_guess.config import Training
from tensor_guess.errors import UserError
from tensor_guess.evaluation.calibration import softmax
from tensor_guess.evaluation.folds import FOLDS, folds
from tensor_guess.graphs.own import Head
from tensor_guess.training import head as heads
from tensor_guess.training.head import Look, train, train_with_folds

Floats = NDArray[np.float32]
SHORT = Training(steps=300)
NOBODY: list[NDArray[np.intp]] = []


def parts(truth: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    return [np.flatnonzero(truth == k) for k in range(truth.max() + 1)]


def scores_of(bottlenecks: Floats, head: Head) -> Floats:
    return softmax(head.logits(bottlenecks))


def clusters(
    count: int, width: int, classes: int, spread: float
) -> tuple[Floats, list[NDArray[np.intp]]]:
    """Bottlenecks around one centre a category, like those of a network: none below zero."""
    random = np.random.default_rng(2)
    centres = random.uniform(0, 1, (classes, width))
    truth = np.arange(count) % classes
    rows = centres[truth] + spread * random.normal(size=(count, width))
    return np.maximum(rows, 0).astype(np.float32), parts(truth)


def trained(
    bottlenecks: Floats,
    training: Sequence[NDArray[np.intp]],
    options: Training = SHORT,
    validation: Sequence[NDArray[np.intp]] = (),
) -> tuple[Head, list[Look]]:
    looks: list[Look] = []
    nobody = [np.empty(0, np.intp)] * len(training)
    head = train(
        bottlenecks, training, validation or nobody, options, lambda look, _: looks.append(look)
    )
    return head, looks


def same(one: Head, other: Head) -> bool:
    return (one.weights.tobytes(), one.biases.tobytes()) == (
        other.weights.tobytes(),
        other.biases.tobytes(),
    )


def test_categories_that_can_be_told_apart_are() -> None:
    bottlenecks, training = clusters(200, 64, 5, 0.2)
    head, looks = trained(bottlenecks, training, Training(steps=2000))
    found = scores_of(bottlenecks, head).argmax(axis=1)
    assert (found == np.arange(200) % 5).mean() == 1
    assert looks[-1].cross_entropy < looks[0].cross_entropy / 2
    assert looks[-1].train_accuracy > 0.95


def test_nothing_is_learned_from_noise_but_the_looks_say_so() -> None:
    random = np.random.default_rng(4)
    bottlenecks = random.uniform(size=(400, 32)).astype(np.float32)
    truth = random.integers(0, 2, 400)
    training, validation = (
        [each[each < 200] for each in parts(truth)],
        [each[each >= 200] for each in parts(truth)],
    )
    options = Training(steps=500, validation_batch_size=-1)
    _, looks = trained(bottlenecks, training, options, validation)
    assert 0.35 < looks[-1].validation_accuracy < 0.65


def test_ten_times_as_many_images_do_not_make_a_category_likelier() -> None:
    # Bottlenecks that say nothing: all that can be learned is how often each is drawn.
    bottlenecks = np.zeros((110, 4), np.float32)
    training = [np.arange(100), np.arange(100, 110)]
    head, _ = trained(bottlenecks, training, Training(steps=3000))
    np.testing.assert_allclose(scores_of(bottlenecks[:1], head), [[0.5, 0.5]], atol=0.05)


def test_every_image_of_a_category_is_drawn() -> None:
    # Image n alone has number n: its weights move only when it is drawn.
    count = 60
    training = [np.arange(0, 20), np.arange(20, count)]
    head, _ = trained(np.eye(count, dtype=np.float32), training, Training(steps=200))
    assert (head.weights[:20, 0] > 0).all()
    assert (head.weights[20:, 1] > 0).all()
    # The 20 are drawn twice as often as each of the 40.
    ratio = head.weights[:20, 0].mean() / head.weights[20:, 1].mean()
    assert 1.6 < ratio < 2.4


def test_the_same_seed_gives_the_same_bytes_and_another_gives_others() -> None:
    bottlenecks, training = clusters(60, 32, 3, 1)
    head, looks = trained(bottlenecks, training)
    again, looks_again = trained(bottlenecks, training)
    assert same(head, again)
    assert repr(looks) == repr(looks_again)
    other, _ = trained(bottlenecks, training, replace(SHORT, seed=1))
    assert not same(head, other)


@pytest.mark.parametrize("classes", [2, 40])
def test_the_number_of_threads_does_not_change_a_byte(classes: int) -> None:
    bottlenecks, training = clusters(400, 2048, classes, 1)
    heads = []
    for threads in (1, 2, 4):
        with threadpool_limits(threads, user_api="blas"):
            heads.append(trained(bottlenecks, training, Training(steps=50))[0])
    assert same(heads[0], heads[1])
    assert same(heads[0], heads[2])


def test_the_bottlenecks_are_left_as_they_are() -> None:
    bottlenecks, training = clusters(60, 32, 3, 1)
    before = bottlenecks.copy()
    trained(bottlenecks, training)
    np.testing.assert_array_equal(bottlenecks, before)


@pytest.mark.parametrize(
    ("steps", "interval", "expected"),
    [(25, 10, [0, 10, 20, 24]), (21, 10, [0, 10, 20]), (1, 10, [0]), (3, 1, [0, 1, 2])],
)
def test_a_look_is_taken_every_so_often_and_at_the_end(
    steps: int, interval: int, expected: list[int]
) -> None:
    bottlenecks, training = clusters(30, 8, 3, 1)
    options = Training(steps=steps, eval_step_interval=interval)
    _, looks = trained(bottlenecks, training, options)
    assert [look.step for look in looks] == expected
    # Before the first step every category is as likely as any other.
    assert looks[0].cross_entropy == pytest.approx(np.log(3), rel=1e-5)


@pytest.mark.parametrize(("size", "count"), [(100, 100), (7, 7), (-1, 9)])
def test_validation_counts_what_it_was_asked_to(size: int, count: int) -> None:
    bottlenecks, training = clusters(30, 8, 3, 0.01)
    validation = [each[-3:] for each in training]
    options = Training(steps=1500, validation_batch_size=size)
    _, looks = trained(bottlenecks, [each[:-3] for each in training], options, validation)
    assert {look.validation_count for look in looks} == {count}
    assert looks[-1].validation_accuracy == 1


def test_without_validation_images_its_accuracy_is_unknown() -> None:
    bottlenecks, training = clusters(30, 8, 3, 1)
    for size in (100, -1):
        _, looks = trained(bottlenecks, training, Training(steps=3, validation_batch_size=size))
        assert all(look.validation_count == 0 for look in looks)
        assert all(np.isnan(look.validation_accuracy) for look in looks)


def test_a_category_without_validation_images_does_not_disturb() -> None:
    bottlenecks, training = clusters(30, 8, 3, 1)
    validation = [training[0][:2], np.empty(0, np.intp), training[2][:2]]
    _, looks = trained(bottlenecks, training, SHORT, validation)
    assert looks[-1].validation_count == 100


def classic_run(shared: Path) -> tuple[Floats, NDArray[np.intp]]:
    """What a real retrain.py computed in 2018: Inception's 2048 numbers for 2 x 150 photos."""
    folder = shared / "classic_run_2018" / "bottlenecks"
    rows, truth = [], []
    for k, category in enumerate(sorted(folder.iterdir())):
        for path in sorted(category.glob("*.txt")):
            rows.append(np.array(path.read_text().split(","), np.float32))
            truth.append(k)
    return np.stack(rows), np.array(truth)


@pytest.mark.slow
def test_real_bottlenecks_are_learned_as_well_as_scikit_learn_does(shared: Path) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold

    bottlenecks, truth = classic_run(shared)
    assert bottlenecks.shape == (300, 2048)
    right = {"ours": 0, "scikit-learn": 0}
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    for known, held_out in folds.split(bottlenecks, truth):
        training = [known[truth[known] == k] for k in (0, 1)]
        head, _ = trained(bottlenecks, training, Training())
        found = scores_of(bottlenecks[held_out], head).argmax(axis=1)
        right["ours"] += int((found == truth[held_out]).sum())
        model = LogisticRegression(max_iter=1000).fit(bottlenecks[known], truth[known])
        right["scikit-learn"] += int(
            (model.predict(bottlenecks[held_out]) == truth[held_out]).sum()
        )
    assert right["ours"] / 300 >= 0.92
    assert right["ours"] >= right["scikit-learn"] - 6


def test_a_large_batch_is_computed_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    bottlenecks, training = clusters(200, 64, 5, 0.2)
    options = Training(steps=50, train_batch_size=300)
    whole, looks = trained(bottlenecks, training, options)
    monkeypatch.setattr(heads, "_PIECE", 7)
    pieces, same_looks = trained(bottlenecks, training, options)
    np.testing.assert_allclose(pieces.weights, whole.weights, atol=1e-5)
    assert [look.train_accuracy for look in same_looks] == [look.train_accuracy for look in looks]


@pytest.mark.slow
def test_the_largest_batches_take_little_memory() -> None:
    bottlenecks, training = clusters(200, 512, 5, 0.2)
    options = Training(steps=2, train_batch_size=1_000_000, validation_batch_size=1_000_000)
    tracemalloc.start()
    trained(bottlenecks, training, options, training)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 300_000_000


@pytest.mark.parametrize("rate", [1e38, 1e300])
def test_weights_that_grow_without_end_are_an_error(rate: float) -> None:
    bottlenecks, training = clusters(50, 8, 2, 0.2)
    with pytest.raises(UserError, match="choose a smaller --learning_rate"):
        trained(bottlenecks, training, Training(steps=30, learning_rate=rate))


def with_folds(
    bottlenecks: Floats, truth: NDArray[np.intp], split: NDArray[np.intp], options: Training = SHORT
) -> tuple[Head, Floats]:
    """The head and the logits by those of the folds; only rows with a fold are trained on."""
    trained_on = (split >= 0).all(axis=0)
    training = [np.flatnonzero(trained_on & (truth == k)) for k in range(truth.max() + 1)]
    nobody = [np.empty(0, np.intp)] * len(training)
    found = train_with_folds(bottlenecks, training, nobody, options, lambda *_: None, split)
    return found.head, found.out_of_fold


@pytest.mark.parametrize("width", [16, 300])  # fewer numbers than rows, and more
def test_a_row_says_nothing_to_the_heads_that_judge_it(width: int) -> None:
    bottlenecks, _ = clusters(60, width, 3, 1)
    truth = np.arange(60) % 3
    split = folds(truth, np.arange(60), 2, 0)
    head, logits = with_folds(bottlenecks, truth, split)
    changed = bottlenecks.copy()
    changed[7] = 20
    other_head, other = with_folds(changed, truth, split)
    assert np.abs(other_head.weights - head.weights).max() > 0.01
    for repeat in range(2):
        fellows = split[repeat] == split[repeat, 7]
        fellows[7] = False
        np.testing.assert_allclose(other[repeat, fellows], logits[repeat, fellows], atol=1e-3)
        strangers = split[repeat] != split[repeat, 7]
        assert np.abs(other[repeat, strangers] - logits[repeat, strangers]).max() > 0.1


@pytest.mark.slow
def test_the_head_of_a_fold_is_the_one_trained_without_it() -> None:
    # Batches so large that the draws hardly matter.
    bottlenecks, _ = clusters(60, 16, 3, 1)
    truth, options = np.arange(60) % 3, Training(steps=100, train_batch_size=3000)
    split = folds(truth, np.arange(60), 2, 0)
    _, logits = with_folds(bottlenecks, truth, split, options)
    for repeat in range(2):
        for fold in range(FOLDS):
            out = split[repeat] == fold
            rest = [np.flatnonzero(~out & (truth == k)) for k in range(3)]
            alone, _ = trained(bottlenecks, rest, options)
            expected = bottlenecks[out] @ alone.weights + alone.biases
            assert np.abs(logits[repeat, out] - expected).max() < np.ptp(expected) / 20


def test_folds_do_not_change_the_head() -> None:
    bottlenecks, training = clusters(60, 16, 3, 1)
    truth = np.arange(60) % 3
    alone, _ = trained(bottlenecks, training)
    none, logits = with_folds(bottlenecks, truth, np.empty((0, 60), np.intp))
    assert same(none, alone)
    assert logits.shape == (0, 60, 3)
    beside, _ = with_folds(bottlenecks, truth, folds(truth, np.arange(60), 2, 0))
    np.testing.assert_allclose(beside.weights, alone.weights, atol=1e-5)
    again, _ = with_folds(bottlenecks, truth, folds(truth, np.arange(60), 2, 0))
    assert same(beside, again)


def test_rows_that_are_not_trained_on_have_no_logits_and_do_not_matter() -> None:
    bottlenecks, _ = clusters(60, 16, 3, 1)
    truth = np.arange(60) % 3
    split = folds(truth, np.arange(60), 2, 0)
    split[:, [5, 9]] = -1
    head, logits = with_folds(bottlenecks, truth, split)
    assert (logits[:, [5, 9]] == 0).all()
    bottlenecks[[5, 9]] = 50
    other_head, other = with_folds(bottlenecks, truth, split)
    assert same(head, other_head)
    np.testing.assert_array_equal(other, logits)


def test_rows_longer_than_many_give_the_head_that_all_their_numbers_give() -> None:
    bottlenecks, training = clusters(60, 300, 3, 1)
    short, looks = trained(bottlenecks, training)
    nobodys = np.zeros((300, 300), np.float32)
    whole, same_looks = trained(np.concatenate([bottlenecks, nobodys]), training)
    np.testing.assert_allclose(short.weights, whole.weights, atol=1e-4)
    np.testing.assert_allclose(short.biases, whole.biases, atol=1e-4)
    assert looks[-1].cross_entropy == pytest.approx(same_looks[-1].cross_entropy, abs=1e-4)


def test_two_pictures_a_category_have_folds_too() -> None:
    bottlenecks, _ = clusters(4, 16, 2, 0.05)
    truth = np.arange(4) % 2
    _, logits = with_folds(bottlenecks, truth, folds(truth, np.arange(4), 2, 0))
    assert (logits.argmax(axis=2) == truth).all()
