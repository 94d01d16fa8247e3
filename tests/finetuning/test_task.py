"""Tasks: what one process writes, the other reads."""

from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from tensor_guess.finetuning import task as tasks
from tensor_guess.finetuning.task import BEST, Task

TASK = Task("Mul", 127, 128, ("k", "b"), 1, 3, (0, 1, 2, 2), (), 8, 20, 3, 0.001, 0.2, 7)
floats = arrays(np.float32, array_shapes(min_side=0), elements=st.floats(width=32))


def test_a_task_comes_back(tmp_path: Path) -> None:
    tasks.write(tmp_path, TASK)
    assert tasks.read(tmp_path) == TASK
    assert TASK.steps == 2


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(floats, max_size=12), st.floats())
def test_weights_come_back_in_order(tmp_path: Path, weights: tasks.Weights, loss: float) -> None:
    tasks.save(tmp_path / BEST, weights, epoch=3, loss=loss)
    found, numbers = tasks.load(tmp_path / BEST)
    assert [path.name for path in tmp_path.iterdir()] == [BEST]
    assert len(found) == len(weights)
    for one, other in zip(found, weights, strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal([numbers["epoch"], numbers["loss"]], [3, loss])
