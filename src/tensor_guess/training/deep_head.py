"""Train a head with hidden layers: bottlenecks -> weights, by Adam, with dropout."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from tensor_guess.config import Training
from tensor_guess.evaluation.calibration import softmax
from tensor_guess.evaluation.folds import FOLDS
from tensor_guess.graphs.own import Head, Layer
from tensor_guess.training.head import (
    Best,
    Draws,
    Fitted,
    Look,
    check_weights,
    look_at,
    pieces,
)

Floats = NDArray[np.float32]
Indices = NDArray[np.intp]

# Kingma and Ba 2014, Adam: A Method for Stochastic Optimization; epsilon as in Keras.
_FIRST, _SECOND, _EPSILON = 0.9, 0.999, 1e-7


def train_with_folds(
    bottlenecks: Floats,
    training: Sequence[Indices],
    validation: Sequence[Indices],
    options: Training,
    look: Callable[[Look, Head], None],
    folds: Indices,
) -> Fitted:
    """Return what `head.train_with_folds` does, for a head with layers of widths `options.hidden`.

    Only the first repeat's folds have heads, each trained for as many steps as the one that is
    kept: logits have R = 1, or 0 if there are no folds.
    """
    # OpenBLAS sums in another order if it shares a product among threads.
    with threadpool_limits(limits=1, user_api="blas"):
        best = _trained(bottlenecks, training, validation, options, look)
        logits = np.zeros((min(1, len(folds)), len(bottlenecks), len(training)), np.float32)
        until = replace(options, steps=max(1, best.step))
        nobody = [np.empty(0, np.intp)] * len(training)

        def judge(fold: int) -> None:
            left = [rows[folds[0, rows] != fold] for rows in training]
            if not any(map(len, left)):
                return  # all pictures are near copies of one: nothing can be said without it
            other = _trained(bottlenecks, left, nobody, until, None).kept
            held_out = np.flatnonzero(folds[0] == fold)
            for part in pieces(len(held_out)):
                logits[0, held_out[part]] = other.logits(bottlenecks[held_out[part]])

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(judge, range(FOLDS if len(folds) else 0)))
        return Fitted(best.kept, best.step, logits)


def _trained(
    bottlenecks: Floats,
    training: Sequence[Indices],
    validation: Sequence[Indices],
    options: Training,
    look: Callable[[Look, Head], None] | None,
) -> Best[Head]:
    random = np.random.default_rng(options.seed)
    layers = _first(bottlenecks.shape[1], len(training), options, random)
    adam = _Adam(layers, options.learning_rate)
    drawn = Draws(training, options.train_batch_size, random)
    checks = Draws(validation, options.validation_batch_size, random)
    best = Best[Head](bottlenecks, validation)
    for step in range(options.steps):
        rows, truth = drawn.next()
        given, change = list[Floats](), list[Layer]()
        with np.errstate(over="ignore", invalid="ignore"):  # `check_weights` reports it
            for part in pieces(len(rows)):
                taken = bottlenecks[rows[part]]
                own, by = gradients(layers, taken, truth[part], options.dropout, random)
                given.append(own)
                change = [_sum(*two) for two in zip(change, by, strict=True)] if change else by
        scores = np.concatenate(given)
        if look and (step % options.eval_step_interval == 0 or step == options.steps - 1):
            check_weights(layers[-1], step, options)
            head = _head(layers)
            best.see(step, head, lambda: _copy(layers))
            seen = scores[np.arange(len(truth)), truth], scores.argmax(axis=1) == truth
            look(look_at(step, bottlenecks, head, [seen], checks), head)
        adam.step(change, len(rows))
    check_weights(layers[-1], options.steps, options)
    best.see(options.steps, _head(layers), lambda: _copy(layers))
    return best


def _first(width: int, classes: int, options: Training, random: np.random.Generator) -> list[Layer]:
    """Return the layers before the first step; the last one is 0, so that no category is likelier.

    The others are as He et al. 2015, Delving Deep into Rectifiers.
    """
    layers = []
    for own in options.hidden:
        weights = random.normal(0, np.sqrt(2 / width), (width, own)).astype(np.float32)
        layers.append(Layer(weights, np.zeros(own, np.float32)))
        width = own
    last = np.zeros((width, classes), np.float32)
    return [*layers, Layer(last, np.zeros(classes, np.float32))]


def gradients(
    layers: Sequence[Layer],
    x: Floats,
    truth: Indices,
    dropout: float,
    random: np.random.Generator,
) -> tuple[Floats, list[Layer]]:
    """Return scores [B, K] of a batch [B, D], and the gradient of its cross entropies' sum.

    A share of the hidden layers' outputs is left out, and the others are larger by as much
    (Srivastava et al. 2014, Dropout).
    """
    inputs, kept = [x], []
    for layer in layers[:-1]:
        x = x @ layer.weights + layer.biases
        mask = (random.random(x.shape, np.float32) >= dropout) & (x > 0)
        kept.append(mask * np.float32(1 / (1 - dropout)))
        x = x * kept[-1]
        inputs.append(x)
    scores = softmax(x @ layers[-1].weights + layers[-1].biases)
    by_logits = scores.copy()
    by_logits[np.arange(len(truth)), truth] -= 1
    found = []
    for number in reversed(range(len(layers))):
        found.append(Layer(inputs[number].T @ by_logits, by_logits.sum(axis=0)))
        if number:
            by_logits = (by_logits @ layers[number].weights.T) * kept[number - 1]
    return scores, found[::-1]


def _sum(one: Layer, other: Layer) -> Layer:
    return Layer(one.weights + other.weights, one.biases + other.biases)


class _Adam:
    """Changes layers, in place, by their gradients."""

    def __init__(self, layers: Sequence[Layer], rate: float) -> None:
        self._arrays = [each for layer in layers for each in (layer.weights, layer.biases)]
        self._first = [np.zeros_like(each) for each in self._arrays]
        self._second = [np.zeros_like(each) for each in self._arrays]
        self._rate, self._count = rate, 0

    def step(self, change: Sequence[Layer], count: int) -> None:
        """Go one step; `change` is the sum of the gradients of `count` images."""
        self._count += 1
        rate = np.float32(
            self._rate * np.sqrt(1 - _SECOND**self._count) / (1 - _FIRST**self._count)
        )
        by = [
            each / np.float32(count) for layer in change for each in (layer.weights, layer.biases)
        ]
        every = zip(self._arrays, self._first, self._second, by, strict=True)
        with np.errstate(over="ignore", invalid="ignore"):
            for array, first, second, own in every:
                first += np.float32(1 - _FIRST) * (own - first)
                second += np.float32(1 - _SECOND) * (own * own - second)
                array -= rate * first / (np.sqrt(second) + np.float32(_EPSILON))


def _head(layers: Sequence[Layer]) -> Head:
    """Return the layers as a head; it shares their memory."""
    return Head(layers[-1].weights, layers[-1].biases, tuple(layers[:-1]))


def _copy(layers: Sequence[Layer]) -> Head:
    return _head([Layer(layer.weights.copy(), layer.biases.copy()) for layer in layers])
