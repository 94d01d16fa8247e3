"""A classifier as OpenVINO's IR: a folder of model.xml and model.bin."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from tensor_guess.exporting.portable import (
    LABELS_FILE,
    PIXELS,
    SCORES,
    Sample,
    batch,
    graph_of,
    labels_text,
    record_text,
)
from tensor_guess.graphs.classifier import Classifier
from tensor_guess.graphs.conversion import convert

_MODEL = "model.xml"
# Where OpenVINO's Model API looks for what belongs to a model.
_INFO = "model_info"


def write(classifier: Classifier, path: Path) -> None:
    """Write the folder to `path`: PIXELS in, SCORES out, the record inside."""
    size = classifier.record.scaling.size
    model = convert(graph_of(classifier).node, (-1, size, size, 3))
    model.inputs[0].set_names({PIXELS})
    model.outputs[0].set_names({SCORES})
    model.set_rt_info(record_text(classifier.record), [_INFO, "record"])
    path.mkdir()
    ov.save_model(model, path / _MODEL, compress_to_fp16=False)
    (path / LABELS_FILE).write_text(labels_text(classifier.record), "utf-8")


def scores(path: Path, samples: Sequence[Sample]) -> NDArray[np.float32]:
    """Return the scores [N, K] that OpenVINO gives the samples."""
    # The default is whatever is fastest on the CPU, even bf16.
    exact = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = ov.Core().compile_model(path / _MODEL, "CPU", exact)
    found: NDArray[np.float32] = compiled(batch(samples))[0]
    return found
