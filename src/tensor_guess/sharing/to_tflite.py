"""A classifier as TFLite (LiteRT), its labels inside."""

import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tensor_guess.backbones.freezing import thawed
from tensor_guess.graphs.classifier import Classifier
from tensor_guess.images.pixels import Pixels
from tensor_guess.sharing.portable import (
    LABELS_FILE,
    PIXELS,
    SCORES,
    Sample,
    fed,
    graph_of,
    labels_text,
)
from tensor_guess.sharing.tflite_metadata import with_metadata

# The same bytes each time: the earliest time that a zip knows.
_EPOCH = (1980, 1, 1, 0, 0, 0)


def write(known: Classifier, path: Path) -> None:
    """Nothing comes back; the model is at `path`: PIXELS in, SCORES out, both float32."""
    _converted(known, path, lambda converter: None)


def write_quantized(known: Classifier, path: Path, pictures: Sequence[Pixels]) -> None:
    """Nothing comes back; the same, computing in 8 bits, and fed PIXELS as uint8.

    `pictures` [S, S, 3] say which ranges there are; pixels get all of theirs, 0 to 255.
    """
    black, white = np.zeros_like(pictures[0]), np.full_like(pictures[0], 255)

    def quantize(converter: Any) -> None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: (
            {PIXELS: each[None].astype(np.float32)} for each in (*pictures, black, white)
        )
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = tf.uint8

    _converted(known, path, quantize)


def scores(path: Path, samples: Sequence[Sample]) -> NDArray[np.float32]:
    """[N, K]: what TFLite's interpreter makes of the samples."""
    runner = tf.lite.Interpreter(str(path)).get_signature_runner()
    kind = runner.get_input_details()[PIXELS]["dtype"]
    return np.concatenate(
        [runner(**{PIXELS: fed([sample]).astype(kind)})[SCORES] for sample in samples]
    )


def _converted(known: Classifier, path: Path, change: Callable[[Any], None]) -> None:
    module = tf.Module()
    module.scores = thawed(graph_of(known), known.record.scaling.size, PIXELS, SCORES)
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [module.scores.get_concrete_function()], module
    )
    change(converter)
    path.write_bytes(with_metadata(converter.convert(), known.record.scaling.size))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(zipfile.ZipInfo(LABELS_FILE, _EPOCH), labels_text(known.record))
