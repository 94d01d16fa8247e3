"""Train the head: bottlenecks -> weights, by plain gradient descent as in `retrain.py`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from tensor_guess.config import FEWEST_CHECKED, Training
from tensor_guess.errors import UserError
from tensor_guess.evaluation.calibration import softmax
from tensor_guess.evaluation.folds import FOLDS
from tensor_guess.graphs.own import Head, Layer
from tensor_guess.system import progress

Floats = NDArray[np.float32]
Indices = NDArray[np.intp]

# At most this many steps, and rows, are drawn at one time.
_CHUNK = 500
_DRAWN = 5_000_000
# How many rows of a batch are computed at one time. This bounds the memory.
_PIECE = 10_000
_HUGE = 1e20
# So many validation images decide which head is the best, if there are more.
_MOST_CHECKED = 1000

Kept = TypeVar("Kept")


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

    bottlenecks: [N, D]. training, validation: for each category, the rows that are its images.
    A batch draws a category at random, then one of its images, so that a category with few images
    counts as much as one with many. `look` is called every `eval_step_interval` steps and after
    the last; of the heads at these steps, the one is kept that `Best` finds. Raise UserError if the
    weights grow without end.
    """
    none = np.empty((0, len(bottlenecks)), np.intp)
    return train_with_folds(bottlenecks, training, validation, options, look, none).head


@dataclass(frozen=True)
class Fitted:
    """A head, the step after which it was kept, and logits [R, N, K] by the heads of the folds."""

    head: Head
    step: int
    out_of_fold: Floats


def train_with_folds(
    bottlenecks: Floats,
    training: Sequence[Indices],
    validation: Sequence[Indices],
    options: Training,
    look: Callable[[Look, Head], None],
    folds: Indices,
    until: float | None = None,
) -> Fitted:
    """Return the head, as `train`, and logits [R, N, K] by heads that were not trained on the row.

    folds [R, N]: the fold of each row, in each of R repeats (evaluation/folds); -1 for rows that
    are not trained on, whose logits are 0. The head of a fold is trained on the same batches in the
    same steps, but for the rows of that fold. `until`: the time at which training ends early.
    """
    # OpenBLAS sums in another order if it shares a product among threads.
    with threadpool_limits(limits=1, user_api="blas"):
        return _trained(bottlenecks, training, validation, options, look, folds, until)


def _trained(
    bottlenecks: Floats,
    training: Sequence[Indices],
    validation: Sequence[Indices],
    options: Training,
    look: Callable[[Look, Head], None],
    folds: Indices,
    until: float | None,
) -> Fitted:
    random = np.random.default_rng(options.seed)
    classes, left_out = len(training), _Folds(folds)
    bottlenecks, basis = _shortened(bottlenecks)
    # All heads, [D, K * H]: the head itself, then one for each fold of each repeat. Categories come
    # first, since NumPy is slow along a short last axis.
    heads = Head(
        np.zeros((bottlenecks.shape[1], classes * left_out.heads), np.float32),
        np.zeros(classes * left_out.heads, np.float32),
    )
    own_head = left_out.head(heads, 0)
    drawn = Draws(training, options.train_batch_size, random)
    checks = Draws(validation, options.validation_batch_size, random)
    best = Best[Head](bottlenecks, validation)
    batch = np.empty((min(options.train_batch_size, _PIECE), bottlenecks.shape[1]), np.float32)
    done = 0
    for step in progress.in_time(range(options.steps), until):
        done = step + 1
        rows, truth = drawn.next()
        looking = step % options.eval_step_interval == 0 or step == options.steps - 1
        seen, change = list[tuple[Floats, NDArray[np.bool_]]](), None
        rates = options.learning_rate / np.maximum(left_out.used[rows].sum(0), 1)
        with np.errstate(over="ignore", invalid="ignore"):  # `_check_weights` reports it
            for part in pieces(len(rows)):
                taken, wanted = batch[: len(rows[part])], truth[part]
                np.take(bottlenecks, rows[part], axis=0, out=taken, mode="clip")
                logits = taken @ heads.weights + heads.biases
                scores = softmax(logits.reshape(len(wanted), classes, left_out.heads), axis=1)
                own = np.arange(len(wanted))
                if looking:
                    main = scores[:, :, 0]
                    seen.append((main[own, wanted], main.argmax(axis=1) == wanted))
                # The gradient of the mean cross entropy by the logits is (scores - truth) / batch.
                scores[own, wanted] -= 1
                scores *= (left_out.used[rows[part]] * rates).astype(np.float32)[:, None]
                by_logits = scores.reshape(len(wanted), -1)
                change = _sum(change, Head(taken.T @ by_logits, by_logits.sum(0)))
        if looking:
            check_weights(heads, step, options)
            best.see(step, own_head, lambda: Head(heads.weights.copy(), heads.biases.copy()))
            look(look_at(step, bottlenecks, own_head, seen, checks), _lengthened(own_head, basis))
        assert change
        heads.weights[...] -= change.weights
        heads.biases[...] -= change.biases
    check_weights(heads, done, options)
    best.see(done, own_head, lambda: heads)
    kept = best.kept
    logits = left_out.logits(bottlenecks, kept)
    return Fitted(_lengthened(left_out.head(kept, 0), basis), best.step, logits)


class Best(Generic[Kept]):
    """What was seen when most validation images were right; the last, if there are too few of them.

    Of several such, it is the one to which the true categories were likeliest.

    bottlenecks: [N, D]; validation: for each category, the rows that are its images.
    """

    kept: Kept
    step = 0

    def __init__(self, bottlenecks: Floats, validation: Sequence[Indices]) -> None:
        truth = np.concatenate([np.full(len(each), k) for k, each in enumerate(validation)])
        rows = np.concatenate(validation)
        every = -(-len(rows) // _MOST_CHECKED) or 1
        self._rows, self._truth = bottlenecks[rows[::every]], truth[::every]
        self._badness = np.inf, np.inf

    def see(self, step: int, head: Head, keep: Callable[[], Kept]) -> None:
        """Keep what `keep` returns if the head is as good as the best before, or better."""
        badness = 0.0, 0.0
        if len(self._rows) >= FEWEST_CHECKED:
            scores = softmax(head.logits(self._rows))
            wrong = scores.argmax(axis=1) != self._truth
            loss = cross_entropy(scores[np.arange(len(scores)), self._truth])
            badness = float(wrong.mean()), loss
        if badness <= self._badness:
            self._badness, self.step, self.kept = badness, step, keep()


def cross_entropy(scores: Floats) -> float:
    """Return the mean cross entropy, in nats, of the true categories' scores [M]."""
    return float(-np.log(np.maximum(scores, np.finfo(np.float32).tiny)).mean())


def _shortened(bottlenecks: Floats) -> tuple[Floats, Floats | None]:
    """Return rows [N, N] for bottlenecks [N, D] if N < D, with the basis [D, N] of what they span.

    Weights that start at zero never leave that span, so the steps are the same, and shorter.
    """
    if len(bottlenecks) >= bottlenecks.shape[1]:
        return bottlenecks, None
    basis, _ = np.linalg.qr(bottlenecks.T.astype(np.float64))
    rows: Floats = (bottlenecks @ basis).astype(np.float32)
    return rows, basis.astype(np.float32)


def _lengthened(head: Head, basis: Floats | None) -> Head:
    """Return a copy of the head, for bottlenecks as they were."""
    weights = head.weights.copy() if basis is None else basis @ np.ascontiguousarray(head.weights)
    return Head(weights, head.biases.copy())


class _Folds:
    """Which of H heads is trained on which row: the first on all, the others not on their fold.

    `used` [N, H]: whether the head is trained on the row.
    """

    def __init__(self, folds: Indices) -> None:
        self._folds = folds
        self._starts = 1 + FOLDS * np.arange(len(folds))
        self.heads = 1 + FOLDS * len(folds)
        self.used = np.ones((folds.shape[1], self.heads), bool)
        for start, fold in zip(self._starts, folds, strict=True):
            rows = np.flatnonzero(fold >= 0)
            self.used[rows, start + fold[rows]] = False

    def head(self, heads: Head, number: int) -> Head:
        """Return one of the heads; it shares their memory."""
        return Head(heads.weights[:, number :: self.heads], heads.biases[number :: self.heads])

    def logits(self, bottlenecks: Floats, heads: Head) -> Floats:
        """Return [R, N, K]: what the head that was not trained on a row makes of it."""
        classes = len(heads.biases) // self.heads
        found = np.zeros((len(self._folds), len(bottlenecks), classes), np.float32)
        for repeat, (start, folds) in enumerate(zip(self._starts, self._folds, strict=True)):
            for fold in range(FOLDS):
                own = self.head(heads, int(start) + fold)
                rows = np.flatnonzero(folds == fold)
                for part in pieces(len(rows)):
                    found[repeat, rows[part]] = own.logits(bottlenecks[rows[part]])
        return found


def found_of(bottlenecks: Floats, rows: Indices, head: Head) -> Indices:
    """Return the number of the best category [M] for each of the M `rows` of bottlenecks [N, D]."""
    found = np.empty(len(rows), np.intp)
    for part in pieces(len(rows)):
        found[part] = head.logits(bottlenecks[rows[part]]).argmax(axis=1)
    return found


class Draws:
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


def look_at(
    step: int,
    bottlenecks: Floats,
    head: Head,
    seen: Sequence[tuple[Floats, NDArray[np.bool_]]],
    checks: Draws,
) -> Look:
    """Return the Look at `step`.

    `seen`: for each piece of the batch, the scores of the true categories, and which were right.
    """
    scores, right = (np.concatenate(each) for each in zip(*seen, strict=True))
    rows, wanted = checks.next()
    return Look(
        step,
        float(right.mean()),
        cross_entropy(scores),
        float((found_of(bottlenecks, rows, head) == wanted).mean()) if len(rows) else float("nan"),
        len(rows),
    )


def pieces(count: int) -> list[slice]:
    """Return slices of so many rows, few enough to be computed at one time."""
    return [slice(start, start + _PIECE) for start in range(0, count, _PIECE)]


def _sum(one: Head | None, other: Head) -> Head:
    return Head(one.weights + other.weights, one.biases + other.biases) if one else other


def check_weights(head: Head | Layer, step: int, options: Training) -> None:
    """Raise UserError if the weights grow without end."""
    # Larger weights, or NaN, would make the scores NaN.
    if not max(np.abs(each).max() for each in (head.weights, head.biases)) < _HUGE:
        raise UserError(
            f"training went astray by step {step}: the weights grow without end; "
            f"choose a smaller --learning_rate than {options.learning_rate:g}"
        )
