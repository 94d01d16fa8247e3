"""A classifier as PhotoPrism has its own: a SavedModel of pixels, labels, and what to configure.

PhotoPrism's Go binding looks up ops by their names in the graph and makes the pixels itself. So the
network is the SavedModel's graph as it is, and not a function in it.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tensor_guess.config import CROP, PAD, SQUEEZE
from tensor_guess.exporting.portable import (
    LABELS_FILE,
    PIXELS,
    RECORD_FILE,
    SCORES,
    Sample,
    batch,
    graph_of,
    labels_text,
    record_text,
)
from tensor_guess.graphs.classifier import Classifier
from tensor_guess.graphs.files import Record
from tensor_guess.graphs.graph import serialise

VISION_FILE = "vision.yml"
_TAGS = ["serve"]
_SIGNATURE = "serving_default"
# PhotoPrism's names for how a picture becomes square; its borders are black.
_RESIZED = {SQUEEZE: "ResizeBreakAspectRatio", CROP: "CenterCrop", PAD: "Padding"}
# Names of PhotoPrism's own models, and how long a name may be there.
_TAKEN = ("nasnet", "nsfw", "facenet")
_LONGEST_NAME = 32


def write(classifier: Classifier, path: Path) -> None:
    """Write the folder to `path`: the SavedModel, the labels, the record and `vision.yml`."""
    v1 = tf.compat.v1
    with tf.Graph().as_default() as graph, v1.Session(graph=graph) as session:
        proto = v1.GraphDef.FromString(serialise(graph_of(classifier)))
        tf.graph_util.import_graph_def(proto, name="")
        pixels, scored = (graph.get_tensor_by_name(f"{name}:0") for name in (PIXELS, SCORES))
        signature = v1.saved_model.predict_signature_def({PIXELS: pixels}, {SCORES: scored})
        builder = v1.saved_model.Builder(str(path))
        builder.add_meta_graph_and_variables(
            session, _TAGS, {_SIGNATURE: signature}, strip_default_attrs=True
        )
        builder.save()
    (path / LABELS_FILE).write_text(labels_text(classifier.record), "utf-8")
    (path / RECORD_FILE).write_text(record_text(classifier.record), "utf-8")
    (path / VISION_FILE).write_text(_vision(classifier.record, path.name), "utf-8")


def scores(path: Path, samples: Sequence[Sample]) -> NDArray[np.float32]:
    """Return the scores [N, K] that TensorFlow gives the samples' pixels, one by one."""
    v1 = tf.compat.v1
    with tf.Graph().as_default() as graph, v1.Session(graph=graph) as session:
        v1.saved_model.load(session, _TAGS, str(path))
        found = [session.run(f"{SCORES}:0", {f"{PIXELS}:0": batch([each])}) for each in samples]
    return np.concatenate(found)


def _vision(record: Record, folder: str) -> str:
    """Return the text of a vision.yml that leaves PhotoPrism nothing to find out by itself."""
    size = record.scaling.size
    return f"""\
Models:
- Type: labels
  Name: "{_name(folder)}"
  Resolution: {size}
  TensorFlow:
    Tags:
    - {_TAGS[0]}
    Input:
      Name: {PIXELS}
      Height: {size}
      Width: {size}
      Shape:
      - Batch
      - Height
      - Width
      - Color
      ColorChannelOrder: RGB
      ResizeOperation: {_RESIZED[record.scaling.fit]}
      Intervals:
      - Start: 0
        End: 255
    Output:
      Name: {SCORES}
      Outputs: {len(record.labels)}
"""


def _name(folder: str) -> str:
    """Return the folder's name as PhotoPrism leaves it: it looks for the model in that folder."""
    name = re.sub("[^a-z0-9]+", "_", folder.lower()).strip("_")[:_LONGEST_NAME] or "classifier"
    return f"my_{name}" if name in _TAKEN else name
