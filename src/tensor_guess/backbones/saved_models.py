"""Freeze SavedModels and TF Hub modules. Importing this module imports TensorFlow (seconds).

A SavedModel is a stranger's program, so this runs only in a confined process (`confinement`).
"""

from pathlib import Path
from typing import Any

from tensorboard.compat.proto.graph_pb2 import GraphDef

from tensor_guess.backbones.freezing import frozen
from tensor_guess.config import BOTTLENECK
from tensor_guess.errors import UserError, words_of

import tensorflow as tf  # isort: skip  # after `freezing`, which sets how it starts

# Names of the signatures of image feature vectors, best first (TF Hub's common ones).
_SIGNATURES = ("image_feature_vector", "default", "serving_default", "feature_vector")


def freeze(folder: Path, size: int) -> GraphDef:
    """Return the frozen graph: NETWORK_INPUT [N, S, S, 3] -> BOTTLENECK [N, D].

    S is the module's own size, or `size` if it accepts any. Raise UserError if the module does not
    turn images into vectors.
    """
    try:
        module = _loaded(folder)
    except Exception as error:  # on a stranger's files, TensorFlow may raise anything
        reason = words_of(error, line=0)[:200]
        raise UserError(f"it cannot be loaded as a SavedModel: {reason}") from error
    signature = _signature(module)
    images = _images(signature)
    key = next(iter(signature.structured_input_signature[1]))
    sides = [size if side is None else side for side in images.shape[1:3]]
    if sides[0] != sides[1]:
        raise UserError(
            f"its images are {sides[0]} x {sides[1]}; only square ones are supported to"
        )
    output = _output(signature)
    return frozen(lambda x: [signature(**{key: x})[output]], sides[0], [BOTTLENECK])


def _loaded(folder: Path) -> Any:
    try:
        return tf.saved_model.load(str(folder))
    except ValueError:
        return tf.saved_model.load(str(folder), tags=[])  # a module of TF 1


def _signature(module: Any) -> Any:
    found = next((name for name in _SIGNATURES if name in module.signatures), None)
    if found is None:
        have = ", ".join(sorted(module.signatures)) or "none"
        raise UserError(f"it has no signature that takes images (it has: {have})")
    return module.signatures[found]


def _images(signature: Any) -> Any:
    inputs = list(signature.structured_input_signature[1].values())
    if len(inputs) != 1 or inputs[0].dtype != tf.float32 or inputs[0].shape.rank != 4:
        raise UserError("it is no image module: it does not take one batch of float images")
    if inputs[0].shape[3] not in (None, 3):
        raise UserError("it is no image module: its images do not have three channels")
    return inputs[0]


def _output(signature: Any) -> str:
    outputs = signature.structured_outputs
    name = "default" if "default" in outputs else next(iter(outputs))
    tensor = outputs[name]
    if tensor.dtype != tf.float32 or tensor.shape.rank != 2 or tensor.shape[1] is None:
        raise UserError("its output is no vector for each image; take a feature_vector module")
    return str(name)
