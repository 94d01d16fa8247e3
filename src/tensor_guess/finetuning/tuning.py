"""Fine-tune, in a process of its own that sees one folder. Importing this imports TensorFlow."""

import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

# oneDNN's kernels are the fast ones.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "1"

from tensor_guess.config import BOTTLENECK, FEWEST_CHECKED
from tensor_guess.finetuning import task as tasks
from tensor_guess.finetuning.task import BEST, FIRST, GRAPH, INPUTS, LOOKS, RESUME, Epoch, Task
from tensor_guess.system import progress

# isort: off
import keras
import tensorflow as tf

# The rate rises over the first epoch, or so many steps, and falls along a cosine (Loshchilov and
# Hutter 2017, SGDR); kernels shrink by this times the rate (Decoupled Weight Decay, 2019).
_RISING = 20
_DECAY = 0.004
# Fewer epochs than this are not worth it.
_FEWEST = 3
# Of the time that is left, so much is planned for, after so many batches showed what one takes.
_PLANNED, _PROBED = 0.9, 3
# Training stops when so great a part of the epochs brought nothing better.
_PATIENCE = 0.4


def tune(folder: Path) -> None:
    """Do the task in the folder, from where it was left; see `task` for the files.

    Raise MemoryError if there is too little memory for a batch, OutOfTime if there is too little
    time for a few epochs.
    """
    task = tasks.read(folder)
    try:
        _Tuning(folder, task).run()
    except tf.errors.ResourceExhaustedError as error:
        raise MemoryError from error


class _Tuning:
    def __init__(self, folder: Path, task: Task) -> None:
        self._folder, self._task = folder, task
        self._inputs = np.load(folder / INPUTS, mmap_mode="r", allow_pickle=False)
        self._graph = tf.compat.v1.GraphDef.FromString((folder / GRAPH).read_bytes())
        first, _ = tasks.load(folder / FIRST)
        self._weights = [tf.Variable(each) for each in first]
        self._optimizer = keras.optimizers.AdamW(task.learning_rate, weight_decay=_DECAY)
        biases = [each for each in self._weights if each.shape.rank == 1]
        self._optimizer.exclude_from_weight_decay(biases)
        self._optimizer.build(self._weights)
        self._each, self._epochs = task.steps, task.epochs
        self._truth = np.array(task.truth, np.int32)
        # Every category counts the same, however many images it has.
        counts = np.maximum(np.bincount(task.truth, minlength=task.classes), 1)
        share = 1 / counts[self._truth]
        self._share = (share / share.mean()).astype(np.float32)
        self._train = tf.function(self._step, autograph=False, reduce_retracing=True)
        self._ask = tf.function(self._logits, autograph=False, reduce_retracing=True)
        self._looks = list[dict[str, Any]]()
        self._best, self._badness = 0, (np.inf, np.inf)
        self._done = 0

    def run(self) -> None:
        self._resume()
        if self._task.until and not self._done:
            self._epochs = self._affordable(self._task.until)
        started, since, total = time.monotonic(), self._done, self._epochs
        with progress.bar("Fine-tuning", total * self._each) as show:
            for epoch in progress.in_time(range(self._done, total), self._task.until):
                note = self._note() if self._looks else ""
                look = self._epoch(epoch, lambda done, note=note: show(done, note))
                self._looks.append(asdict(look))
                spent = time.monotonic() - started
                left = spent / (epoch + 1 - since) * (total - epoch - 1)
                self._done = epoch + 1
                self._keep()
                if not progress.on_terminal():
                    progress.say(f"{self._note()}, about {left:.0f} seconds left")
                if total > self._done > self._best + _PATIENCE * total:
                    progress.say(f"stopped: nothing got better since epoch {self._best}")
                    return
            show(total * self._each, self._note())

    def _affordable(self, until: float) -> int:
        """Return how many epochs there is time for. Raise OutOfTime if they are too few."""
        self._optimizer.learning_rate.assign(0)
        rows = np.arange(self._task.batch_size) % len(self._truth)
        self._batch(rows, 0)
        started = time.monotonic()
        for step in range(_PROBED):
            self._batch(rows, step)
        each = (time.monotonic() - started) / _PROBED
        batches = self._each + len(self._task.validated) / self._task.batch_size / 2
        found = int(_PLANNED * (until - time.monotonic()) / (each * batches))
        if found < _FEWEST:
            raise progress.OutOfTime
        return min(found, self._task.epochs)

    def _epoch(self, epoch: int, show: Any) -> Epoch:
        task = self._task
        random = np.random.default_rng([task.seed, epoch])
        order = random.permutation(len(task.truth))
        versions = random.integers(task.versions, size=len(order))
        losses, right = 0.0, 0.0
        for number in range(self._each):
            step = epoch * self._each + number
            at = np.arange(number * task.batch_size, (number + 1) * task.batch_size) % len(order)
            rows = np.sort(order[at] * task.versions + versions[at])
            self._optimizer.learning_rate.assign(task.learning_rate * self._rate(step))
            loss, hits = self._batch(rows, step)
            losses, right = losses + loss, right + hits
            show(step + 1)
        found = self._validated(epoch + 1)
        return Epoch(epoch + 1, right / self._each, losses / self._each, found)

    def _batch(self, rows: NDArray[np.intp], step: int) -> tuple[float, float]:
        """Train on a batch of inputs; return its cross entropy, and the share that was right."""
        images = rows // self._task.versions
        loss, hits = self._train(
            tf.constant(self._inputs[rows]),
            tf.constant(self._truth[images]),
            tf.constant(self._share[images]),
            tf.constant([self._task.seed, step], tf.int32),
        )
        return float(loss), float(hits)

    def _rate(self, step: int) -> float:
        total = self._epochs * self._each
        rising = min(1, (step + 1) / min(max(self._each, _RISING), total / 4))
        return float(rising * (1 + np.cos(np.pi * step / total)) / 2)

    def _validated(self, epoch: int) -> float:
        """Keep the weights if they are the best so far; return the validation accuracy."""
        task = self._task
        truth, badness, accuracy = np.array(task.validated, np.intp), (0.0, 0.0), np.nan
        if len(truth):
            start = len(task.truth) * task.versions
            logits = [
                self._ask(tf.constant(self._inputs[start + at : start + at + task.batch_size]))
                for at in range(0, len(truth), task.batch_size)
            ]
            scores = tf.nn.softmax(tf.concat(logits, 0)).numpy()
            own = np.maximum(scores[np.arange(len(truth)), truth], np.finfo(np.float32).tiny)
            wrong = float((scores.argmax(axis=1) != truth).mean())
            accuracy = 1 - wrong
            if len(truth) >= FEWEST_CHECKED:
                badness = wrong, float(-np.log(own).mean())
        if badness <= self._badness:
            self._best, self._badness = epoch, badness
            tasks.save(self._folder / BEST, self._numbers(self._weights), epoch=epoch)
        return accuracy

    def _note(self) -> str:
        at = Epoch(**self._looks[-1])
        validated = f", validation accuracy {100 * at.validation_accuracy:.1f}%"
        end = validated if self._task.validated else ""
        return f"epoch {at.epoch} of {self._epochs}: cross entropy {at.cross_entropy:.3f}{end}"

    def _keep(self) -> None:
        (self._folder / LOOKS).write_text(json.dumps(self._looks), "utf-8")
        wrong, loss = self._badness
        state = self._numbers([*self._weights, *self._optimizer.variables])
        told = {"done": self._done, "best": self._best, "wrong": wrong, "loss": loss}
        told["epochs"] = self._epochs
        tasks.save(self._folder / RESUME, state, **told)

    def _resume(self) -> None:
        path = self._folder / RESUME
        if not path.exists():
            return
        state, told = tasks.load(path)
        for variable, value in zip(
            [*self._weights, *self._optimizer.variables], state, strict=True
        ):
            variable.assign(value)
        self._done, self._best = int(told["done"]), int(told["best"])
        self._epochs = int(told["epochs"])
        self._badness = told["wrong"], told["loss"]
        self._looks = json.loads((self._folder / LOOKS).read_text("utf-8"))[: self._done]
        progress.say(f"going on after epoch {self._done}")

    def _numbers(self, variables: Sequence[Any]) -> list[NDArray[Any]]:
        return [np.asarray(each) for each in variables]

    def _step(self, inputs: Any, truth: Any, share: Any, seed: Any) -> tuple[Any, Any]:
        # The imported graph is not seen by a GradientTape.
        weights = [each.read_value() for each in self._weights]
        logits = self._logits(inputs, weights, seed)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(truth, logits)
        loss = tf.reduce_mean(losses * share)
        self._optimizer.apply(tf.gradients(loss, weights), self._weights)
        hits = tf.argmax(logits, 1, tf.int32) == truth
        return tf.reduce_mean(losses), tf.reduce_mean(tf.cast(hits, tf.float32))

    def _logits(self, inputs: Any, weights: Any = None, seed: Any = None) -> Any:
        """Return logits [B, K]; with a seed, as in training: a share of the numbers is left out."""
        task = self._task
        weights = weights or [each.read_value() for each in self._weights]
        fed = {f"{task.start}:0": (tf.cast(inputs, tf.float32) - task.mean) / task.std}
        fed |= {f"{name}:0": each for name, each in zip(task.weights, weights, strict=False)}
        (x,) = tf.graph_util.import_graph_def(self._graph, fed, [f"{BOTTLENECK}:0"], name="")
        head = weights[len(task.weights) :]
        for number in range(task.hidden + 1):
            if seed is not None and task.dropout:
                salt = seed + tf.constant([0, 0x10000 * number])
                x = tf.nn.experimental.stateless_dropout(x, task.dropout, salt)
            x = tf.matmul(x, head[2 * number]) + head[2 * number + 1]
            x = tf.nn.relu(x) if number < task.hidden else x
        return x
