"""TFLite as its users have it: the file and TFLite's interpreter, nothing of ours."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tensorboard.compat.proto.graph_pb2 import GraphDef

from tensor_guess.graphs.classifier import Classifier
from tensor_guess.graphs.own import record_of

Arrays = tuple[NDArray[np.float32], NDArray[np.float32]]
pytestmark = [
    pytest.mark.tensorflow,
    pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated"),
]


def test_pixels_in_and_the_scores_of_a_guess_out(
    exported: Callable[[str], Path], pixels_and_scores: Arrays
) -> None:
    import tensorflow as tf

    pixels, expected = pixels_and_scores
    interpreter = tf.lite.Interpreter(str(exported("tflite")))
    (start,), (end,) = interpreter.get_input_details(), interpreter.get_output_details()
    assert (start["shape"].tolist(), start["dtype"]) == ([1, 224, 224, 3], np.float32)
    interpreter.allocate_tensors()
    for image, scores in zip(pixels, expected, strict=True):
        interpreter.set_tensor(start["index"], image[None])
        interpreter.invoke()
        assert np.abs(interpreter.get_tensor(end["index"]) - scores).max() < 1e-4


def test_the_labels_are_inside_as_a_zip(exported: Callable[[str], Path]) -> None:
    with zipfile.ZipFile(exported("tflite")) as archive:
        assert archive.read("labels.txt").decode() == "dark knight\nsnow queen\n"


def test_in_8_bits_it_is_fed_uint8_whose_range_is_that_of_pixels(
    ours: GraphDef, tmp_path: Path
) -> None:
    import tensorflow as tf

    from tensor_guess.exporting.to_tflite import write_quantized

    path = tmp_path / "small.tflite"
    known = Classifier(ours, record_of(ours, "x"), lambda: "")
    images = np.random.default_rng(0).integers(60, 180, (30, 16, 16, 3), np.uint8)
    write_quantized(known, path, list(images))
    interpreter = tf.lite.Interpreter(str(path))
    (start,) = interpreter.get_input_details()
    assert (start["dtype"], start["quantization"]) == (np.uint8, (1.0, 0))
    inside = {each["dtype"] for each in interpreter.get_tensor_details() if each["shape"].size > 2}
    assert inside <= {np.uint8, np.int8}  # nothing large is left in float
    run = interpreter.get_signature_runner()
    found = np.concatenate([run(pixels=image[None])["scores"] for image in images])
    expected = np.stack([scores for _, scores in known.network(few=False).run(enumerate(images))])
    assert found.dtype == np.float32
    assert (found.argmax(axis=1) == expected.argmax(axis=1)).mean() > 0.8
