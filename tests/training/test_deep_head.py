"""A head with hidden layers: learns what no line divides, and leaks nothing into its folds."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from tensor_guess.config import Training
from tensor_guess.errors import UserError
from tensor_guess.evaluation.calibration import softmax
from tensor_guess.evaluation.folds import FOLDS, folds
from tensor_guess.graphs.own import Layer
from tensor_guess.training import deep_head, head
from tensor_guess.training.head import Fitted, Look

Floats = NDArray[np.float32]
Indices = NDArray[np.intp]
SHORT = Training(steps=200, learning_rate=0.003, hidden=(32, 16), train_batch_size=40)


def crossed(count: int = 160) -> tuple[Floats, list[Indices]]:
    """Two categories, each in two opposite corners of a square: no line divides them."""
    random = np.random.default_rng(3)
    corners = random.integers(0, 2, (count, 2))
    rows = np.repeat(corners, 8, axis=1) + random.normal(scale=0.2, size=(count, 16))
    truth = corners.sum(axis=1) % 2
    return rows.astype(np.float32), [np.flatnonzero(truth == k) for k in range(2)]


def trained(
    rows: Floats,
    training: Sequence[Indices],
    options: Training = SHORT,
    split: Indices | None = None,
    looks: list[Look] | None = None,
    validation: Sequence[Indices] | None = None,
) -> Fitted:
    nobody = [np.empty(0, np.intp)] * len(training)
    none = np.empty((0, len(rows)), np.intp)
    seen: list[Look] = [] if looks is None else looks
    return deep_head.train_with_folds(
        rows,
        training,
        validation or nobody,
        options,
        lambda look, _: seen.append(look),
        none if split is None else split,
    )


def right(fitted: Fitted, rows: Floats, parts: Sequence[Indices]) -> float:
    found = fitted.head.logits(rows).argmax(axis=1)
    return float(np.mean([found[own] == k for k in range(2) for own in parts[k]]))


def test_it_learns_what_a_softmax_layer_cannot() -> None:
    rows, training = crossed()
    looks: list[Look] = []
    assert right(trained(rows, training, looks=looks), rows, training) > 0.98
    assert looks[0].cross_entropy == pytest.approx(np.log(2), rel=1e-5)
    assert looks[-1].cross_entropy < 0.2
    nobody = [np.empty(0, np.intp)] * 2
    linear = head.train(rows, training, nobody, Training(steps=2000), lambda *_: None)
    assert (linear.logits(rows).argmax(axis=1)[training[1]] == 1).mean() < 0.8


def test_the_gradient_is_that_of_the_cross_entropy() -> None:
    random = np.random.default_rng(0)
    rows = random.normal(size=(7, 5)).astype(np.float32)
    truth = random.integers(0, 3, 7)
    widths = [(5, 6), (6, 4), (4, 3)]
    layers = [
        Layer(random.normal(size=shape).astype(np.float32), np.full(shape[1], 0.1, np.float32))
        for shape in widths
    ]

    def loss() -> float:
        x = rows.astype(np.float64)
        for layer in layers[:-1]:
            x = np.maximum(x @ layer.weights + layer.biases, 0)
        scores = softmax((x @ layers[-1].weights + layers[-1].biases).astype(np.float32))
        return float(-np.log(scores[np.arange(7), truth].astype(np.float64)).sum())

    _, gradients = deep_head.gradients(layers, rows, truth, 0.0, random)
    for layer, gradient in zip(layers, gradients, strict=True):
        for array, own in ((layer.weights, gradient.weights), (layer.biases, gradient.biases)):
            place = tuple(random.integers(0, length) for length in array.shape)
            before, step = array[place], np.float32(1e-2)
            array[place] = before + step
            above = loss()
            array[place] = before - step
            slope = (above - loss()) / (2 * step)
            array[place] = before
            assert own[place] == pytest.approx(slope, rel=0.03, abs=0.02)


def test_a_share_of_the_outputs_is_left_out_and_the_others_make_up_for_it() -> None:
    random = np.random.default_rng(1)
    layers = [
        Layer(np.eye(400, dtype=np.float32), np.zeros(400, np.float32)),
        Layer(np.ones((400, 2), np.float32), np.zeros(2, np.float32)),
    ]
    row, truth = np.ones((1, 400), np.float32), np.zeros(1, np.intp)
    _, found = deep_head.gradients(layers, row, truth, 0.25, random)
    inputs = found[1].weights[:, 1] / found[1].biases[1]  # what the last layer was given
    np.testing.assert_allclose(np.unique(inputs.round(5)), [0, 1.33333], atol=1e-5)
    assert 0.15 < (inputs == 0).mean() < 0.35


def test_the_same_seed_gives_the_same_bytes_whatever_the_threads() -> None:
    rows, training = crossed()
    split = folds(np.isin(np.arange(160), training[1]).astype(np.intp), np.arange(160), 1, 0)
    found = []
    for threads in (1, 2, 4):
        with threadpool_limits(threads, user_api="blas"):
            fitted = trained(rows, training, replace(SHORT, steps=20), split)
        arrays = [fitted.out_of_fold, fitted.head.weights, *(w.weights for w in fitted.head.hidden)]
        found.append(b"".join(each.tobytes() for each in arrays))
    assert found[0] == found[1] == found[2]
    other = trained(rows, training, replace(SHORT, steps=20, seed=1))
    assert other.head.weights.tobytes() not in found[0]


def test_a_row_says_nothing_to_the_head_that_judges_it() -> None:
    rows, training = crossed()
    truth = np.isin(np.arange(160), training[1]).astype(np.intp)
    split = folds(truth, np.arange(160), 2, 0)
    options = replace(SHORT, steps=30)
    first = trained(rows, training, options, split)
    assert first.out_of_fold.shape == (1, 160, 2)
    changed = rows.copy()
    changed[7] = 20
    other = trained(changed, training, options, split)
    fellows = split[0] == split[0, 7]
    fellows[7] = False
    np.testing.assert_array_equal(other.out_of_fold[0, fellows], first.out_of_fold[0, fellows])
    strangers = split[0] != split[0, 7]
    assert np.abs(other.out_of_fold[0, strangers] - first.out_of_fold[0, strangers]).max() > 0.01
    assert len(np.unique(split[0])) == FOLDS


def test_what_is_kept_is_what_validation_liked_best() -> None:
    rows, parts = crossed(400)
    random = np.random.default_rng(5)
    for own in parts:  # a fifth of what is trained on is wrong: learned by heart, it does harm
        own[:] = random.permutation(own)
    training = [np.concatenate([parts[k][50:110], parts[1 - k][110:140]]) for k in range(2)]
    validation = [own[:50] for own in parts]
    looks: list[Look] = []
    options = replace(
        SHORT, steps=400, eval_step_interval=10, validation_batch_size=-1, hidden=(256, 256)
    )
    fitted = trained(rows, training, options, looks=looks, validation=validation)
    assert fitted.step < options.steps
    best = max(look.validation_accuracy for look in looks)
    assert right(fitted, rows, validation) == pytest.approx(best)
    assert looks[-1].validation_accuracy < best


def test_weights_that_grow_without_end_are_an_error() -> None:
    rows, training = crossed()
    with pytest.raises(UserError, match="choose a smaller --learning_rate"):
        trained(rows, training, replace(SHORT, learning_rate=1e30))


def test_a_batch_of_any_size_takes_little_memory() -> None:
    rows, training = crossed()
    fitted = trained(rows, training, replace(SHORT, steps=2, train_batch_size=25_000))
    assert np.isfinite(fitted.head.weights).all()


def test_where_all_pictures_are_copies_of_one_nothing_is_said_without_it() -> None:
    rows, training = crossed(6)
    together = np.zeros((1, len(rows)), np.intp)
    fitted = trained(rows, training, split=together)
    assert np.isfinite(fitted.head.logits(rows)).all()
    assert not fitted.out_of_fold.any()
    nobody = [np.empty(0, np.intp)] * 2
    linear = replace(SHORT, hidden=())
    of_softmax = head.train_with_folds(
        rows, training, nobody, linear, lambda *_: None, together, None
    )
    assert not of_softmax.out_of_fold[0].any()
