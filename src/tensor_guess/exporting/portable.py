"""A classifier's network as other runtimes get it: pixels in, scores out."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.compat.proto.node_def_pb2 import NodeDef
from tensorboard.compat.proto.types_pb2 import DT_FLOAT

from tensor_guess.config import NETWORK_INPUT
from tensor_guess.graphs.builder import Builder
from tensor_guess.graphs.classifier import Classifier
from tensor_guess.graphs.files import Record, to_json
from tensor_guess.graphs.graph import copied, cut
from tensor_guess.images.encoded import Picture
from tensor_guess.images.pixels import Pixels

# The input [N, S, S, 3] and the output [N, K], in every format.
PIXELS, SCORES = "pixels", "scores"
LABELS_FILE, RECORD_FILE = "labels.txt", "record.json"
# Put before the names of the network's nodes, so that none of them equals one of those.
_UNDER = "network/"


@dataclass(frozen=True)
class Sample:
    """A picture to try an exported network on: its file, and the pixels that our network gets."""

    path: Path
    picture: Picture
    pixels: Pixels


def graph_of(classifier: Classifier) -> GraphDef:
    """Return the graph from PIXELS (RGB, 0 to 255, which it scales itself) to SCORES."""
    scaling, builder = classifier.record.scaling, Builder()
    builder.placeholder(PIXELS, DT_FLOAT, (-1, scaling.size, scaling.size, 3))
    mean = builder.const("scaling/mean", np.float32(scaling.mean))
    centred = builder.floats("Sub", "scaling/centred", (PIXELS, mean))
    # A factor, because phones' 8-bit arithmetic has no division.
    factor = builder.const("scaling/factor", np.float32(1 / scaling.std))
    builder.floats("Mul", f"{_UNDER}{NETWORK_INPUT}", (centred, factor))
    for node in cut(classifier.graph, scaling, classifier.record.final_tensor)[1:]:
        builder.graph.node.append(_plain(node))
    builder.floats("Identity", SCORES, (f"{_UNDER}{classifier.record.final_tensor}",))
    return builder.graph


def batch(samples: Sequence[Sample]) -> NDArray[np.float32]:
    """Return the pixels of the samples, [N, S, S, 3], for PIXELS."""
    return np.stack([sample.pixels for sample in samples]).astype(np.float32)


def labels_text(record: Record) -> str:
    """Return the text of a labels file: one label a line, in the order of the scores."""
    return "".join(f"{label}\n" for label in record.labels)


def record_text(record: Record) -> str:
    """Return the record as JSON, including the labels."""
    return json.dumps(to_json(record), ensure_ascii=False, sort_keys=True)


def _plain(node: NodeDef) -> NodeDef:
    """Return the node under its new name, without what only the program that made it needs."""
    copy = copied(node, lambda name: f"{_UNDER}{name}")
    copy.ClearField("device")
    for key in [key for key in node.attr if key.startswith("_")]:
        del copy.attr[key]
    if node.op == "PlaceholderWithDefault":  # training fed bottlenecks here; nobody does now
        copy.op = "Identity"
        copy.attr["T"].CopyFrom(node.attr["dtype"])
        del copy.attr["dtype"], copy.attr["shape"]
    return copy
