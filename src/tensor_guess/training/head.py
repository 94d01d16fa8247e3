"""Train the head: bottlenecks -> weights, by plain gradient descent as in `retrain.py`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from tensor_guess.config import Training
from tensor_guess.errors import UserError
from tensor_guess.graphs.own import Head

Floats = NDArray[np.float32]
Indices = NDArray[np.intp]

# At most this many steps, and rows, are drawn at one time.
_CHUNK = 500
_DRAWN = 5_000_000
# How many rows of a batch are computed at one time. This bounds the memory.
_PIECE = 10_000
_HUGE = 1e20


@dataclass(frozen=True)
class Look:
    """How good the head is at `step`: accuracies in 0..1, and the mean cross entropy in nats."""

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
    """Return the head after `options.steps` steps.

    `bottlenecks`: [N, D]. `training`, `validation`: for each category, the rows of its images.
    A batch draws a category at random, then one of its images, so a category with few images counts
    as much as one with many. `look` is called every `eval_step_interval` steps and at the last; it
    must copy the head to keep it, because the head goes on changing. Raise UserError if the weights
    grow without end.
    """
    # If threads share a product, OpenBLAS sums in another order, and the result differs.
    with threadpool_limits(limits=1, user_api="blas"):
        return _trained(bottlenecks, training, validation, options, look)


def _trained(
    bottlenecks: Floats,
    training: Sequence[Indices],
    validation: Sequence[Indices],
    options: Training,
    look: Callable[[Look, Head], None],
) -> Head:
    random = np.random.default_rng(options.seed)
    head = Head(
        np.zeros((bottlenecks.shape[1], len(training)), np.float32),
        np.zeros(len(training), np.float32),
    )
    drawn = _Draws(training, options.train_batch_size, random)
    checks = _Draws(validation, options.validation_batch_size, random)
    batch = np.empty((min(options.train_batch_size, _PIECE), bottlenecks.shape[1]), np.float32)
    for step in range(options.steps):
        rows, truth = drawn.next()
        looking = step % options.eval_step_interval == 0 or step == options.steps - 1
        seen, change = list[tuple[Floats, NDArray[np.bool_]]](), None
        with np.errstate(over="ignore", invalid="ignore"):  # `_check_weights` reports it
            for part in _pieces(len(rows)):
                taken, wanted = batch[: len(rows[part])], truth[part]
                np.take(bottlenecks, rows[part], axis=0, out=taken, mode="clip")
                scores = softmax(taken @ head.weights + head.biases)
                own = np.arange(len(wanted))
                if looking:
                    seen.append((scores[own, wanted], scores.argmax(axis=1) == wanted))
                # The gradient of the mean cross entropy by the logits is (scores - truth) / batch.
                scores[own, wanted] -= 1
                scores *= options.learning_rate / len(truth)
                change = _sum(change, Head(taken.T @ scores, scores.sum(0)))
        if looking:
            _check_weights(head, step, options)
            look(_look(step, bottlenecks, head, seen, checks), head)
        assert change
        head.weights[...] -= change.weights
        head.biases[...] -= change.biases
    _check_weights(head, options.steps, options)
    return head


def found_of(bottlenecks: Floats, rows: Indices, head: Head) -> Indices:
    """Return the number of the best category [M] for each of the M `rows` of bottlenecks [N, D]."""
    found = np.empty(len(rows), np.intp)
    for part in _pieces(len(rows)):
        found[part] = (bottlenecks[rows[part]] @ head.weights + head.biases).argmax(axis=1)
    return found


def softmax(logits: Floats) -> Floats:
    """Return the scores of logits [N, K]; each row sums to 1."""
    scores: Floats = np.exp(logits - logits.max(axis=1, keepdims=True))
    scores /= scores.sum(axis=1, keepdims=True)
    return scores


class _Draws:
    """Batches of (rows, categories): a random category, then a random row of it; size -1 is all."""

    def __init__(self, rows: Sequence[Indices], size: int, random: np.random.Generator) -> None:
        self._full = [(each, category) for category, each in enumerate(rows) if len(each)]
        self._size, self._random = size, random
        self._rows: NDArray[np.intp] = np.empty((0, 0), np.intp)
        self._truth: NDArray[np.intp] = np.empty((0, 0), np.intp)
        self._next = 0

    def next(self) -> tuple[Indices, Indices]:
        """Return rows and their categories, each [B], or [0] if there are no rows at all."""
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
        shape = (max(1, min(_CHUNK, _DRAWN // self._size)), self._size)
        which = self._random.integers(len(self._full), size=shape)
        lengths = np.array([len(each) for each, _ in self._full])
        starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
        all_rows = np.concatenate([each for each, _ in self._full])
        within = (self._random.random(shape) * lengths[which]).astype(np.intp)
        self._rows = all_rows[starts[which] + within]
        self._truth = np.array([category for _, category in self._full])[which]
        self._next = 0


def _look(
    step: int,
    bottlenecks: Floats,
    head: Head,
    seen: Sequence[tuple[Floats, NDArray[np.bool_]]],
    checks: _Draws,
) -> Look:
    """Return the Look at `step`.

    `seen`: for each piece of the batch, the scores of the true categories, and which were right.
    """
    scores, right = (np.concatenate(each) for each in zip(*seen, strict=True))
    rows, wanted = checks.next()
    return Look(
        step,
        float(right.mean()),
        float(-np.log(np.maximum(scores, np.finfo(np.float32).tiny)).mean()),
        float((found_of(bottlenecks, rows, head) == wanted).mean()) if len(rows) else float("nan"),
        len(rows),
    )


def _pieces(count: int) -> list[slice]:
    return [slice(start, start + _PIECE) for start in range(0, count, _PIECE)]


def _sum(one: Head | None, other: Head) -> Head:
    return Head(one.weights + other.weights, one.biases + other.biases) if one else other


def _check_weights(head: Head, step: int, options: Training) -> None:
    # Larger weights, or NaN, would make the scores NaN.
    if not max(np.abs(each).max() for each in (head.weights, head.biases)) < _HUGE:
        raise UserError(
            f"training went astray by step {step}: the weights grow without end; "
            f"choose a smaller --learning_rate than {options.learning_rate:g}"
        )
