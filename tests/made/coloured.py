"""A classifier whose map is known: it sees red and blue, each where it is, and nothing else."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tensorboard.compat.proto.attr_value_pb2 import AttrValue
from tensorboard.compat.proto.types_pb2 import DT_FLOAT, DT_INT32

from made.exif import oriented
from tensor_guess.config import BOTTLENECK, NETWORK_INPUT, SQUEEZE
from tensor_guess.graphs.builder import INT32, Builder
from tensor_guess.graphs.files import Record
from tensor_guess.graphs.graph import serialise
from tensor_guess.graphs.own import Head, with_head
from tensor_guess.images.scaling import Scaling

LABELS = ("red", "blue")
_SIZE = 32


def classifier(fit: str = SQUEEZE, *, adds_up: bool = True) -> bytes:
    """The graph's bytes. Unless its map `adds_up`, its average leaves out the border."""
    builder = Builder()
    builder.placeholder(NETWORK_INPUT, DT_FLOAT, (-1, _SIZE, _SIZE, 3))
    kernel = np.array([[1, -1], [-1, -1], [-1, 1]], np.float32)[None, None]
    x = builder.floats(
        "Conv2D", "conv", (NETWORK_INPUT, builder.const("kernel", kernel)),
        strides=(1, 1, 1, 1), padding="VALID",
    )  # fmt: skip
    biases = builder.const("biases", np.array([-1, -1], np.float32))
    x = builder.floats("BiasAdd", "sum", (x, biases))
    x = builder.floats("Relu", "relu", (x,))
    if adds_up:
        axes = builder.const("axes", np.array([1, 2], np.int32))
        builder.floats("Mean", BOTTLENECK, (x, axes), Tidx=AttrValue(type=DT_INT32))
    else:
        window = (1, _SIZE - 8, _SIZE - 8, 1)
        x = builder.floats("AvgPool", "pool", (x,), ksize=window, strides=window, padding="VALID")
        shape = builder.const("shape", np.array([-1, 2], np.int32))
        builder.floats("Reshape", BOTTLENECK, (x, shape), Tshape=INT32)
    scaling = Scaling(_SIZE, 127.5, 127.5).fitted(fit)
    record = Record(
        labels=LABELS,
        categories=LABELS,
        scaling=scaling,
        backbone="colours",
        backbone_sha256="0" * 64,
        precision="float32",
    )
    head = Head(np.array([[9, -9], [-9, 9]], np.float32), np.array([3, -1], np.float32))
    return serialise(with_head(builder.graph, head, record))


def picture(width: int, height: int, orientation: int = 1) -> bytes:
    """A green JPEG with red left of the middle, and blue below and right of it.

    That is how its pixels are stored; EXIF says how they are to be turned.
    """
    image = Image.new("RGB", (width, height), (0, 200, 0))
    x, y, side = width // 2, height // 2, min(width, height)
    image.paste((255, 0, 0), (x - side * 4 // 10, y - side // 10, x - side // 10, y + side // 10))
    image.paste((0, 0, 255), (x, y + side // 5, x + side * 4 // 10, y + side * 4 // 10))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=95, subsampling=0)
    return oriented(file.getvalue(), orientation)


def centre(image: NDArray[np.uint8], channel: int) -> tuple[float, float] | None:
    """Where the middle of what has this colour alone is: x and y, as parts of width and height."""
    levels = image.astype(int)
    others = levels.sum(axis=2) - levels[..., channel]
    y, x = np.nonzero((levels[..., channel] > 150) & (others < 120))
    if not len(x):
        return None
    return float((x.mean() + 0.5) / image.shape[1]), float((y.mean() + 0.5) / image.shape[0])
