"""A classifier that takes no time, for what is measured besides a network."""

import hashlib
import sys
from pathlib import Path

import numpy as np
from tensorboard.compat.proto.attr_value_pb2 import AttrValue
from tensorboard.compat.proto.types_pb2 import DT_FLOAT, DT_INT32

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "src"))

from tensor_guess.backbones.backbone import Backbone
from tensor_guess.config import BOTTLENECK, NETWORK_INPUT
from tensor_guess.graphs.builder import Builder
from tensor_guess.graphs.files import Record
from tensor_guess.graphs.graph import serialise
from tensor_guess.graphs.own import Head, with_head
from tensor_guess.images.scaling import Scaling


def backbone() -> Backbone:
    """Return a backbone of one small convolution: 16 x 16 pixels -> 12 numbers."""
    random, builder = np.random.default_rng(1), Builder()
    scaling = Scaling(16, 127.5, 127.5)
    builder.placeholder(NETWORK_INPUT, DT_FLOAT, (-1, scaling.size, scaling.size, 3))
    kernel = builder.const("kernel", random.normal(size=(5, 5, 3, 12)).astype(np.float32))
    x = builder.floats(
        "Conv2D", "conv", (NETWORK_INPUT, kernel), strides=(1, 2, 2, 1), padding="SAME"
    )
    x = builder.floats("Relu", "relu", (x,))
    axes = builder.const("axes", np.array([1, 2], np.int32))
    builder.floats("Mean", BOTTLENECK, (x, axes), Tidx=AttrValue(type=DT_INT32))
    digest = hashlib.sha256(serialise(builder.graph)).hexdigest()
    return Backbone("tiny", scaling, digest, builder.graph)


def classifier(path: Path) -> Path:
    """Write a classifier of two categories on it, and return its path."""
    body = backbone()
    random = np.random.default_rng(0)
    head = Head(random.normal(size=(12, 2)).astype(np.float32), np.zeros(2, np.float32))
    record = Record(
        labels=("one", "two"),
        categories=("one", "two"),
        scaling=body.scaling,
        backbone=body.name,
        backbone_sha256=body.sha256,
        precision="float32",
    )
    path.write_bytes(serialise(with_head(body.graph, head, record)))
    return path
