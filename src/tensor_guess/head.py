"""The head: bottlenecks -> weights, by steps of plain gradient descent (as `retrain.py`)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tensor_guess.config import Training
from tensor_guess.frozen_graph import Head

Floats = NDArray[np.float32]
Indices = NDArray[np.intp]

# Draws are made for so many steps at once.
_CHUNK = 500


@dataclass(frozen=True)
class Look:
    """How far training is after `step`: accuracies in 0..1 and mean cross entropy in nats."""

    step: int
    train_accuracy: float
    cross_entropy: float
    validation_accuracy: float
    validation_count: int


def train(
    bottlenecks: Floats,
    training: Sequence[Indices],
    validation: Sequence[Indices],
    options: Training,
    look: Callable[[Look, Head], None],
) -> Head:
    """The head after `options.steps` steps.

    bottlenecks: [N, D]. training, validation: for each category, the rows that are its images.
    A batch draws a category at random, then one of its images, so that a category with few images
    counts as much as one with many. `look` is called every `eval_step_interval` steps and after
    the last; it may copy the head, which goes on changing.
    """
    random = np.random.default_rng(options.seed)
    head = Head(
        np.zeros((bottlenecks.shape[1], len(training)), np.float32),
        np.zeros(len(training), np.float32),
    )
    drawn = _Draws(training, options.train_batch_size, random)
    checks = _Draws(validation, options.validation_batch_size, random)
    batch = np.empty((options.train_batch_size, bottlenecks.shape[1]), np.float32)
    for step in range(options.steps):
        rows, truth = drawn.next()
        np.take(bottlenecks, rows, axis=0, out=batch, mode="clip")
        scores = softmax(batch @ head.weights + head.biases)
        last = step == options.steps - 1
        if step % options.eval_step_interval == 0 or last:
            look(_look(step, bottlenecks, head, scores, truth, checks), head)
        # The gradient of the mean cross entropy by the logits is (scores - truth) / batch.
        scores[np.arange(len(truth)), truth] -= 1
        scores *= options.learning_rate / len(truth)
        head.weights[...] -= batch.T @ scores
        head.biases[...] -= scores.sum(0)
    return head


def scores_of(bottlenecks: Floats, head: Head) -> Floats:
    """Scores [N, K] of bottlenecks [N, D]."""
    return softmax(bottlenecks @ head.weights + head.biases)


def softmax(logits: Floats) -> Floats:
    """Scores of logits [N, K]; each row sums to 1."""
    scores: Floats = np.exp(logits - logits.max(axis=1, keepdims=True))
    scores /= scores.sum(axis=1, keepdims=True)
    return scores


class _Draws:
    """Batches of (rows, categories): a category at random, then one of its rows; -1 is all."""

    def __init__(self, rows: Sequence[Indices], size: int, random: np.random.Generator) -> None:
        self._full = [(each, category) for category, each in enumerate(rows) if len(each)]
        self._size, self._random = size, random
        self._rows: NDArray[np.intp] = np.empty((0, 0), np.intp)
        self._truth: NDArray[np.intp] = np.empty((0, 0), np.intp)
        self._next = 0

    def next(self) -> tuple[Indices, Indices]:
        """Rows and their categories, each [B]; [0] where there are no rows at all."""
        if self._size < 0 or not self._full:
            counts = [np.full(len(each), category) for each, category in self._full]
            none = [np.empty(0, np.intp)]
            return (
                np.concatenate([each for each, _ in self._full] or none),
                np.concatenate(counts or none),
            )
        if self._next == len(self._rows):
            self._draw()
        self._next += 1
        return self._rows[self._next - 1], self._truth[self._next - 1]

    def _draw(self) -> None:
        shape = (_CHUNK, self._size)
        which = self._random.integers(len(self._full), size=shape)
        lengths = np.array([len(each) for each, _ in self._full])
        starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
        all_rows = np.concatenate([each for each, _ in self._full])
        within = (self._random.random(shape) * lengths[which]).astype(np.intp)
        self._rows = all_rows[starts[which] + within]
        self._truth = np.array([category for _, category in self._full])[which]
        self._next = 0


def _look(
    step: int, bottlenecks: Floats, head: Head, scores: Floats, truth: Indices, checks: _Draws
) -> Look:
    right = scores[np.arange(len(truth)), truth]
    rows, wanted = checks.next()
    found = (bottlenecks[rows] @ head.weights + head.biases).argmax(axis=1)
    return Look(
        step,
        float((scores.argmax(axis=1) == truth).mean()),
        float(-np.log(np.maximum(right, np.finfo(np.float32).tiny)).mean()),
        float((found == wanted).mean()) if len(rows) else float("nan"),
        len(rows),
    )
