"""ONNX as its users have it: the file and ONNX Runtime, nothing of ours."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray

from made.place import Run

pytestmark = pytest.mark.tensorflow
Arrays = tuple[NDArray[np.float32], NDArray[np.float32]]


def test_pixels_in_and_the_scores_of_a_guess_out(
    exported: Callable[[str], Path], pixels_and_scores: Arrays
) -> None:
    pixels, expected = pixels_and_scores
    session = onnxruntime.InferenceSession(exported("onnx"))
    (start,), (end,) = session.get_inputs(), session.get_outputs()
    assert (start.name, start.shape[1:], start.type) == ("pixels", [224, 224, 3], "tensor(float)")
    assert (end.name, end.shape[1:]) == ("scores", [2])
    for few in (1, 3):
        (found,) = session.run(["scores"], {"pixels": pixels[:few]})
        assert np.abs(found - expected[:few]).max() < 1e-4


def test_the_record_with_the_labels_is_inside_and_the_model_is_sound(
    exported: Callable[[str], Path],
) -> None:
    model = onnx.load(exported("onnx"))
    onnx.checker.check_model(model, full_check=True)
    said = {each.key: each.value for each in model.metadata_props}
    assert json.loads(said["record"])["labels"] == ["dark knight", "snow queen"]
    # NHWC became NCHW once, at the start: other runtimes are slow otherwise.
    assert sum(node.op_type == "Transpose" for node in model.graph.node) <= 2


def test_the_same_classifier_gives_the_same_bytes(
    exported: Callable[[str], Path], trained: Path, tmp_path: Path, run: Run
) -> None:
    # Another process, in which sets have another order.
    assert run("export", trained, tmp_path / "again", "--format", "onnx").returncode == 0
    assert (tmp_path / "again").read_bytes() == exported("onnx").read_bytes()
