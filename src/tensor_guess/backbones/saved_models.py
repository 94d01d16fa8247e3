"""Freeze SavedModels and TF Hub modules. Importing this module imports TensorFlow (seconds).

A SavedModel is a stranger's program, so this runs only in a confined process (`confinement`).
tensorflow_hub loads it, and is only given folders: it downloads nothing here.
"""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from tensorboard.compat.proto.graph_pb2 import GraphDef

from tensor_guess.backbones.freezing import frozen
from tensor_guess.config import BOTTLENECK
from tensor_guess.errors import UserError, words_of

# After `freezing`, which sets how TensorFlow starts.
import keras  # isort: skip
import tensorflow as tf  # isort: skip

# tensorflow_hub 0.16 does not start without Keras 2, for its KerasLayer, and without a function
# that setuptools no longer has. Neither is needed to load a module.
_VERSIONS = ModuleType("pkg_resources")
_VERSIONS.__dict__["parse_version"] = lambda version: [int(n) for n in version.split(".")[:2]]
sys.modules.setdefault("pkg_resources", _VERSIONS)
sys.modules.setdefault("tf_keras", keras)

import tensorflow_hub as hub  # noqa: E402  # after its stand-ins

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
    function = _function(module)
    (images,) = _tensors(function)
    sides = [size if side is None else side for side in images.shape[1:3]]
    if sides[0] != sides[1]:
        raise UserError(
            f"its images are {sides[0]} x {sides[1]}; only square ones are supported to"
        )

    def vectors(images: Any) -> list[Any]:
        args, named = tf.nest.map_structure(
            lambda each: images if isinstance(each, tf.TensorSpec) else each,
            function.structured_input_signature,
        )
        return [_output(function(*args, **named))]

    return frozen(vectors, sides[0], [BOTTLENECK])


def _loaded(folder: Path) -> Any:
    try:
        return hub.load(str(folder))
    except ValueError:
        return hub.load(str(folder), tags=[])  # of TF 1, without the file that says so


def _function(module: Any) -> Any:
    """Return the function from images to vectors: `__call__`, not in training, or a signature.

    The first is how TF Hub's modules of TF 2 are used, the other how those of TF 1 are. Raise
    UserError, with the reason, if it is neither.
    """
    called = getattr(module.__call__, "concrete_functions", ()) if callable(module) else ()
    found = [each for each in called if not _fault(each)]
    if found:
        return found[0]
    name = next((name for name in _SIGNATURES if name in module.signatures), None)
    if name is None and called:
        raise UserError(_fault(called[0]))
    if name is None:
        have = ", ".join(sorted(module.signatures)) or "none"
        raise UserError(f"it has no signature that takes images (it has: {have})")
    fault = _fault(module.signatures[name])
    if fault:
        raise UserError(fault)
    return module.signatures[name]


def _fault(function: Any) -> str:
    """Return why the function does not turn images into vectors; "" if it does."""
    images, *others = _tensors(function) or [None]
    is_tensor = isinstance(images, tf.TensorSpec) and not others
    if not is_tensor or images.dtype != tf.float32 or images.shape.rank != 4:
        return "it is no image module: it does not take one batch of float images"
    if images.shape[3] not in (None, 3):
        return "it is no image module: its images do not have three channels"
    if any(each is True for each in tf.nest.flatten(function.structured_input_signature)):
        return "it can only be called as in training"
    output = _output(function.structured_outputs)
    is_tensor = isinstance(output, tf.TensorSpec | tf.Tensor) and output.dtype == tf.float32
    if not is_tensor or output.shape.rank != 2 or output.shape[1] is None:
        return "its output is no vector for each image; take a feature_vector module"
    return ""


def _tensors(function: Any) -> list[Any]:
    """Return what tensors the function takes."""
    taken = tf.nest.flatten(function.structured_input_signature)
    return [each for each in taken if isinstance(each, tf.TypeSpec)]


def _output(outputs: Any) -> Any:
    """Return the output that is meant, where a module has several: `default`, or the first."""
    if not isinstance(outputs, dict):
        return outputs
    return outputs["default"] if "default" in outputs else next(iter(outputs.values()), None)
