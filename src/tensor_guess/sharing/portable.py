"""A classifier's network as other runtimes are given it: pixels in, scores out."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.compat.proto.node_def_pb2 import NodeDef
from tensorboard.compat.proto.types_pb2 import DT_FLOAT

from tensor_guess.config import NETWORK_INPUT
from tensor_guess.graphs.builder import Builder
from tensor_guess.graphs.classifier import Classifier
from tensor_guess.graphs.graph import copied, cut
from tensor_guess.graphs.own import Record
from tensor_guess.images.encoded import Picture
from tensor_guess.images.pixels import Pixels

# The input [N, S, S, 3] and the output [N, K], in every format.
PIXELS, SCORES = "pixels", "scores"
LABELS_FILE, RECORD_FILE = "labels.txt", "record.json"
# Before the names of the network's nodes, so that none of them is one of those.
_UNDER = "network/"


@dataclass(frozen=True)
class Sample:
    """A picture that an exported network is tried on: its file, and what ours is fed for it."""

    path: Path
    picture: Picture
    pixels: Pixels


def graph_of(known: Classifier) -> GraphDef:
    """The graph from PIXELS, RGB, 0 to 255, which it scales itself, to SCORES."""
    scaling, builder = known.record.scaling, Builder()
    builder.placeholder(PIXELS, DT_FLOAT, (-1, scaling.size, scaling.size, 3))
    mean = builder.const("scaling/mean", np.float32(scaling.mean))
    centred = builder.floats("Sub", "scaling/centred", (PIXELS, mean))
    # A factor, because phones' 8-bit arithmetic has no division.
    factor = builder.const("scaling/factor", np.float32(1 / scaling.std))
    builder.floats("Mul", f"{_UNDER}{NETWORK_INPUT}", (centred, factor))
    for node in cut(known.graph, scaling, known.record.final_tensor)[1:]:
        builder.graph.node.append(_plain(node))
    builder.floats("Identity", SCORES, (f"{_UNDER}{known.record.final_tensor}",))
    return builder.graph


def fed(samples: Sequence[Sample]) -> NDArray[np.float32]:
    """What PIXELS is fed for the samples: [N, S, S, 3]."""
    return np.stack([sample.pixels for sample in samples]).astype(np.float32)


def labels_text(record: Record) -> str:
    """The labels as a file: one a line, in the order of the scores."""
    return "".join(f"{label}\n" for label in record.labels)


def record_text(record: Record) -> str:
    """The record as JSON, the labels in it too."""
    return json.dumps(asdict(record), ensure_ascii=False, sort_keys=True)


def _plain(node: NodeDef) -> NodeDef:
    """The node under its new name, without what only the program that made it needs."""
    copy = copied(node, lambda name: f"{_UNDER}{name}")
    copy.ClearField("device")
    for key in [key for key in node.attr if key.startswith("_")]:
        del copy.attr[key]
    if node.op == "PlaceholderWithDefault":  # where training fed bottlenecks; nobody does now
        copy.op = "Identity"
        copy.attr["T"].CopyFrom(node.attr["dtype"])
        del copy.attr["dtype"], copy.attr["shape"]
    return copy
