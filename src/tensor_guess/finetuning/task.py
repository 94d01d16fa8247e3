"""What the process that fine-tunes is told, and what it leaves: files in one folder.

task.json       a Task
graph.pb        the blocks to train, from their input to BOTTLENECK; weights are placeholders
inputs.npy      what the blocks are fed [T * V + M, ...]: versions of T images, then M to validate
first.npz       the weights before the first epoch, see `Weights`
best.npz        those after the best epoch, and its number
resume.npz      what is needed to go on after the latest epoch
looks.json      one object for each epoch
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

TASK, GRAPH, INPUTS = "task.json", "graph.pb", "inputs.npy"
FIRST, BEST, RESUME, LOOKS = "first.npz", "best.npz", "resume.npz", "looks.json"
# How the process ends if memory ran out, or if time would run out too soon.
NO_MEMORY, NO_TIME = 4, 5

Weights = list[NDArray[np.float32]]


@dataclass(frozen=True)
class Task:
    """How to fine-tune; `weights` are the names of the constants in graph.pb's place.

    `start`: the node that is fed. `mean`, `std`: how inputs are scaled first. `truth`: the
    categories of T images, `validated` those of M. `hidden`: how many hidden layers the head has,
    whose weights and biases follow the constants in every list of weights. `until`: when it must be
    done, by the monotonic clock.
    """

    start: str
    mean: float
    std: float
    weights: tuple[str, ...]
    hidden: int
    classes: int
    truth: tuple[int, ...]
    validated: tuple[int, ...]
    versions: int
    epochs: int
    batch_size: int
    learning_rate: float
    dropout: float
    seed: int
    until: float | None = None

    @property
    def steps(self) -> int:
        """Return how many batches an epoch has."""
        return -(-len(self.truth) // self.batch_size)


@dataclass(frozen=True)
class Epoch:
    """How good the classifier is after so many epochs; accuracies are 0 to 1.

    The second is NaN if nothing is validated.
    """

    epoch: int
    train_accuracy: float
    cross_entropy: float
    validation_accuracy: float


def write(folder: Path, task: Task) -> None:
    """Write the task to the folder."""
    (folder / TASK).write_text(json.dumps(asdict(task)), "utf-8")


def read(folder: Path) -> Task:
    """Return the task in the folder."""
    said: dict[str, Any] = json.loads((folder / TASK).read_text("utf-8"))
    found: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in said.items()}
    return Task(**found)


def save(path: Path, arrays: Weights, **numbers: Any) -> None:
    """Write the arrays and numbers whole, or not at all."""
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        named: dict[str, Any] = {str(i): each for i, each in enumerate(arrays)}
        np.savez(file, **named, **numbers)
    part.replace(path)


def load(path: Path) -> tuple[Weights, dict[str, float]]:
    """Return the arrays and numbers that `save` wrote."""
    with np.load(path, allow_pickle=False) as found:
        count = sum(name.isdigit() for name in found)
        numbers = {name: float(found[name]) for name in found if not name.isdigit()}
        return [found[str(i)] for i in range(count)], numbers
