"""OpenVINO's IR as its users have it: the folder and OpenVINO, nothing of ours."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import openvino as ov
import pytest
from numpy.typing import NDArray


@pytest.mark.slow
def test_pixels_in_and_the_scores_of_a_guess_out(
    exported: Callable[[str], Path],
    pixels_and_scores: tuple[NDArray[np.float32], NDArray[np.float32]],
) -> None:
    pixels, expected = pixels_and_scores
    folder = exported("openvino")
    assert sorted(each.name for each in folder.iterdir()) == [
        "labels.txt",
        "model.bin",
        "model.xml",
    ]
    assert (folder / "labels.txt").read_text("utf-8") == "dark knight\nsnow queen\n"
    model = ov.Core().read_model(folder / "model.xml")
    record = json.loads(model.get_rt_info(["model_info", "record"]).astype(str))
    assert record["labels"] == ["dark knight", "snow queen"]
    compiled = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    for few in (1, 3):
        found = compiled({"pixels": pixels[:few]})["scores"]
        assert np.abs(found - expected[:few]).max() < 1e-4


@pytest.mark.slow
def test_weights_are_float32(exported: Callable[[str], Path]) -> None:
    model = ov.Core().read_model(exported("openvino") / "model.xml")
    weights = [each for each in model.get_ops() if each.get_type_name() == "Constant"]
    assert any(each.get_element_type() == ov.Type.f32 for each in weights)
    assert not any(each.get_element_type() == ov.Type.f16 for each in weights)
