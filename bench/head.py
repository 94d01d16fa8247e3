"""Measure how long the 4000 steps take, compared with scikit-learn and a loop in TensorFlow.

    python bench/head.py [--runs N]

It uses 434 bottlenecks of 2048 numbers in 2 categories, as in the article.
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tensorflow as tf
from sklearn.linear_model import LogisticRegression

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "src"))
from tensor_guess.config import Training
from tensor_guess.training import head


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    random = np.random.default_rng(0)
    rows = random.random((434, 2048), dtype=np.float32)
    truth = (np.arange(434) % 2).astype(np.int32)
    rows[truth == 1, :100] += 0.2
    training = [np.flatnonzero(truth == k)[:180] for k in (0, 1)]
    validation = [np.flatnonzero(truth == k)[180:] for k in (0, 1)]

    def ours() -> None:
        head.train(rows, training, validation, Training(), lambda look, so_far: None)

    print(f"{'4000 steps of 100, 434 x 2048, 2 categories':46} seconds   (median of {runs})")
    for what, work in (
        ("tensor-guess", ours),
        ("TensorFlow, one tf.function a step", lambda: steps_of_tensorflow(rows, truth)),
        ("scikit-learn, LogisticRegression (to the end)", lambda: regression(rows, truth)),
    ):
        print(f"{what:46} {median(work, runs):7.2f}")


def steps_of_tensorflow(rows: np.ndarray, truth: np.ndarray) -> None:
    """Make the same 4000 steps with TensorFlow."""
    weights = tf.Variable(tf.zeros((rows.shape[1], 2)))
    biases = tf.Variable(tf.zeros(2))

    def step(x: tf.Tensor, y: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            logits = x @ weights + biases
            loss = tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits)
            mean = tf.reduce_mean(loss)
        by_weights, by_biases = tape.gradient(mean, (weights, biases))
        weights.assign_sub(0.01 * by_weights)
        biases.assign_sub(0.01 * by_biases)

    random = np.random.default_rng(0)
    compiled = tf.function(step)
    for _ in range(4000):
        drawn = random.integers(len(rows), size=100)
        compiled(tf.constant(rows[drawn]), tf.constant(truth[drawn]))


def regression(rows: np.ndarray, truth: np.ndarray) -> None:
    """Let scikit-learn find its best weights."""
    LogisticRegression(max_iter=4000).fit(rows, truth)


def median(work: Callable[[], None], runs: int) -> float:
    """Return the median seconds of `work`."""
    seconds = []
    for _ in range(runs):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


if __name__ == "__main__":
    main()
