"""Tuning: from what a network is fed to weights that know the categories."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tensorboard.compat.proto.types_pb2 import DT_FLOAT

from tensor_guess.config import BOTTLENECK
from tensor_guess.finetuning import task as tasks
from tensor_guess.finetuning.task import BEST, FIRST, GRAPH, INPUTS, LOOKS, RESUME, Task
from tensor_guess.graphs.builder import INT32, Builder
from tensor_guess.graphs.graph import serialise

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]

EACH, SIDE = 24, 4
# The categories differ in which of two channels is larger; 24 images of each, and 10 to validate.
TASK = Task(
    start="x",
    mean=0.0,
    std=1.0,
    weights=("kernel",),
    hidden=0,
    classes=2,
    truth=(0, 1) * EACH,
    validated=(0, 1) * 10,
    versions=2,
    epochs=6,
    batch_size=16,
    learning_rate=0.05,
    dropout=0.0,
    seed=0,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A task: a convolution that tells nothing at first, an average, and a head of zeros."""
    builder = Builder()
    builder.placeholder("x", DT_FLOAT, (-1, SIDE, SIDE, 2))
    builder.placeholder("kernel", DT_FLOAT, (1, 1, 2, 3))
    how = {"strides": (1, 1, 1, 1), "padding": "SAME"}
    builder.floats("Conv2D", "conv", ("x", "kernel"), **how)
    axes = builder.const("axes", np.array([1, 2], np.int32))
    builder.floats("Mean", BOTTLENECK, ("conv", axes), Tidx=INT32)
    (tmp_path / GRAPH).write_bytes(serialise(builder.graph))
    random = np.random.default_rng(1)
    truth = np.concatenate([np.repeat(TASK.truth, TASK.versions), TASK.validated])
    images = random.normal(0, 1, (len(truth), SIDE, SIDE, 2)).astype(np.float32)
    images[np.arange(len(truth)), :, :, truth] += 0.6
    np.save(tmp_path / INPUTS, images, allow_pickle=False)
    first = [random.normal(0, 0.1, (1, 1, 2, 3)), np.zeros((3, 2)), np.zeros(2)]
    tasks.save(tmp_path / FIRST, [each.astype(np.float32) for each in first])
    return tmp_path


def logits(folder: Path, images: NDArray[np.float32]) -> NDArray[np.float32]:
    (kernel, weights, biases), _ = tasks.load(folder / BEST)
    bottlenecks = (images @ kernel[0, 0]).mean(axis=(1, 2))
    found: NDArray[np.float32] = bottlenecks @ weights + biases
    return found


def tune(folder: Path, task: Task) -> list[dict[str, float]]:
    from tensor_guess.finetuning import tuning

    tasks.write(folder, task)
    tuning.tune(folder)
    found: list[dict[str, float]] = json.loads((folder / LOOKS).read_text())
    return found


def test_the_best_weights_get_as_many_right_as_was_said(folder: Path) -> None:
    looks = tune(folder, TASK)
    assert looks[-1]["cross_entropy"] < looks[0]["cross_entropy"] < 0.7
    _, told = tasks.load(folder / BEST)
    best = max(look["validation_accuracy"] for look in looks)
    assert looks[int(told["epoch"]) - 1]["validation_accuracy"] == best > 0.8
    images = np.load(folder / INPUTS, allow_pickle=False)[-len(TASK.validated) :]
    assert (logits(folder, images).argmax(axis=1) == TASK.validated).mean() == best


def test_of_few_to_validate_the_last_weights_are_kept(folder: Path) -> None:
    images = np.load(folder / INPUTS, allow_pickle=False)
    np.save(folder / INPUTS, images[:-2], allow_pickle=False)
    looks = tune(folder, replace(TASK, validated=TASK.validated[:-2]))
    assert len(looks) == TASK.epochs == tasks.load(folder / BEST)[1]["epoch"]


def test_with_nothing_to_validate_the_last_weights_are_kept(folder: Path) -> None:
    looks = tune(folder, replace(TASK, validated=()))
    assert np.isnan([look["validation_accuracy"] for look in looks]).all()
    assert len(looks) == TASK.epochs == tasks.load(folder / BEST)[1]["epoch"]


def test_it_stops_when_nothing_gets_better(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With so high a rate, the weights are driven from where they are good."""
    looks = tune(folder, replace(TASK, epochs=50, learning_rate=0.5))
    best = int(tasks.load(folder / BEST)[1]["epoch"])
    assert best < len(looks) < 50
    assert f"stopped: nothing got better since epoch {best}\n" in capsys.readouterr().err


def test_going_on_gives_the_same_weights(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = tune(folder, TASK)
    best = (folder / BEST).read_bytes()
    # What was kept after the fourth epoch, if it had been killed in the fifth.
    (folder / RESUME).unlink()
    from tensor_guess.finetuning import tuning

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tuning._Tuning, "_epoch", killed_in(tuning._Tuning._epoch, 4))
        with pytest.raises(KeyboardInterrupt):
            tune(folder, TASK)
    assert tune(folder, TASK) == whole
    assert (folder / BEST).read_bytes() == best
    assert "going on after epoch 4\n" in capsys.readouterr().err


def killed_in(epoch: Any, number: int) -> Any:
    def instead(self: Any, at: int, show: Any) -> Any:
        if at == number:
            raise KeyboardInterrupt
        return epoch(self, at, show)

    return instead


def test_a_category_with_few_images_counts_as_much(folder: Path) -> None:
    """Where nothing can be told, the scores are what the weights of the categories say."""
    images = np.load(folder / INPUTS, allow_pickle=False)
    np.save(folder / INPUTS, np.zeros_like(images), allow_pickle=False)
    truth = (0,) * 40 + (1,) * 8
    tune(folder, replace(TASK, truth=truth, validated=(), epochs=30, batch_size=48))
    one, other = logits(folder, images[:1] * 0)[0]
    assert abs(one - other) < 0.1
