"""A classifier as a SavedModel, run by TensorFlow: bytes of pictures in, labels and scores out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tensor_guess.backbones.freezing import thawed
from tensor_guess.exporting import tensorflow_images
from tensor_guess.exporting.portable import (
    LABELS_FILE,
    PIXELS,
    RECORD_FILE,
    SCORES,
    Sample,
    graph_of,
    labels_text,
    record_text,
)
from tensor_guess.graphs.classifier import Classifier

_SIGNATURE = "serving_default"
_IMAGES = "images"


def write(classifier: Classifier, path: Path) -> None:
    """Write the folder to `path`, with the labels and the record beside the model."""
    record, module = classifier.record, tf.Module()
    network = thawed(graph_of(classifier), record.scaling.size, PIXELS, SCORES)

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name=_IMAGES)])  # type: ignore[untyped-decorator]
    def serve(images: Any) -> dict[str, Any]:
        sides = (record.scaling.size, record.scaling.size, 3)
        pixels = tf.map_fn(
            lambda data: tensorflow_images.pixels(data, record.scaling),
            images,
            fn_output_signature=tf.TensorSpec(sides, tf.float32),
        )
        labels = tf.tile(tf.constant([record.labels]), (tf.size(images), 1))
        return {"labels": labels, **network(pixels)}

    module.serve = serve
    tf.saved_model.save(module, str(path), {_SIGNATURE: serve})
    (path / LABELS_FILE).write_text(labels_text(record), "utf-8")
    (path / RECORD_FILE).write_text(record_text(record), "utf-8")


def scores(path: Path, samples: Sequence[Sample]) -> NDArray[np.float32]:
    """Return the scores [N, K] that TensorFlow gives the samples' files."""
    serve = tf.saved_model.load(str(path)).signatures[_SIGNATURE]
    data = [sample.picture.data for sample in samples]
    found: NDArray[np.float32] = serve(**{_IMAGES: tf.constant(data)})[SCORES].numpy()
    return found
