"""A classifier as ONNX, run by ONNX Runtime."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import tensorflow as tf
from numpy.typing import NDArray
from tf2onnx import optimizer, tfonnx

from tensor_guess.exporting.portable import PIXELS, SCORES, Sample, batch, graph_of, record_text
from tensor_guess.graphs.classifier import Classifier
from tensor_guess.graphs.graph import serialise

# Of 2021: every current ONNX runtime knows it.
_OPSET = 15
# The passes that turn NHWC into NCHW for good. tf2onnx's others change nothing here, and take 5 GB
# for an Inception v3.
_PASSES = ("optimize_transpose", "fold_constants", "remove_identity", "remove_back_to_back")
# How tf2onnx begins the names of constants that it has computed.
_FOLDED = "const_fold_opt__"


def write(classifier: Classifier, path: Path) -> None:
    """Write the model to `path`: PIXELS in, SCORES out, the record as metadata."""
    proto = tf.compat.v1.GraphDef.FromString(serialise(graph_of(classifier)))
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(proto, name="")
        with tf.compat.v1.Session(graph=graph):
            found = tfonnx.process_tf_graph(
                graph,
                input_names=[f"{PIXELS}:0"],
                output_names=[f"{SCORES}:0"],
                tensors_to_rename={f"{PIXELS}:0": PIXELS, f"{SCORES}:0": SCORES},
                opset=_OPSET,
            )
    passes = {name: optimizer._get_optimizers()[name] for name in _PASSES}
    found = optimizer.optimize_graph(found, catch_errors=False, optimizers=passes)
    model = found.make_model("an image classifier by tensor-guess")
    _number_again(model.graph)
    onnx.helper.set_model_props(model, {"record": record_text(classifier.record)})
    onnx.save(model, path)


def scores(path: Path, samples: Sequence[Sample]) -> NDArray[np.float32]:
    """Return the scores [N, K] that ONNX Runtime gives the samples."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    found: NDArray[np.float32] = session.run([SCORES], {PIXELS: batch(samples)})[0]
    return found


def _number_again(graph: onnx.GraphProto) -> None:
    """Number folded constants as they are used; tf2onnx's order differs from run to run."""
    used = (name for node in graph.node for name in node.input if name.startswith(_FOLDED))
    names = {name: f"constant_{i}" for i, name in enumerate(dict.fromkeys(used))}
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
    for constant in graph.initializer:
        constant.name = names.get(constant.name, constant.name)
    graph.initializer.sort(key=lambda constant: constant.name)
