"""The only place for defaults, and for the names of files and tensors."""

import os
import pwd
from dataclasses import dataclass
from pathlib import Path

from tensor_guess.errors import UserError

# If no backbone is given, the first available one is used.
DEFAULT_BACKBONES = ("inception_v3", "efficientnet_lite0")

# The folder of the program: this package and `__main__.py`.
SOURCE = Path(__file__).resolve().parents[1]
# Whether it was installed by pip: only then `__main__.py` is in this package (pyproject.toml).
INSTALLED = Path(__file__).with_name("__main__.py").exists()
# Backbones that are part of a container image.
BAKED_BACKBONES = SOURCE.parent / "backbones"

# The classifier's folder (TF_FILES).
DATA = "data"
GRAPH = "retrained_graph.pb"
LABELS = "retrained_labels.txt"
RECORD = "model.json"
REPORT = "report.html"
BOTTLENECKS = "bottlenecks"
# What the doctor adds to it.
SET_ASIDE = "set_aside"
JOURNAL = "set_aside.jsonl"
NOT_DUPLICATES = "not_duplicates.json"

# In a shared zip, besides graph, labels and record.
MODEL_CARD = "MODEL_CARD.md"
SELF_TEST = "self_test.json"
SUMS = "SHA256SUMS"
ROWS = "bottlenecks.npy"  # only if they were asked for

# The formats that a classifier can be exported to.
EXPORTS = ("saved_model", "tflite", "onnx", "openvino", "photoprism", "html")
# What runs a page, by the name that npm and `fetch` know.
ONNXRUNTIME_WEB = "onnxruntime-web"

# How many of ImageNet's thousand labels are printed.
IMAGENET_TOP = 5
# The most percent of the images that may be held out; the rest is trained on.
MOST_HELD_OUT = 90

# How hidden names begin that only this program gives, and how those end that it soon removes.
HIDDEN, TEMPORARY = ".tensor-guess-", ".tmp"
# In the folder of sorted images (DEST).
MANIFEST = "manifest.jsonl"
TAGS = f"{HIDDEN}tags.jsonl"  # in a folder whose pictures were tagged; hidden, so passed over
UNKNOWN = "unknown"  # what pictures like nothing in training are sorted as
REVIEW = "review"  # a folder for what a person should look at
# What classify-dir writes there for researchers, if it is asked to.
RESULTS = TIMELAPSE, CAMTRAP_DP = ("timelapse", "camtrap-dp")
TIMELAPSE_JSON = "timelapse.json"
DATAPACKAGE = "datapackage.json"
# How pictures come there; the first is the default. And how their names are made.
WAYS = COPY, MOVE, LINK, SYMLINK = ("copy", "move", "link", "symlink")
LAYOUTS = FLAT, FOLDERS = ("flat", "folders")
# For how long a file in a watched folder must not change before it is sorted.
SETTLED_SECONDS = 5
# In the folder of a heap that was grouped.
OUTLIERS = "outliers"  # what is near nothing else there
CONTACT_SHEET = "contact_sheet.html"

# Tensors that old programs and our own use (retrain.py's names).
IMAGE_BYTES = "DecodeJpeg/contents"
NETWORK_INPUT = "Mul"
BOTTLENECK = "bottleneck"
IMAGENET = "imagenet"
FINAL_TENSOR = "final_result"
# Our constants inside the frozen graph.
GRAPH_LABELS = "tensor_guess/labels"
GRAPH_RECORD = "tensor_guess/record"
GRAPH_FAMILIAR = "tensor_guess/familiar"

# Of these and of FITS, the first is the default.
PRECISIONS = FLOAT32, BF16 = ("float32", "bf16")
# How a picture becomes a square: it loses its shape, its ends, or neither and gets borders.
FITS = SQUEEZE, CROP, PAD = ("squeeze", "crop", "pad")
# What finds faces; the first is the default.
DETECTORS = HAAR, YUNET = ("haar", "yunet")
# Where `serve` listens unless told otherwise: the address of this machine alone, and the port of
# TensorFlow Serving's REST.
HOST, PORT = "127.0.0.1", 8501
# With fewer images than this, it is faster to compile the network for one image at a time.
FEW = 8


@dataclass(frozen=True)
class Augmentation:
    """How far versions of a training picture may be from it; nothing is changed by default."""

    # Percent, as in `retrain.py`: the margin cut off, how much it is enlarged, how bright it is.
    flip: bool = False
    crop: int = 0
    scale: int = 0
    brightness: int = 0
    # Degrees, and shares of a side, as in Keras.
    rotation: float = 0.0
    shear: float = 0.0
    zoom: float = 0.0
    shift: float = 0.0
    # How many versions of each picture are trained on, besides itself.
    versions: int = 8


# What --augment stands for.
AUGMENT = Augmentation(flip=True, brightness=20, rotation=10, zoom=0.15, shift=0.1)


@dataclass(frozen=True)
class FineTuning:
    """How to train the last blocks of the backbone, after the head."""

    # How many; None is all of them.
    blocks: int | None
    epochs: int = 20
    # The highest one: it rises in the first epoch and then falls along a cosine. AdamW's.
    learning_rate: float = 0.0003
    batch_size: int = 32


@dataclass(frozen=True)
class Training:
    """How to train the head; names and values are those of TensorFlow's `retrain.py`."""

    # Each step is one batch of plain gradient descent; of Adam, if the head has hidden layers.
    steps: int = 4000
    # In place of `steps`: as many as draw so many times the training split's number of images.
    epochs: int | None = None
    learning_rate: float = 0.01
    # Widths of the head's hidden layers, and the share of their outputs that a step leaves out.
    hidden: tuple[int, ...] = ()
    dropout: float = 0.2
    # Never applied to what is validated or tested on.
    augmentation: Augmentation | None = None
    # If there is any, it is on versions by AUGMENT, unless `augmentation` says otherwise.
    fine_tuning: FineTuning | None = None
    # Images drawn for a step: a category at random, then one of its images.
    train_batch_size: int = 100
    # Images drawn for each validation; -1 is the whole split.
    validation_batch_size: int = 100
    # Images in the final test; -1 is the whole split.
    test_batch_size: int = -1
    # Percent of each category's images that are held out; together at most MOST_HELD_OUT.
    testing_percentage: int = 10
    validation_percentage: int = 10
    # Steps between two measurements of the accuracy.
    eval_step_interval: int = 10
    # All random draws depend on it: the same pictures and options give the same graph.
    seed: int = 0


# With fewer validation images than this, the last head and backbone are kept: the best would be
# found by chance, perhaps before anything was learned.
FEWEST_CHECKED = 20

# What a head with hidden layers has instead, unless told otherwise: Keras' rate for Adam, and steps
# enough to draw as many pictures as so many times the training split has.
HIDDEN_RATE = 0.001
HIDDEN_EPOCHS = 20


def cache_folder() -> Path:
    """Return the folder for frozen backbones: TENSOR_GUESS_CACHE, or one in the user's cache.

    All classifiers on a machine share it. Raise UserError if there is none, or if the launcher
    found that others can change it.
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
