"""A classifier as TFLite (LiteRT), its labels inside."""

import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tensor_guess.backbones.freezing import thawed
from tensor_guess.exporting.portable import (
    LABELS_FILE,
    PIXELS,
    SCORES,
    Sample,
    batch,
    graph_of,
    labels_text,
)
from tensor_guess.exporting.tflite_metadata import with_metadata
from tensor_guess.graphs.classifier import Classifier
from tensor_guess.images.pixels import Pixels

# The earliest time that a zip can state, so that the bytes are always the same.
_EPOCH = (1980, 1, 1, 0, 0, 0)


def write(classifier: Classifier, path: Path) -> None:
    """Write the model to `path`: PIXELS in, SCORES out, both float32."""
    _converted(classifier, path, lambda converter: None)


def write_quantized(classifier: Classifier, path: Path, pictures: Sequence[Pixels]) -> None:
    """Write a model that computes in 8 bits, and takes PIXELS as uint8, to `path`.

    `pictures` [S, S, 3] give the ranges of all tensors but the pixels, whose range is 0 to 255.
    """
    black, white = np.zeros_like(pictures[0]), np.full_like(pictures[0], 255)

    def quantize(converter: Any) -> None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: (
            {PIXELS: each[None].astype(np.float32)} for each in (*pictures, black, white)
        )
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = tf.uint8

    _converted(classifier, path, quantize)


def scores(path: Path, samples: Sequence[Sample]) -> NDArray[np.float32]:
    """Return the scores [N, K] that TFLite's interpreter gives the samples."""
    runner = tf.lite.Interpreter(str(path)).get_signature_runner()
    kind = runner.get_input_details()[PIXELS]["dtype"]
    return np.concatenate(
        [runner(**{PIXELS: batch([sample]).astype(kind)})[SCORES] for sample in samples]
    )


def _converted(classifier: Classifier, path: Path, change: Callable[[Any], None]) -> None:
    module = tf.Module()
    module.scores = thawed(graph_of(classifier), classifier.record.scaling.size, PIXELS, SCORES)
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [module.scores.get_concrete_function()], module
    )
    change(converter)
    path.write_bytes(with_metadata(converter.convert(), classifier.record.scaling))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(zipfile.ZipInfo(LABELS_FILE, _EPOCH), labels_text(classifier.record))
