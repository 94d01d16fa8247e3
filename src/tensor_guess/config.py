"""The one place for defaults, and for the names of files and tensors."""

import os
import pwd
from dataclasses import dataclass
from pathlib import Path

from tensor_guess.errors import UserError

# If no backbone is given: the first that is available.
DEFAULT_BACKBONES = ("inception_v3", "efficientnet_lite0")

# The program as it is run: this package and `__main__.py`.
SOURCE = Path(__file__).resolve().parents[1]
# Backbones that a container image brings along.
BAKED_BACKBONES = SOURCE.parent / "backbones"

# The classifier's folder (TF_FILES).
DATA = "data"
GRAPH = "retrained_graph.pb"
LABELS = "retrained_labels.txt"
RECORD = "model.json"
BOTTLENECKS = "bottlenecks"

# In a shared zip, besides graph, labels and record.
MODEL_CARD = "MODEL_CARD.md"
SELF_TEST = "self_test.json"
SUMS = "SHA256SUMS"

# What a classifier is exported as.
EXPORTS = ("saved_model", "tflite", "onnx", "openvino")

# How many of ImageNet's thousand labels are told.
IMAGENET_TOP = 5
# Percent: what is left is trained on.
MOST_HELD_OUT = 90

# In the folder of sorted images (DEST).
MANIFEST = "manifest.jsonl"

# Tensors that old programs and our own feed and fetch (retrain.py's names).
IMAGE_BYTES = "DecodeJpeg/contents"
NETWORK_INPUT = "Mul"
BOTTLENECK = "bottleneck"
IMAGENET = "imagenet"
FINAL_TENSOR = "final_result"
# Constants of ours inside the frozen graph.
GRAPH_LABELS = "tensor_guess/labels"
GRAPH_RECORD = "tensor_guess/record"

# The first is the default.
PRECISIONS = FLOAT32, BF16 = ("float32", "bf16")
# Below this many images, a network that is compiled for one at a time is done sooner.
FEW = 8


@dataclass(frozen=True)
class Training:
    """How the head is trained; names and values are those of TensorFlow's `retrain.py`."""

    # Each step is one batch of plain gradient descent.
    steps: int = 4000
    learning_rate: float = 0.01
    # Images drawn for a step: a category at random, then one of its images.
    train_batch_size: int = 100
    # Images drawn for each look at the validation split; -1 is the whole split.
    validation_batch_size: int = 100
    # Images of the final test; -1 is the whole split.
    test_batch_size: int = -1
    # Percent of each category's images held out; together at most MOST_HELD_OUT.
    testing_percentage: int = 10
    validation_percentage: int = 10
    # Steps between two looks at the accuracy.
    eval_step_interval: int = 10
    # Every draw comes from this: the same pictures and options give the same graph.
    seed: int = 0


def cache_folder() -> Path:
    """The folder of frozen backbones, one a machine: TENSOR_GUESS_CACHE or the user's cache.

    Raises UserError if there is none, or if the launcher found that others can change it.
    """
    distrust = os.environ.get("TENSOR_GUESS_DISTRUST")
    if distrust:
        raise UserError(distrust)
    given = os.environ.get("TENSOR_GUESS_CACHE")
    if given:
        return Path(given).absolute()
    base = os.environ.get("XDG_CACHE_HOME") or Path(_home(), ".cache")
    return Path(base) / "tensor-guess"


def _home() -> str:
    try:
        return os.environ.get("HOME") or pwd.getpwuid(os.getuid()).pw_dir
    except KeyError as error:
        raise UserError(
            "this user has no home to keep backbones in; set TENSOR_GUESS_CACHE to a folder"
        ) from error
